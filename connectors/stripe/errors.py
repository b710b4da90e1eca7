"""Every error of stripe-python and the transport, translated into the kinds of `schemas.errors` in one function.

There is no *in doubt* here: every write sets metadata to given values under an idempotency key, which Stripe remembers
for at least 24 hours (docs.stripe.com/api/idempotent_requests); so repeating one whose answer was lost does it once.

`stripe.APIError` and its like tell little by their class (a 404 is an InvalidRequestError, `code` is mostly None), so
status, type and code are read from the answer itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast

import stripe
from pydantic import ValidationError

from connectors.bounded import AnswerTooLarge
from connectors.stripe.metadata import MAX_KEYS
from connectors.stripe.transport import is_bad_address, is_untrusted
from schemas.catalogue import get_entry
from schemas.errors import Blocked, HubError, Refused, RetryLater, RetrySoon

# Longest wait that a Retry-After may ask for; beyond it, something is wrong with the header, not with the server.
_LONGEST_RETRY_AFTER = timedelta(hours=24)
_LONGEST_QUOTE = 300
_SECRETS = re.compile(r"\b(?:sk|rk|pk|whsec|ek)_[A-Za-z0-9_*]+")
_PERMISSION = re.compile(r"'(rak_[a-z_]+)'")
_FIFTY_KEYS = re.compile(r"\b50\b.*\bkeys\b|\bkeys\b.*\b50\b")
_OTHER_MODE = re.compile(r"exists in (?:live|test) mode")


Subject = Literal["invoice", "customer", "event", "account", "product", "price", "tax rate", "credit note"]


@dataclass(frozen=True)
class Call:
    """What was asked, as far as it decides what an error means. `permission`: what a restricted key needs for it."""

    method: Literal["GET", "POST"]
    subject: Subject
    permission: str
    id: str = ""

    @property
    def named(self) -> str:
        """Name the object in a sentence."""
        return f"{self.subject} {self.id}".strip()


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    type: str
    code: str
    param: str
    sentence: str


class CursorExpired(Exception):  # noqa: N818 - tells where to go on from, and is no failure of a call
    """Stripe no longer knows the event to go on after (it keeps 30 days): list by `created_gte`, or list invoices."""


def classify_failure(call: Call, failure: BaseException) -> HubError:
    """Turn whatever went wrong with a call into the error that says what to do about it.

    Args:
        call: What was asked.
        failure: What stripe-python raised, the expiry of the deadline, or an answer of the wrong shape.
    """
    match failure:
        case HubError():
            return failure
        case TimeoutError():
            return RetrySoon("Stripe did not answer in time.", code="stripe.connection.timeout", context=_name(call))
        case ValidationError():
            return build_unreadable(call, fields=_list_fields(failure))
        case stripe.StripeError() if failure.http_status is not None:
            return _classify_answer(call, _read_answer(failure, failure.http_status))
        case stripe.APIConnectionError():
            return _classify_connection(call, failure)
        case _:
            return HubError(
                "Something unforeseen went wrong in a call to Stripe.",
                code="stripe.call.unexpected",
                context=_name(call, error=type(failure).__name__),
            )


def build_unreadable(call: Call, **facts: str) -> RetrySoon:
    """Build the error for an answer that is cut short, or has another shape than Stripe documents."""
    return RetrySoon("Stripe's answer can't be read.", code="stripe.answer.unreadable", context=_name(call, **facts))


def find_retry_after(failure: stripe.StripeError) -> timedelta | None:
    """Read Retry-After: seconds or an HTTP date; None if absent or unreadable, never negative, at most a day."""
    return _parse_retry_after(_read_headers(failure))


def is_advised(failure: stripe.StripeError) -> bool:
    """Tell whether Stripe itself said if a retry makes sense: stripe-python has followed it by then."""
    return "stripe-should-retry" in _read_headers(failure)


def _classify_connection(call: Call, failure: stripe.APIConnectionError) -> HubError:
    cause = failure.__cause__
    context = _name(call, transport_error=type(cause or failure).__name__)
    if is_untrusted(cause):
        return Blocked(
            "The certificate of Stripe's address is not trusted. Check the address and the CA bundle.",
            code="stripe.connection.untrusted",
            context=context,
        )
    if is_bad_address(cause):
        return _build_address_error(context)
    if isinstance(cause, TimeoutError):
        return RetrySoon("Stripe did not answer in time.", code="stripe.connection.timeout", context=context)
    if isinstance(cause, AnswerTooLarge):
        return RetryLater(
            "Stripe's answer is longer than the hub reads.", code="stripe.answer.too_large", context=context
        )
    return RetrySoon("The connection to Stripe failed.", code="stripe.connection.failed", context=context)


def _build_address_error(context: Mapping[str, str]) -> Blocked:
    return Blocked(
        "The address set for Stripe is not that of its API. Check the hub's setting for it.",
        code="stripe.connection.address",
        context=context,
    )


def _classify_answer(call: Call, answer: _Answer) -> HubError:
    context = _build_context(call, answer)
    return (
        _classify_key(call, answer, context)
        or _classify_missing(call, answer, context)
        or _classify_conflict(answer, context)
        or _classify_load(answer, context)
        or _classify_shape(call, answer, context)
        or _classify_refusal(call, answer, context)
    )


def _classify_key(call: Call, answer: _Answer, context: Mapping[str, str]) -> HubError | None:
    """Sort out what blocks the connection as a whole: the key, its permissions, access to the account."""
    if answer.status == 401:  # noqa: PLR2004
        entry = get_entry("stripe.credentials.rejected")
        return Blocked(
            f"{entry.cause} {entry.fix}",
            code=entry.code,
            context=context,
        )
    if answer.status != 403:  # noqa: PLR2004
        return None
    if answer.code in {"account_invalid", "platform_account_required"} or "have access to account" in answer.sentence:
        return Blocked(
            "Stripe no longer gives the hub access to this account. Connect Stripe again in the hub.",
            code="stripe.account.no_access",
            context=context,
        )
    found = _PERMISSION.search(answer.sentence)
    return Blocked(
        f"The Stripe key lacks a permission. Give it {call.permission}{f' ({found[1]})' if found else ''} in Stripe "
        "(Developers, API keys); the hub then goes on by itself.",
        code="stripe.credentials.forbidden",
        context={**context, "provider_sentence": answer.sentence},
    )


def _classify_missing(call: Call, answer: _Answer, context: Mapping[str, str]) -> HubError | None:
    if answer.status != 404:  # noqa: PLR2004
        return None
    if answer.code != "resource_missing":
        return _build_address_error(context)
    if _OTHER_MODE.search(answer.sentence):
        return Refused(
            f"The {call.named} belongs to Stripe's other mode: live and test data are kept apart.",
            code=f"stripe.{call.subject}.other_mode",
            fix="Replay it in the connection for that mode, or connect Stripe again with a key of the right mode.",
            context=context,
        )
    return Refused(
        f"The {call.named} does not exist in Stripe (any more).",
        code=f"stripe.{call.subject}.missing",
        fix="Check whether it was deleted in Stripe, or belongs to another account.",
        context=context,
    )


def _classify_conflict(answer: _Answer, context: Mapping[str, str]) -> HubError | None:
    if answer.type == "idempotency_error" and answer.status == 400:  # noqa: PLR2004
        # A defect of ours, nobody else can mend it: a key must change with what is sent.
        return HubError(
            "The hub used an idempotency key twice for different contents.",
            code="stripe.idempotency.key_reused",
            context=context,
        )
    if answer.code == "idempotency_key_in_use":
        return RetrySoon(
            "The same write is still under way in Stripe.", code="stripe.idempotency.key_in_use", context=context
        )
    if answer.status == 409 or answer.code == "lock_timeout":  # noqa: PLR2004
        return RetrySoon(
            "Somebody else changes the same object in Stripe at this moment.",
            code="stripe.object.locked",
            context=context,
        )
    return None


def _classify_load(answer: _Answer, context: Mapping[str, str]) -> HubError | None:
    wait = _parse_retry_after(answer.headers)
    if answer.status == 429 or answer.code == "rate_limit":  # noqa: PLR2004
        return RetryLater(
            "Stripe takes no more requests at the moment. The hub goes on by itself.",
            code="stripe.rate.limited",
            context=context,
            retry_after=wait,
        )
    if answer.status == 503 or (answer.status >= 500 and wait):  # noqa: PLR2004
        return RetryLater(
            "Stripe is not available at the moment. The hub goes on by itself.",
            code="stripe.service.unavailable",
            context=context,
            retry_after=wait,
        )
    if answer.status >= 500 or answer.status == 408:  # noqa: PLR2004
        return RetrySoon("Stripe failed to answer.", code="stripe.service.failed", context=context)
    return None


def _classify_shape(call: Call, answer: _Answer, context: Mapping[str, str]) -> HubError | None:
    if answer.status < 300:  # noqa: PLR2004 - a success that can't be read
        return build_unreadable(call, **context)
    if answer.status < 400:  # noqa: PLR2004 - redirects are not followed: the key must not travel
        return _build_address_error(context)
    return None


def _classify_refusal(call: Call, answer: _Answer, context: Mapping[str, str]) -> Refused:
    if answer.param.startswith("metadata") and _FIFTY_KEYS.search(answer.sentence):
        return Refused(
            f"The {call.named} has no room for the hub's metadata: Stripe allows {MAX_KEYS} keys.",
            code="stripe.metadata.too_many_keys",
            fix="Delete metadata of the invoice in Stripe that nobody needs, then replay.",
            context=context,
        )
    said = f": {answer.sentence}" if answer.sentence else "."
    return Refused(
        f"Stripe refused a request about the {call.named}{said}",
        code=f"stripe.{call.subject}.refused",
        fix="Look at the object in Stripe; when it is in order, replay.",
        context=context,
    )


def _read_answer(failure: stripe.StripeError, status: int) -> _Answer:
    body = failure.json_body
    error = cast("dict[str, Any]", body).get("error") if isinstance(body, dict) else None
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {}

    def text(name: str) -> str:
        value = fields.get(name)
        return value if isinstance(value, str) else ""

    sentence = _SECRETS.sub("(key)", text("message"))[:_LONGEST_QUOTE]
    return _Answer(status, _read_headers(failure), text("type"), text("code"), text("param"), sentence)


def _read_headers(failure: stripe.StripeError) -> Mapping[str, str]:
    """Find the headers, by lower-case names: for a body that is no JSON the SDK passes them as `json_body`."""
    headers: object = failure.headers
    if not headers and isinstance(failure.json_body, Mapping):
        headers = cast("object", failure.json_body)
    found = cast("Mapping[Any, Any]", headers) if isinstance(headers, Mapping) else {}
    return {str(name).lower(): value for name, value in found.items() if isinstance(value, str)}


def _parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    text = headers.get("retry-after", "").strip()
    try:
        wait = timedelta(seconds=float(text)) if text[:1].isdecimal() else _until(text)
    except (ValueError, OverflowError):
        return None
    return max(timedelta(0), min(wait, _LONGEST_RETRY_AFTER))


def _until(text: str) -> timedelta:
    moment = parsedate_to_datetime(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)


def _list_fields(error: ValidationError) -> str:
    """Where the answer has another shape, without what stands there."""
    places = [".".join(map(str, one["loc"])) for one in error.errors(include_url=False, include_input=False)]
    return ", ".join(places[:5])


def _name(call: Call, **facts: str) -> dict[str, str]:
    context = {"method": call.method, "subject": call.subject, "id": call.id, **facts}
    return {name: text for name, text in context.items() if text}


def _build_context(call: Call, answer: _Answer) -> dict[str, str]:
    return _name(
        call,
        status=str(answer.status),
        provider_type=answer.type,
        provider_code=answer.code,
        param=answer.param,
        request_id=answer.headers.get("request-id", ""),
        idempotent_replayed=answer.headers.get("idempotent-replayed", ""),
    )
