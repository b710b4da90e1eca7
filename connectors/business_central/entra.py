"""MSAL kept at arm's length: it blocks, so it runs in a thread; what goes wrong becomes one of our kinds."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msal
import requests
from msal.exceptions import MsalServiceError
from pydantic import SecretStr

from connectors.business_central.odata import parse_guid
from schemas.catalogue import get_entry
from schemas.errors import Blocked, HubError, RetryLater

T = TypeVar("T")

SCOPES = ["https://api.businesscentral.dynamics.com/.default"]
# One sign-in is two requests, discovery and token; each may take this long to connect and to answer.
_REQUEST_SECONDS = 8
# A body may take this long in all, and have so many bytes; a token has some thousand.
_ANSWER_SECONDS = 8
_LONGEST_ANSWER = 2**20
_CHUNK = 2**14
_DEADLINE = timedelta(seconds=20)


@dataclass(frozen=True)
class EntraApp:
    """The app registration that signs in.

    Args:
        authority: `https://login.microsoftonline.com`, without tenant. MSAL takes https only.
        client_secret: None for a public client, which can sign in by device code alone.
        ca_bundle: Certificates to trust instead of the usual ones.
    """

    authority: str
    tenant: str
    client_id: str
    client_secret: SecretStr | None = None
    ca_bundle: Path | None = None


async def run_with_app(
    app: EntraApp,
    work: Callable[[msal.ClientApplication], T],
    *,
    cache: msal.TokenCache | None = None,
    deadline: timedelta = _DEADLINE,
) -> T:
    """Run blocking work with a new MSAL app in a thread.

    A new app each time: MSAL remembers refusals for up to a minute, and would repeat them after the cause is gone.

    Raises:
        RetryLater: the sign-in service can't be reached, or not in time; the thread ends by its own time-outs.
        Blocked: the sign-in service refuses for good.
    """
    try:
        async with asyncio.timeout(deadline.total_seconds()):
            return await asyncio.to_thread(_run, app, work, cache)
    except Exception as failure:
        raise classify_sign_in_failure(failure) from failure


async def fetch_tenant_id(app: EntraApp) -> str | None:
    """Return the GUID of the app's tenant, which may be named by a domain; None where the service does not tell.

    Raises:
        RetryLater, Blocked: as `run_with_app`.
    """
    return parse_guid(app.tenant) or await run_with_app(app, _read_tenant_id)


def _read_tenant_id(application: msal.ClientApplication) -> str | None:
    """Find it where discovery says that tokens are to be had."""
    endpoint: Any = application.authority
    parts = urlsplit(str(endpoint.token_endpoint)).path.split("/")
    return next((guid for guid in map(parse_guid, parts) if guid), None)


def require_token(result: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return MSAL's result if it holds a token.

    Raises:
        Blocked, RetryLater: it holds an error, or nothing.
    """
    if result is not None and "access_token" in result:
        return result
    raise classify_sign_in_failure({"error": "interaction_required"} if result is None else result)


def _run(app: EntraApp, work: Callable[[msal.ClientApplication], T], cache: msal.TokenCache | None) -> T:
    # Closed here, for MSAL's own session would stay open when the discovery fails.
    with _Session(app.ca_bundle) as session:
        return work(_build_application(app, cache, session))


def _build_application(
    app: EntraApp, cache: msal.TokenCache | None, session: requests.Session
) -> msal.ClientApplication:
    kind = msal.PublicClientApplication if app.client_secret is None else msal.ConfidentialClientApplication
    return kind(
        app.client_id,
        client_credential=app.client_secret.get_secret_value() if app.client_secret else None,
        authority=f"{app.authority.rstrip('/')}/{app.tenant}",
        instance_discovery=False,
        token_cache=cache,
        http_client=session,
    )


class _Session(requests.Session):
    """Sets time-out and certificates on each request: REQUESTS_CA_BUNDLE overrides what is set on the session."""

    def __init__(self, ca_bundle: Path | None) -> None:
        super().__init__()
        self._fixed: dict[str, Any] = {"timeout": _REQUEST_SECONDS}
        if ca_bundle is not None:
            self._fixed["verify"] = str(ca_bundle)

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request, as MSAL does through `get` and `post`, and read its answer to a limit.

        Raises:
            requests.ConnectionError: the answer is longer than any of a sign-in, or takes longer.
        """
        response = super().request(*args, **{**options, **self._fixed, "stream": True})
        ends, body = time.monotonic() + _ANSWER_SECONDS, b""
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > _LONGEST_ANSWER or time.monotonic() > ends:
                response.close()
                raise requests.ConnectionError("the sign-in service's answer is too long")
        response._content = body  # noqa: SLF001 # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - there is no other way in
        return response


_EXPIRED = "bc.sign_in.expired"
_UNKNOWN_TENANT = "bc.sign_in.unknown_tenant"
_UNKNOWN_APP = "bc.sign_in.unknown_app"
_WRONG_SECRET = "bc.sign_in.wrong_secret"  # noqa: S105 - a code
_CONSENT = "bc.sign_in.consent_missing"
_DENIED = "bc.sign_in.denied"
_CODE_EXPIRED = "bc.sign_in.code_expired"
_MFA = "bc.sign_in.interaction_needed"
_REFUSED = "bc.sign_in.refused"

# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_BY_NUMBER: dict[int, str] = {
    7000215: _WRONG_SECRET,
    7000216: _WRONG_SECRET,
    7000218: _WRONG_SECRET,
    7000222: "bc.sign_in.expired_secret",
    90002: _UNKNOWN_TENANT,
    900023: _UNKNOWN_TENANT,
    700016: _UNKNOWN_APP,
    7000112: "bc.sign_in.app_disabled",
    65001: _CONSENT,
    65004: _DENIED,
    70008: _EXPIRED,
    70043: _EXPIRED,
    700082: _EXPIRED,
    700084: _EXPIRED,
    50173: _EXPIRED,
    50034: "bc.sign_in.unknown_user",
    50057: "bc.sign_in.user_disabled",
    50076: _MFA,
    50079: _MFA,
    53003: "bc.sign_in.policy",
    70019: _CODE_EXPIRED,
    70020: _CODE_EXPIRED,
    54005: _CODE_EXPIRED,
}
_BY_NAME: dict[str, str] = {
    "invalid_client": _WRONG_SECRET,
    "unauthorized_client": _UNKNOWN_APP,
    "consent_required": _CONSENT,
    "access_denied": _DENIED,
    "authorization_declined": _DENIED,
    "expired_token": _CODE_EXPIRED,
    "code_expired": _CODE_EXPIRED,
    "authorization_pending": _CODE_EXPIRED,
    "interaction_required": _EXPIRED,
    "invalid_grant": _EXPIRED,
}
# Trouble of the service itself: 50196 is a client that asks too often. A refusal always has a name; a gateway's 429 may
# come without one.
_TRANSIENT_NUMBERS = frozenset({50196, 90033, 90055, 90094, 900441})
_TRANSIENT_NAMES = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


def classify_sign_in_failure(failure: BaseException | Mapping[str, Any]) -> HubError:
    """Turn an MSAL result without a token, or what MSAL raised, into the error that says what to do."""
    match failure:
        case HubError():
            return failure
        case Mapping():
            return _classify_result(failure)
        case requests.exceptions.SSLError():
            return Blocked(
                "The certificate of the sign-in service is not trusted. Check the authority and the CA bundle.",
                code="bc.sign_in.untrusted",
                context={"transport_error": type(failure).__name__},
            )
        # MSAL raises a bare ValueError when discovery answers 4xx, or the authority is no https address.
        case ValueError() if "authority" in str(failure).lower() or "openid" in str(failure).lower():
            return _build_refusal(_UNKNOWN_TENANT)
        case TimeoutError() | OSError() | MsalServiceError() | RuntimeError():
            return RetryLater(
                "The sign-in service of Microsoft can't be reached at the moment.",
                code="bc.sign_in.unreachable",
                context={"transport_error": type(failure).__name__},
            )
        case _:
            return RetryLater(
                "The sign-in service of Microsoft answered something unforeseen.",
                code="bc.sign_in.unknown",
                context={"transport_error": type(failure).__name__},
            )


def _classify_result(result: Mapping[str, Any]) -> HubError:
    name, description = str(result.get("error") or ""), str(result.get("error_description") or "")
    numbers = _get_numbers(result, description)
    context = {
        "error": name,
        "aadsts": " ".join(map(str, numbers)),
        "correlation_id": str(result.get("correlation_id") or ""),
        "trace_id": str(result.get("trace_id") or ""),
    }
    context = {key: text for key, text in context.items() if text}
    if not name or name in _TRANSIENT_NAMES or _TRANSIENT_NUMBERS.intersection(numbers):
        return RetryLater("The sign-in service of Microsoft is busy.", code="bc.sign_in.unavailable", context=context)
    known = next((_BY_NUMBER[number] for number in numbers if number in _BY_NUMBER), None)
    return _build_refusal(known or _BY_NAME.get(name, _REFUSED), context)


def _build_refusal(code: str, context: Mapping[str, str] | None = None) -> Blocked:
    entry = get_entry(code)
    return Blocked(f"{entry.cause} {entry.fix}", code=code, context=context)


def _get_numbers(result: Mapping[str, Any], description: str) -> list[int]:
    listed = result.get("error_codes")
    numbers = [number for number in listed if isinstance(number, int)] if isinstance(listed, list) else []
    return numbers or [int(digits) for digits in re.findall(r"AADSTS(\d{4,9})", description)]
