"""Errors as Business Central words them: a code, a sentence, and the correlation id glued to its end (BC facts §10)."""

from typing import Any

CORRELATION = "  CorrelationId:  {}."


class ApiError(Exception):
    """A refusal the client sees; `status` and `code` are what a client may branch on, the text is for people."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def body(self, correlation_id: str) -> dict[str, Any]:
        """Return the JSON envelope: two blanks, the GUID, a full stop."""
        return {"error": {"code": self.code, "message": self.message + CORRELATION.format(correlation_id)}}


def dialog(message: str) -> ApiError:
    """AL's Error()."""
    return ApiError(400, "Application_DialogException", message)


def bad_request(message: str) -> ApiError:
    """Body or query cannot be understood."""
    return ApiError(400, "BadRequest", message)


def query_error(message: str) -> ApiError:
    """Query syntax that does not parse; BC answers BadRequest_NotFound."""
    return ApiError(400, "BadRequest_NotFound", message)


def read_only(name: str) -> ApiError:
    """A property the page does not let clients write."""
    return ApiError(400, "BadRequest", f"Control '{name}' is read-only.")


def unknown_property(name: str, entity: str) -> ApiError:
    """A property the entity does not have."""
    return bad_request(f"Could not find a property named '{name}' on type 'Microsoft.NAV.{entity}'.")


def unknown_segment(segment: str) -> ApiError:
    """A path segment nobody serves."""
    return ApiError(404, "BadRequest_ResourceNotFound", f"Resource not found for the segment '{segment}'.")


def method_not_allowed(method: str, entity_set: str) -> ApiError:
    """A verb the page does not offer."""
    text = (
        f"'{method}' requests for '{entity_set}' of EdmType 'Entity' are not allowed within "
        "Dynamics 365 Business Central OData web services."
    )
    return ApiError(405, "BadRequest_MethodNotAllowed", text)


def not_found(entity_set: str, key: str) -> ApiError:
    """No record under this id."""
    text = f"The record that you tried to open is not available. {entity_set} '{key}' does not exist."
    return ApiError(404, "Internal_RecordNotFound", text)


def string_too_long(value: str, limit: int) -> ApiError:
    """Text longer than its field; BC never truncates (BC facts §7)."""
    text = (
        f"The length of the string is {len(value)}, but it must be less than or equal to {limit} characters. "
        f"Value: {value}"
    )
    return ApiError(400, "Application_StringExceededLength", text)


def invalid_relation(field: str, table: str, value: str, related: str) -> ApiError:
    """A code that is not in the table it should come from."""
    text = (
        f"The field {field} of table {table} contains a value ({value}) "
        f"that cannot be found in the related table ({related})."
    )
    return ApiError(400, "Internal_InvalidTableRelation", text)


def test_field(field: str, table: str, key: str) -> ApiError:
    """AL's TestField on a blank value."""
    text = f"{field} must have a value in {table}: {key}. It cannot be zero or empty."
    return ApiError(400, "Application_FieldValidationException", text)


def field_error(field: str, problem: str, table: str, key: str) -> ApiError:
    """AL's FieldError: a value that its field refuses."""
    return ApiError(400, "Application_FieldValidationException", f"{field} {problem} in {table} {key}.")


def same_key(table: str, identification: str) -> ApiError:
    """An insert or rename onto an existing key."""
    text = f"The {table} already exists. Identification fields and values: {identification}"
    return ApiError(400, "Internal_EntityWithSameKeyExists", text)


def missing_token() -> ApiError:
    """PATCH or DELETE without If-Match (BC facts §11)."""
    text = (
        "Could not validate the client concurrency token required by the service. "
        "Please provide a valid token in the client request."
    )
    return ApiError(400, "BadRequest_InvalidToken", text)


def entity_changed() -> ApiError:
    """An etag that is no longer current."""
    return ApiError(409, "Request_EntityChanged", "Another user has already changed the record.")


def invalid_credentials() -> ApiError:
    """No token, a forged, expired or revoked one, or an app Business Central does not know."""
    text = "The server has rejected the client credentials."
    headers = {"WWW-Authenticate": 'Bearer authorization_uri="https://login.microsoftonline.com/common"'}
    return ApiError(401, "Authentication_InvalidCredentials", text, headers)
