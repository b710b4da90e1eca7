"""Every answer and transport error of Business Central, translated into the kinds of `schemas.errors` in one function.

The line that matters runs through the middle: a *write* is retried only where nothing can have been done. When the
body may have gone out and no answer says what became of it, the write is in doubt, and the caller looks first.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal, cast

import httpx

from connectors.bounded import AnswerTooLarge
from connectors.business_central.exact_json import parse_json
from connectors.business_central.refusals import LONGEST_SENTENCE, find_code, read_facts
from schemas.catalogue import get_entry
from schemas.errors import Blocked, HubError, InDoubt, Refused, RetryLater, RetrySoon

# At the end of each sentence: two blanks, CorrelationId, two blanks, GUID, full stop.
_CORRELATION_MARK = "CorrelationId:"
_CORRELATION = re.compile(r"\s{0,9}([0-9a-fA-F-]{36})\.?")
_LOCKED = re.compile(r"locked by another|deadlock|being updated in a transaction", re.IGNORECASE)
_CHANGED = re.compile(r"another user has (already )?(changed|modified)|change an old version of", re.IGNORECASE)
# Its sentence quotes the text that was sent.
_QUOTES_TEXT = "Application_StringExceededLength"
# Longest wait that a Retry-After may ask for; beyond it, something is wrong with the header, not with the server.
_LONGEST_RETRY_AFTER = timedelta(hours=24)
_MOST_DIGITS = 12
_LONGEST_QUOTE = 500
_LONGEST_CODE = 100
# Raised by the transport only while no connection stands, so nothing was sent.
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True)
class Call:
    """What was asked, as far as it decides what an error means. `by_id`: the path names one record."""

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    subject: str
    by_id: bool = False

    @property
    def writes(self) -> bool:
        """Tell whether the call may change something."""
        return self.method != "GET"


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content: bytes = b""

    @property
    def request_id(self) -> str | None:
        """Name the request to Microsoft's support."""
        return self.headers.get("request-id") or self.headers.get("x-ms-correlation-id")

    @property
    def date(self) -> datetime | None:
        """When it was answered, by the server's own clock; None where it does not say."""
        return _parse_date(self.headers.get("date", ""))


@dataclass(frozen=True)
class _ProviderError:
    code: str
    sentence: str
    correlation_id: str | None


def classify_failure(call: Call, failure: RawAnswer | BaseException) -> HubError:
    """Turn whatever went wrong with a call into the error that says what to do about it.

    Args:
        call: What was asked.
        failure: An answer that is no success, or a success that can't be read; or what the transport raised.
    """
    if isinstance(failure, HubError):
        return failure
    if isinstance(failure, RawAnswer):
        return _classify_answer(call, failure)
    return _classify_exception(call, failure)


def is_changed(answer: RawAnswer) -> bool:
    """Tell whether somebody else changed the record since its etag was read."""
    return answer.status in {409, 412} or _parse_error(answer).code == "Request_EntityChanged"


def parse_retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> timedelta | None:
    """Read Retry-After: seconds or an HTTP date; None if absent or unreadable, never negative, at most a day."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        wait = timedelta(seconds=min(int(text[:_MOST_DIGITS]), _LONGEST_RETRY_AFTER.total_seconds()))
    else:
        wait = _until(text, now or datetime.now(UTC))
    return None if wait is None else max(timedelta(0), min(wait, _LONGEST_RETRY_AFTER))


def _until(text: str, now: datetime) -> timedelta | None:
    moment = _parse_date(text)
    return None if moment is None else moment - now


def _parse_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _classify_exception(call: Call, failure: BaseException) -> HubError:
    context = _build_context(call, transport_error=type(failure).__name__)
    if _is_untrusted(failure):
        return Blocked(
            "The certificate of Business Central's address is not trusted. Check the address and the CA bundle.",
            code="bc.connection.untrusted",
            context=context,
        )
    if isinstance(failure, _BEFORE_SENDING):
        return RetrySoon(
            "Business Central can't be reached at the moment.", code="bc.connection.failed", context=context
        )
    if isinstance(failure, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return Blocked(
            "Business Central's address is not one that can be called. Check HUB's setting for it.",
            code="bc.connection.address",
            context=context,
        )
    if call.writes:
        return _build_doubt(call, context)
    return _classify_read_exception(failure, context)


def _classify_read_exception(failure: BaseException, context: dict[str, str]) -> HubError:
    if isinstance(failure, (TimeoutError, httpx.TimeoutException)):
        return RetryLater("Business Central did not answer in time.", code="bc.answer.timeout", context=context)
    if isinstance(failure, AnswerTooLarge):
        return build_too_large(context)
    if isinstance(failure, (httpx.TransportError, OSError)):
        return RetrySoon("The connection to Business Central broke.", code="bc.connection.broken", context=context)
    return RetrySoon(
        "Something unforeseen went wrong while reading from Business Central.",
        code="bc.connection.unknown",
        context=context,
    )


def build_too_large(context: Mapping[str, str]) -> RetryLater:
    """Build the error for a list or record beyond what the hub reads; a write whose answer is so is in doubt."""
    return RetryLater(
        "Business Central's answer is longer than the hub reads.", code="bc.answer.too_large", context=context
    )


def _is_untrusted(failure: BaseException | None) -> bool:
    while failure is not None:
        if isinstance(failure, ssl.SSLCertVerificationError):
            return True
        failure = failure.__cause__
    return False


def _classify_answer(call: Call, answer: RawAnswer) -> HubError:
    error = _parse_error(answer)
    context = _build_context(call, answer, error)
    if answer.status < 300:  # noqa: PLR2004 - a success that can't be read
        return _classify_unreadable(call, context)
    if answer.status < 400:  # noqa: PLR2004
        return Blocked(
            "Business Central's address answers with a redirect, which the hub does not follow. Check the address.",
            code="bc.connection.address",
            context=context,
        )
    wait = parse_retry_after(answer.headers)
    if call.writes and (answer.status >= 500 or answer.status == 408):  # noqa: PLR2004
        return _build_doubt(call, context, wait)
    return (
        _classify_account(error, answer, context)
        or _classify_load(answer, error, wait, context)
        or (_classify_request(call, answer, error, context))
    )


def _classify_unreadable(call: Call, context: dict[str, str]) -> HubError:
    if call.writes:
        return _build_doubt(call, context)
    return RetrySoon("Business Central's answer can't be read.", code="bc.answer.unreadable", context=context)


def _build_doubt(call: Call, context: dict[str, str], wait: timedelta | None = None) -> InDoubt:
    deed = {"DELETE": "deleting", "PATCH": "changing"}.get(call.method, "creating")
    return InDoubt(
        f"Business Central did not say whether {deed} the {call.subject} worked. "
        "The hub looks before it tries again; nothing needs to be done.",
        code=f"bc.{call.subject}.in_doubt",
        context=context,
        retry_after=wait,
    )


def _classify_account(error: _ProviderError, answer: RawAnswer, context: dict[str, str]) -> HubError | None:
    """Sort out what blocks the connection as a whole: credentials, permissions, company, tenant."""
    if answer.status == 403 or error.code.startswith("Authorization_"):  # noqa: PLR2004
        return Blocked(
            "Business Central does not allow the hub's app or user to do this. "
            "Give it the permission sets for sales invoices and customers there; the hub then goes on by itself.",
            code="bc.credentials.forbidden",
            context=context,
        )
    if answer.status == 401 or error.code == "Authentication_InvalidCredentials":  # noqa: PLR2004
        entry = get_entry("bc.credentials.refused")
        return Blocked(f"{entry.cause} {entry.fix}", code=entry.code, context=context)
    if error.code == "Internal_CompanyNotFound":
        return _build_company_missing(context)
    # One that comes with a Retry-After is a passing one, and sorted under load.
    if error.code == "Internal_TenantUnavailable" and parse_retry_after(answer.headers) is None:
        return Blocked(
            "The Business Central environment is not available: stopped, being updated, or gone. "
            "The hub goes on by itself once it is back.",
            code="bc.tenant.unavailable",
            context=context,
        )
    return None


def _build_company_missing(context: dict[str, str]) -> Blocked:
    return Blocked(
        "Business Central has no such tenant, environment or company (any more). "
        "Check the connection, and connect to the right company.",
        code="bc.company.not_found",
        context=context,
    )


def _classify_load(
    answer: RawAnswer, error: _ProviderError, wait: timedelta | None, context: dict[str, str]
) -> HubError | None:
    """Sort out what passes by itself: limits, load, locks. None of it was carried out."""
    if answer.status == 429:  # noqa: PLR2004
        return RetryLater(
            "Business Central is taking no more requests for the moment.",
            code="bc.limit.reached",
            context=context,
            retry_after=wait,
        )
    if answer.status >= 500 or answer.status == 408:  # noqa: PLR2004
        return RetryLater(
            "Business Central is busy or being maintained.",
            code="bc.server.unavailable",
            context=context,
            retry_after=wait,
        )
    # An AL transaction that loses a lock is rolled back as a whole.
    if error.code == _QUOTES_TEXT:
        return None
    if _LOCKED.search(error.sentence):
        return RetrySoon("The record is locked by another user.", code="bc.record.locked", context=context)
    if _CHANGED.search(error.sentence) or (
        is_changed(answer) and error.code in {"", "Request_EntityChanged", "Unknown"}
    ):
        return RetrySoon("Another user has just changed the record.", code="bc.record.changed", context=context)
    return None


def _classify_request(call: Call, answer: RawAnswer, error: _ProviderError, context: dict[str, str]) -> HubError:
    """Sort out what a person must change."""
    if answer.status == 404:  # noqa: PLR2004
        if call.by_id and call.subject != "company":
            return Refused(
                f"The {call.subject} does not exist in Business Central.",
                code=f"bc.{call.subject}.not_found",
                context=context,
            )
        if not (call.writes and error.code.startswith(("Internal_", "Application_"))):
            return _build_company_missing(context)
    entry = get_entry(find_code(error.code, error.sentence))
    quote = f' Business Central says: "{error.sentence[:_LONGEST_QUOTE]}"' if error.sentence else ""
    return Refused(
        f"{entry.cause}{quote}", code=entry.code, fix=entry.fix, context={**context, **read_facts(error.sentence)}
    )


def _parse_error(answer: RawAnswer) -> _ProviderError:
    error = _get_error_object(answer.content)
    sentence, _, tail = str(error.get("message") or "").rpartition(_CORRELATION_MARK)
    match = _CORRELATION.match(tail)
    if match is None:
        sentence = str(error.get("message") or "")
    return _ProviderError(
        code=str(error.get("code") or "")[:_LONGEST_CODE],
        # Business Central doubles blanks where a placeholder is empty.
        sentence=" ".join(sentence[:LONGEST_SENTENCE].split()),
        correlation_id=match.group(1) if match else None,
    )


def _get_error_object(content: bytes) -> dict[str, object]:
    try:
        body = parse_json(content)
    except ValueError:
        return {}
    found = cast("dict[str, object]", body).get("error") if isinstance(body, dict) else None
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _build_context(
    call: Call, answer: RawAnswer | None = None, error: _ProviderError | None = None, **more: str
) -> dict[str, str]:
    context = {"method": call.method, "subject": call.subject, **more}
    if answer is not None and error is not None:
        context |= {
            "status": str(answer.status),
            "provider_code": error.code,
            "request_id": answer.request_id or "",
            "correlation_id": error.correlation_id or "",
        }
    return {name: text for name, text in context.items() if text}
