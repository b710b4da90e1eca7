import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from connectors.stripe.signatures import EventRefused, SignatureRefused, parse_event, verify_webhook
from tests.unit.stripe_connector.fake_stripe import RECORDED, load_sample

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
T = int(NOW.timestamp())
SECRET = "whsec_new"
BODY = (RECORDED / "12_invoice.updated_own_writeback.json").read_bytes()


def digest(body: bytes = BODY, secret: str = SECRET, t: int | str = T) -> str:
    return hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()


def sign(body: bytes = BODY, secret: str = SECRET, t: int = T) -> str:
    return f"t={t},v1={digest(body, secret, t)}"


def test_the_sdks_own_header_is_accepted() -> None:
    header = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, T)
    assert verify_webhook(BODY, header, [SECRET], now=NOW) == 0


@given(st.binary(max_size=300), st.text(min_size=1).filter(str.strip), st.integers(-300, 300))
def test_any_body_and_secret_verify_within_the_tolerance(body: bytes, secret: str, age: int) -> None:
    key = secret.strip().encode("utf-8", "replace")
    t = T - age
    mac = hmac.new(key, f"{t}.".encode() + body, hashlib.sha256).hexdigest()
    assert verify_webhook(body, f"t={t},v1={mac}", ["other", secret], now=NOW) == 1 or secret.strip() == "other"


@given(st.binary(min_size=1, max_size=50), st.integers(0), st.integers(1, 255))
def test_any_changed_byte_is_refused(body: bytes, place: int, change: int) -> None:
    index = place % len(body)
    changed = body[:index] + bytes([body[index] ^ change]) + body[index + 1 :]
    with pytest.raises(SignatureRefused, match="fits none"):
        verify_webhook(changed, sign(body), [SECRET], now=NOW)


@given(st.none() | st.text() | st.text("t=v1,0 é", max_size=40), st.lists(st.text(max_size=9), max_size=3))
def test_whatever_is_sent_nothing_but_a_refusal_is_raised(header: str | None, secrets: list[str]) -> None:
    with pytest.raises(SignatureRefused):
        verify_webhook(BODY, header, secrets, now=NOW)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "no_header"),
        ("", "no_header"),
        ("   ", "no_header"),
        ("garbage", "malformed_header"),
        (f"v1={digest()}", "malformed_header"),
        (f"t={T}", "malformed_header"),
        (f"t={T},v0={digest()}", "malformed_header"),
        (f"t={T}, v1={digest()}", "malformed_header"),
        (f"t={T},t={T},v1={digest()}", "malformed_header"),
        (f"t=,v1={digest()}", "malformed_header"),
        (f"t= {T},v1={digest()}", "malformed_header"),
        (f"t=+{T},v1={digest()}", "malformed_header"),
        (f"t=0{T},v1={digest()}", "malformed_header"),
        (f"t={T}.0,v1={digest()}", "malformed_header"),
        (f"t=-{T},v1={digest()}", "malformed_header"),
        (f"t={'9' * 5000},v1={digest()}", "malformed_header"),
        (f"t=１２,v1={digest()}", "malformed_header"),  # noqa: RUF001 - digits, but not Stripe's
        (f"t={T},v1=", "wrong_signature"),
        (f"t={T},v1={digest().upper()}", "wrong_signature"),
        (f"t={T},v1= {digest()}", "wrong_signature"),
        (f"t={T},v1={digest()}=", "wrong_signature"),
        (f"t={T},v1={'é' * 64}", "wrong_signature"),
        (f"t={T},v1={digest(secret='whsec_other')}", "wrong_signature"),
        (f"t={T + 1},v1={digest()}", "wrong_signature"),
    ],
)
def test_odd_headers_are_refused_with_a_reason(header: str | None, reason: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        verify_webhook(BODY, header, [SECRET], now=NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize("secrets", [[], [""], ["  ", "\n"]])
def test_without_a_secret_nothing_is_accepted_not_even_what_is_signed_with_the_blank_one(secrets: list[str]) -> None:
    with pytest.raises(SignatureRefused) as refused:
        verify_webhook(BODY, sign(secret="".join(secrets)), secrets, now=NOW)
    assert refused.value.reason == "no_secret"


@pytest.mark.parametrize(("age", "reason"), [(301, "too_old"), (86_400, "too_old"), (-301, "from_the_future")])
def test_a_signature_far_from_now_is_refused_on_either_side(age: int, reason: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        verify_webhook(BODY, sign(t=T - age), [SECRET], now=NOW)
    assert refused.value.reason == reason


def test_the_tolerance_can_be_set() -> None:
    assert verify_webhook(BODY, sign(t=T - 3000), [SECRET], now=NOW, tolerance=timedelta(hours=1)) == 0


def test_while_a_secret_is_rolled_either_signature_is_enough() -> None:
    rolled = f"t={T},v1={digest(secret='whsec_old')},v1={digest()},v0={'0' * 64}"
    assert verify_webhook(BODY, rolled, ["whsec_third", SECRET], now=NOW) == 1
    assert verify_webhook(BODY, rolled, ["whsec_old", SECRET], now=NOW) == 0


def test_a_line_break_behind_the_stored_secret_does_no_harm() -> None:
    assert verify_webhook(BODY, sign(), ["", SECRET + "\n"], now=NOW) == 1


def test_the_index_counts_blank_secrets_too() -> None:
    assert verify_webhook(BODY, sign(), ["", "whsec_x", SECRET], now=NOW) == 2


@pytest.mark.parametrize("path", sorted(RECORDED.glob("[0-9]*.*_*.json")), ids=lambda path: path.stem)
def test_every_recorded_event_is_read(path: object) -> None:
    body = (RECORDED / str(path)).read_bytes()
    event = parse_event(body)
    assert event.id == json.loads(body)["id"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"no json", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b'{"id": "\xff"}', "not_json"),
        (b"\xef\xbb\xbf" + BODY, "not_json"),
        (BODY + b"x", "not_json"),
        (BODY[:-5], "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[]", "not_an_event"),
        (b"null", "not_an_event"),
        (b"42", "not_an_event"),
        (b'"x"', "not_an_event"),
        (b"{}", "not_an_event"),
        (b'{"object": "event"}', "not_an_event"),
        (b'{"object": "v2.core.event", "id": "evt_1", "type": "v1.invoice.created"}', "not_an_event"),
    ],
)
def test_bodies_that_are_no_events_are_refused(body: bytes, reason: str) -> None:
    with pytest.raises(EventRefused) as refused:
        parse_event(body)
    assert refused.value.reason == reason


def test_a_thin_event_stands_for_its_snapshot() -> None:
    thin = {"id": "evt_1", "object": "v2.core.event", "type": "v1.invoice.paid", "created": "2026-03-01T12:00:00.5Z"}
    event = parse_event(json.dumps(thin | {"livemode": True, "related_object": {"id": "in_1"}}).encode())

    assert (event.type, event.created, event.livemode, event.is_thin) == ("invoice.paid", 1_772_366_400, True, True)
    assert event.data.object.id == "in_1"


@pytest.mark.parametrize(
    "change", [{"created": "2026-03-01T12:00:00"}, {"created": 1}, {"created": None}, {"id": "1"}, {"context": 1}]
)
def test_a_thin_event_with_what_it_can_not_have_is_refused(change: dict[str, object]) -> None:
    thin = {"id": "evt_1", "object": "v2.core.event", "type": "v1.invoice.paid", "created": "2026-03-01T12:00:00Z"}
    with pytest.raises(EventRefused):
        parse_event(json.dumps(thin | change).encode())


@pytest.mark.parametrize("missing", ["id", "type", "object", "data", "created", "livemode"])
def test_an_event_without_a_part_that_is_relied_upon_is_refused(missing: str) -> None:
    sample = load_sample("12")
    del sample[missing]
    with pytest.raises(EventRefused):
        parse_event(json.dumps(sample).encode())


@pytest.mark.parametrize("data", [{}, {"object": None}, {"object": []}, {"object": "in_1"}, None, []])
def test_an_event_without_its_object_is_refused(data: object) -> None:
    with pytest.raises(EventRefused):
        parse_event(json.dumps({**load_sample("12"), "data": data}).encode())


def test_nan_is_refused_but_a_customer_may_be_called_so() -> None:
    sample = load_sample("12")
    with pytest.raises(EventRefused):
        parse_event(json.dumps({**sample, "odd": float("nan")}).encode())
    assert parse_event(json.dumps({**sample, "name": "NaN Infinity"}).encode()).id == sample["id"]


@given(st.binary() | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)).map(str))
def test_no_body_raises_anything_but_a_refusal(body: bytes | str) -> None:
    with pytest.raises(EventRefused):
        parse_event(body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass"))


def test_refusals_hold_nothing_of_the_body() -> None:
    with pytest.raises(EventRefused) as refused:
        parse_event(b'{"object": "event", "id": "secret data"}')
    assert "secret" not in f"{refused.value!r}{refused.value.__cause__!r}"
    assert refused.value.__suppress_context__
