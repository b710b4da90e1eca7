"""Stripe's error answers: one exception for all, and the recorded sentences (Stripe facts §85-§87, §116, §118)."""

from typing import Any

DOCS = "https://stripe.com/docs/error-codes/"
NOT_OPEN = "You can only pass in open invoices. This invoice isn't open."
PAID_NOT_VOIDABLE = "Invoices with `paid` payments cannot be voided."
ALREADY_FINAL = "This invoice is already finalized, you can't re-finalize a non-draft invoice."
ALREADY_PAID = "Invoice is already paid"
ONLY_DRAFTS = "You can only delete draft invoices."
NOT_EDITABLE = "Finalized invoices can't be updated in this way"


class ApiError(Exception):
    """An answer other than 200.

    `stored` tells whether an idempotency key keeps it: refusals before the endpoint started work are not kept.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        stored: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = headers or {}
        self.stored = stored

    def body(self) -> dict[str, Any]:
        """Render Stripe's error envelope."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = DOCS + self.code.replace("_", "-")
        if self.param is not None:
            error["param"] = self.param
        return {"error": error}


def refused(message: str, *, code: str | None = None, param: str | None = None) -> ApiError:
    """Build a 400 the endpoint itself decided on (an idempotency key keeps it)."""
    return ApiError(400, message, code=code, param=param)


def invalid(message: str, param: str, *, code: str | None = None) -> ApiError:
    """Build a 400 of parameter validation (an idempotency key does not keep it, facts §77)."""
    return ApiError(400, message, code=code, param=param, stored=False)


def missing(noun: str, key: str, param: str, *, hint: str = "", status: int = 404) -> ApiError:
    """Build `resource_missing`: 404 in a path, 400 in a parameter."""
    return ApiError(status, f"No such {noun}: '{key}'{hint}", code="resource_missing", param=param)


def unauthorized(message: str) -> ApiError:
    """Build the 401 with its WWW-Authenticate header."""
    return ApiError(401, message, headers={"WWW-Authenticate": 'Bearer realm="Stripe"'}, stored=False)
