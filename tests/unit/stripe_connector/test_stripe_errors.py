import ssl
from collections.abc import Iterator
from datetime import timedelta

import aiohttp
import pytest
import stripe
from pydantic import TypeAdapter, ValidationError
from stripe import oauth_error

from connectors.stripe.client import StripeApi
from connectors.stripe.errors import Call, classify_failure, find_retry_after
from schemas.errors import ErrorKind, HubError, InDoubt, Refused, RetryLater, RetrySoon
from tests.unit.stripe_connector.fake_stripe import FakeStripe, Reply, fail

CALL = Call("GET", "invoice", "Invoices: Read", "in_1")
LACKS = (
    "The provided key 'rk_live_*********abcd' does not have the required permissions for this endpoint on account "
    "'acct_1'. Having the 'rak_invoice_read' permission would allow this request to continue."
)
NO_ACCESS = (
    "The provided key 'sk_test_***' does not have access to account 'acct_1' (or that account does not exist). "
    "Application access may have been revoked."
)
OTHER_MODE = "No such invoice: 'in_1'; a similar object exists in live mode, but a test mode key was used."
FIFTY = "Metadata can have up to 50 keys, but the result would have 51."

ROWS: list[tuple[Reply, ErrorKind, str]] = [
    (Reply(b"{", 200), "retry_soon", "stripe.answer.unreadable"),
    (Reply(b"\xff", 200), "retry_soon", "stripe.answer.unreadable"),
    (Reply(b"\xff\xfe", 503), "retry_later", "stripe.service.unavailable"),
    (Reply([], 200), "retry_soon", "stripe.answer.unreadable"),
    (Reply({"id": "in_1"}, 200), "retry_soon", "stripe.answer.unreadable"),
    (Reply({}, 301, {"Location": "https://example.com"}), "blocked", "stripe.connection.address"),
    (Reply(b"<html>", 302), "blocked", "stripe.connection.address"),
    (fail(400), "refused", "stripe.invoice.refused"),
    (fail(400, "parameter_unknown", param="x"), "refused", "stripe.invoice.refused"),
    (Reply(b"<html>", 400), "refused", "stripe.invoice.refused"),
    (Reply({"error": "invalid_request"}, 400), "refused", "stripe.invoice.refused"),
    (Reply({"error": "invalid_grant"}, 400), "refused", "stripe.invoice.refused"),
    (fail(400, "rate_limit"), "retry_later", "stripe.rate.limited"),
    (fail(400, "resource_missing", param="customer"), "refused", "stripe.invoice.refused"),
    (fail(400, param="metadata", message=FIFTY), "refused", "stripe.metadata.too_many_keys"),
    (fail(400, type="idempotency_error"), "unexpected", "stripe.idempotency.key_reused"),
    (fail(401), "blocked", "stripe.credentials.rejected"),
    (Reply(b"", 401), "blocked", "stripe.credentials.rejected"),
    (fail(402, "card_declined", type="card_error"), "refused", "stripe.invoice.refused"),
    (fail(403, message=LACKS), "blocked", "stripe.credentials.forbidden"),
    (fail(403), "blocked", "stripe.credentials.forbidden"),
    (fail(403, message=NO_ACCESS), "blocked", "stripe.account.no_access"),
    (fail(403, "account_invalid"), "blocked", "stripe.account.no_access"),
    (fail(404, "resource_missing", message=OTHER_MODE), "refused", "stripe.invoice.other_mode"),
    (fail(404), "blocked", "stripe.connection.address"),
    (Reply(b"<html>", 404), "blocked", "stripe.connection.address"),
    (fail(405), "refused", "stripe.invoice.refused"),
    (fail(408), "retry_soon", "stripe.service.failed"),
    (fail(409), "retry_soon", "stripe.object.locked"),
    (fail(409, "lock_timeout"), "retry_soon", "stripe.object.locked"),
    (fail(409, "idempotency_key_in_use", type="idempotency_error"), "retry_soon", "stripe.idempotency.key_in_use"),
    (fail(429, "lock_timeout"), "retry_soon", "stripe.object.locked"),
    (fail(429, "rate_limit"), "retry_later", "stripe.rate.limited"),
    (fail(429), "retry_later", "stripe.rate.limited"),
    (Reply(b"slow down", 429), "retry_later", "stripe.rate.limited"),
    (fail(500), "retry_soon", "stripe.service.failed"),
    (Reply(b"<html>", 502), "retry_soon", "stripe.service.failed"),
    (fail(503), "retry_later", "stripe.service.unavailable"),
    (Reply(b"<html>", 503), "retry_later", "stripe.service.unavailable"),
    (fail(504), "retry_soon", "stripe.service.failed"),
    (fail(500, headers={"Retry-After": "30"}), "retry_later", "stripe.service.unavailable"),
]


def iterate_subclasses(base: type[BaseException]) -> Iterator[type[BaseException]]:
    for one in base.__subclasses__():
        yield one
        yield from iterate_subclasses(one)


SDK_ERRORS = sorted({oauth_error.OAuthError, *iterate_subclasses(stripe.StripeError)}, key=str)


def build_bare(kind: type[BaseException], status: int | None) -> stripe.StripeError:
    """Build an SDK error of any class, whatever its constructor wants."""
    failure = kind.__new__(kind)
    assert isinstance(failure, stripe.StripeError)
    stripe.StripeError.__init__(failure, "words", http_status=status)
    return failure


def build_validation_error() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(int).validate_python("secret")
    return caught.value


def build_connection_error(cause: Exception) -> stripe.APIConnectionError:
    failure = stripe.APIConnectionError("words")
    failure.__cause__ = cause
    return failure


@pytest.mark.parametrize(("reply", "kind", "code"), ROWS, ids=lambda value: value if isinstance(value, str) else "")
async def test_every_answer_becomes_the_kind_that_says_what_to_do(
    fake: FakeStripe, api: StripeApi, reply: Reply, kind: ErrorKind, code: str
) -> None:
    fake.answer(reply)
    with pytest.raises(HubError) as raised:
        await api.fetch_invoice("in_1")
    assert (raised.value.kind, raised.value.code) == (kind, code)
    assert not isinstance(raised.value, InDoubt)


@pytest.mark.parametrize("kind", SDK_ERRORS)
@pytest.mark.parametrize("status", [None, 400, 429, 500])
def test_no_error_class_of_the_sdk_falls_through(kind: type[BaseException], status: int | None) -> None:
    error = classify_failure(CALL, build_bare(kind, status))
    assert error.code.startswith("stripe.")
    assert error.message.endswith((".", "words"))


@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        (TimeoutError(), "retry_soon", "stripe.connection.timeout"),
        (build_connection_error(aiohttp.ServerDisconnectedError()), "retry_soon", "stripe.connection.failed"),
        (build_connection_error(ConnectionResetError()), "retry_soon", "stripe.connection.failed"),
        (build_connection_error(aiohttp.ServerTimeoutError()), "retry_soon", "stripe.connection.timeout"),
        (build_connection_error(ssl.SSLCertVerificationError()), "blocked", "stripe.connection.untrusted"),
        (build_connection_error(aiohttp.InvalidURL("x")), "blocked", "stripe.connection.address"),
        (stripe.APIConnectionError("words"), "retry_soon", "stripe.connection.failed"),
        (build_validation_error(), "retry_soon", "stripe.answer.unreadable"),
        (stripe.SignatureVerificationError("words", "header"), "unexpected", "stripe.call.unexpected"),
        (RuntimeError("odd"), "unexpected", "stripe.call.unexpected"),
    ],
)
def test_every_failure_without_an_answer_has_its_kind(failure: Exception, kind: ErrorKind, code: str) -> None:
    error = classify_failure(CALL, failure)
    assert (error.kind, error.code) == (kind, code)


def test_what_is_translated_already_stays() -> None:
    error = RetrySoon("words", code="stripe.a.b")
    assert classify_failure(CALL, error) is error


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("1.5", 1.5),
        ("0", 0),
        ("99999999999", 86_400),
        ("1e999", None),
        ("-3", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
        ("Mon, 01 Jan 2001 00:00:00", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(text: str, seconds: float | None) -> None:
    failure = stripe.RateLimitError("words", http_status=429, headers={"Retry-After": text})
    wait = find_retry_after(failure)
    assert (None if wait is None else wait.total_seconds()) == seconds


async def test_retry_after_of_a_body_that_is_no_json_is_honoured_too(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply(b"<html>", 503, {"Retry-After": "120"}))
    with pytest.raises(RetryLater) as raised:
        await api.fetch_invoice("in_1")
    assert raised.value.retry_after == timedelta(seconds=120)
    assert raised.value.context["request_id"] == "req_fake"


async def test_the_context_names_the_request_and_stripes_own_code(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(400, "parameter_invalid", param="limit"))
    with pytest.raises(Refused) as raised:
        await api.fetch_invoice("in_1")
    assert raised.value.context == {
        "method": "GET",
        "subject": "invoice",
        "id": "in_1",
        "status": "400",
        "provider_type": "invalid_request_error",
        "provider_code": "parameter_invalid",
        "param": "limit",
        "request_id": "req_fake",
    }
    assert raised.value.fix


async def test_a_missing_permission_is_named_so_that_it_can_be_given(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(403, message=LACKS))
    with pytest.raises(HubError, match=r"Invoices: Read \(rak_invoice_read\)") as raised:
        await api.fetch_invoice("in_1")
    assert "rk_live" not in f"{raised.value}{dict(raised.value.context)}"


async def test_no_key_gets_into_words_or_context(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(400, message="Bad key sk_live_abc123 and whsec_xyz."))
    with pytest.raises(HubError) as raised:
        await api.fetch_invoice("in_1")
    assert "sk_live" not in raised.value.message
    assert "whsec" not in raised.value.message


async def test_a_stored_failure_that_is_replayed_is_told(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(500, headers={"Idempotent-Replayed": "true", "Stripe-Should-Retry": "false"}))
    with pytest.raises(RetrySoon) as raised:
        await api.update_invoice_metadata("in_1", {"a": "b"}, idempotency_key="k")
    assert raised.value.context["idempotent_replayed"] == "true"
    assert len(fake.asked) == 1
