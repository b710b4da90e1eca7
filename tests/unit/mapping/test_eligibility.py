from datetime import timedelta
from typing import Any

import pytest

from mapping.eligibility import (
    Closed,
    DueDecision,
    GoOn,
    LeftAlone,
    NotYet,
    decide_due,
    get_effective_time,
    get_issue_time,
)
from schemas.settings import Settings, Trigger
from schemas.stripe_objects import Invoice, LineList
from tests.builders import NOW, build_invoice, load_sample_invoice


def decide(invoice: Invoice, *triggers: Trigger, was_sent: bool = False) -> DueDecision:
    go_live = NOW - timedelta(days=1)
    return decide_due(invoice, Settings(triggers=triggers or ("finalized",)), was_sent=was_sent, go_live=go_live)


@pytest.mark.parametrize(
    ("status", "triggers", "was_sent", "expected"),
    [
        ("open", ("finalized",), False, GoOn("finalized")),
        ("paid", ("finalized",), False, GoOn("finalized")),
        ("open", ("paid",), False, NotYet),
        ("paid", ("paid",), False, GoOn("paid")),
        ("open", ("sent",), False, NotYet),
        ("open", ("sent",), True, GoOn("sent")),
        ("paid", ("sent",), False, NotYet),
        ("paid", ("sent", "paid"), False, GoOn("paid")),
        ("paid", ("sent", "paid"), True, GoOn("sent")),
        ("draft", ("finalized",), True, NotYet),
        ("void", ("finalized",), False, Closed),
        # Issued, and written off: the loss is another entry.
        ("uncollectible", ("finalized",), False, GoOn("finalized")),
        ("uncollectible", ("sent",), True, GoOn("sent")),
        ("uncollectible", ("paid",), False, NotYet),
        ("void", ("paid",), False, Closed),
        ("void", ("sent",), True, Closed),
        # Stripe may add a status: nothing is known of it, so nothing is made of it.
        ("a new one", ("finalized",), False, NotYet),
        (None, ("finalized",), False, NotYet),
    ],
)
def test_an_invoice_is_due_by_its_status_and_the_triggers(
    status: str | None, triggers: tuple[Trigger, ...], was_sent: bool, expected: GoOn | type
) -> None:
    decision = decide(build_invoice(status=status), *triggers, was_sent=was_sent)

    assert decision == expected if isinstance(expected, GoOn) else isinstance(decision, expected)


def test_an_invoice_of_before_the_go_live_is_left_alone() -> None:
    decision = decide(build_invoice(at=NOW - timedelta(days=2)))

    assert decision == LeftAlone(
        "The invoice was finalized before the go-live date, 2026-11-23 12:00 UTC.", code="invoice.left_alone.go_live"
    )


@pytest.mark.parametrize("value", ["1", "true", " YES "])
def test_metadata_can_exempt_an_invoice(value: str) -> None:
    assert isinstance(decide(build_invoice(metadata={"bc_skip": value})), LeftAlone)


@pytest.mark.parametrize("value", ["", "0", "no", "later"])
def test_other_values_exempt_nothing(value: str) -> None:
    assert decide(build_invoice(metadata={"bc_skip": value})) == GoOn("finalized")


def test_a_closed_invoice_is_closed_even_when_it_is_exempt() -> None:
    """What was booked of it still needs a person."""
    assert isinstance(decide(build_invoice(status="void", metadata={"bc_skip": "1"})), Closed)


def test_not_yet_says_what_is_waited_for() -> None:
    assert decide(build_invoice(), "sent", "paid") == NotYet(
        "The draft is made when the invoice is sent or paid; it is not yet.", code="invoice.not_due.trigger"
    )


@pytest.mark.parametrize(("sample", "expected"), [("15", Closed), ("16", GoOn), ("20", GoOn), ("26", NotYet)])
def test_recorded_invoices(sample: str, expected: type) -> None:
    invoice = load_sample_invoice(sample)
    go_live = get_issue_time(invoice) - timedelta(days=1)
    decision = decide_due(invoice, Settings(metadata_prefix="hub_"), was_sent=False, go_live=go_live)

    assert isinstance(decision, expected)


def test_the_issue_time_is_the_finalization_else_the_creation() -> None:
    later = int((NOW + timedelta(hours=1)).timestamp())
    transitions: dict[str, Any] = {"status_transitions": {"finalized_at": None}}

    assert get_issue_time(build_invoice()) == NOW
    assert get_issue_time(build_invoice(**transitions)) == NOW
    assert get_issue_time(build_invoice(effective_at=later, **transitions)) == NOW + timedelta(hours=1)


def decide_with(invoice: Invoice, **settings: Any) -> DueDecision:
    return decide_due(invoice, Settings.model_validate(settings), was_sent=False, go_live=NOW - timedelta(days=1))


@pytest.mark.parametrize(
    ("skip", "is_left"),
    [
        ({"currencies": ["EUR"]}, True),
        ({"currencies": ["usd"]}, False),
        ({"only_currencies": ["usd"]}, True),
        ({"only_currencies": ["eur"]}, False),
        ({"customers": ["cus_1"]}, True),
        ({"customers": ["cus_2"]}, False),
        ({"billing_reasons": ["manual"]}, True),
        ({"billing_reasons": ["subscription_cycle"]}, False),
        ({"metadata": [{"key": "channel"}]}, True),
        ({"metadata": [{"key": "channel", "value": "SHOP "}]}, True),
        ({"metadata": [{"key": "channel", "value": "till"}]}, False),
        ({"metadata": [{"key": "other"}]}, False),
    ],
)
def test_rules_of_the_user_leave_invoices_alone_with_a_reason(skip: dict[str, Any], is_left: bool) -> None:
    invoice = build_invoice(billing_reason="manual", metadata={"channel": "shop"})
    decision = decide_with(invoice, skip=skip)

    assert isinstance(decision, LeftAlone if is_left else GoOn)
    assert not isinstance(decision, LeftAlone) or "settings leave invoices" in decision.reason


@pytest.mark.parametrize(("chosen", "expected"), [("skip", LeftAlone), ("create", GoOn)])
def test_an_invoice_of_nothing_is_left_alone_where_the_settings_say_so(chosen: str, expected: type) -> None:
    assert isinstance(decide_with(build_invoice(total=0), invoices={"zero_total": chosen}), expected)


def test_an_invoice_is_dated_when_it_takes_effect() -> None:
    at = NOW - timedelta(days=24)
    invoice = build_invoice(effective_at=int(at.timestamp()))

    assert (get_effective_time(invoice), get_issue_time(invoice)) == (at, NOW)
    assert get_effective_time(build_invoice()) == NOW


@pytest.mark.parametrize("settings", [{}, {"invoices": {"zero_total": "create"}}, {"triggers": ["paid"]}])
@pytest.mark.parametrize("status", ["open", "paid", "uncollectible"])
def test_an_invoice_without_lines_that_comes_to_nothing_is_left_alone(status: str, settings: dict[str, Any]) -> None:
    empty = build_invoice(total=0, status=status, lines=[]).model_copy(update={"lines": LineList(data=())})
    decision = decide_with(empty, **settings)

    assert isinstance(decision, LeftAlone)
    assert decision.code == "invoice.left_alone.empty"
    # With a total it is no invoice of nothing: it goes on, and is refused for its missing lines.
    assert isinstance(decide_with(empty.model_copy(update={"total": 100, "status": "paid"})), GoOn)
