"""Which invoices a replay is about."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from hub.cli.moments import parse_moment, tell_duration
from hub.cli.replay import Selection, find_in_window
from schemas.stripe_objects import Event, Invoice
from tests.builders import NOW, build_invoice


class FakeStripe:
    """Lists invoices by the creation of their drafts, as Stripe does."""

    def __init__(self, *invoices: Invoice) -> None:
        self.invoices = invoices
        self.asked: list[tuple[int | None, int | None]] = []

    async def fetch_event(self, event_id: str) -> Event | None:
        return None

    async def list_invoices(
        self, *, created_gte: int | None = None, created_lt: int | None = None
    ) -> AsyncIterator[Invoice]:
        self.asked.append((created_gte, created_lt))
        for invoice in self.invoices:
            if (created_gte or 0) <= invoice.created and (created_lt is None or invoice.created < created_lt):
                yield invoice


async def find(stripe: FakeStripe, since: datetime | None = None, until: datetime | None = None) -> list[str]:
    return [invoice.id async for invoice in find_in_window(stripe, since, until)]


async def test_the_window_is_that_of_finalization() -> None:
    early = build_invoice(id="in_early", at=NOW - timedelta(days=2))
    within = build_invoice(id="in_within", at=NOW)
    late = build_invoice(id="in_late", at=NOW + timedelta(days=2))
    stripe = FakeStripe(early, within, late)

    assert await find(stripe, NOW - timedelta(days=1), NOW + timedelta(days=1)) == ["in_within"]
    assert await find(stripe, NOW) == ["in_within", "in_late"]
    assert await find(stripe, None, NOW) == ["in_early"]


async def test_an_invoice_drafted_long_before_it_was_finalized_is_found() -> None:
    drafted = int((NOW - timedelta(days=40)).timestamp())

    assert await find(FakeStripe(build_invoice(created=drafted)), NOW - timedelta(days=1)) == ["in_1"]


async def test_drafts_are_left_out() -> None:
    assert await find(FakeStripe(build_invoice(status="draft")), NOW - timedelta(days=1)) == []


def test_nothing_asked_for_is_an_empty_selection() -> None:
    assert Selection().is_empty
    assert not Selection(failed=True).is_empty
    assert not Selection(until=NOW).is_empty


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31T12:30Z", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31T13:30+01:00", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, moment: datetime) -> None:
    assert parse_moment(text, "--since") == moment


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (99, "99 s"), (300, "5 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_durations_are_short(seconds: float, words: str) -> None:
    assert tell_duration(seconds) == words
