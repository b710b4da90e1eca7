"""One message from decoding to its end: each row of the retry table, each end, and what can go wrong in it."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from hub.redis import build_damaged
from hub.stage.claim import Claim
from hub.stage.defects import DefectRun
from hub.stage.ports import Closed, Outgoing
from hub.stage.processing import Ending, Processor, StageIdentity, Surroundings
from schemas.errors import Blocked, Gone, HubError, InDoubt, Poison, Queued, Refused, RetryLater, RetrySoon
from schemas.messages import Attempt, ErrorDetail, StageName, StripeEventReceived
from schemas.topics import CONTACTS_RESOLVED, DEAD, INVOICES_RESULTS
from tests.fakes import (
    START,
    FakeClock,
    FakeGate,
    FakeHandler,
    FakePublisher,
    FakeRecord,
    FakeWaitingSet,
    build_received,
    build_record,
)

WAITS = (timedelta(seconds=5), timedelta(seconds=60))
SOON = RetrySoon("Reset.", code="bc.reset")
LATER = RetryLater("Busy.", code="bc.busy", retry_after=timedelta(seconds=30))
BLOCKED = Blocked("No entry.", code="bc.credentials")
REFUSED = Refused("Not mapped.", code="bc.account", fix="Map it.")
LEDGER_AWAY = RetrySoon("No ledger.", code="ledger.unavailable")
BROKER_AWAY = RetrySoon("No broker.", code="broker.publish")
CLOSED = Closed(ErrorDetail(kind="blocked", code="connection.paused", message="Paused."), START + timedelta(minutes=10))


@dataclass
class Bench:
    """A processor on fakes."""

    name: StageName = "contacts"
    limit: int = 1000
    handler: FakeHandler = field(default_factory=FakeHandler)
    gate: FakeGate = field(default_factory=FakeGate)
    waiting: FakeWaitingSet = field(default_factory=FakeWaitingSet)
    publisher: FakePublisher = field(default_factory=FakePublisher)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.defects = DefectRun(self.name, limit=self.limit, pause=10)
        surroundings = Surroundings(self.gate, self.waiting, self.publisher, self.clock, WAITS, self.defects)
        identity = StageIdentity(self.name, frozenset({"bc"}))
        self.processor = Processor(identity, StripeEventReceived, self.handler, surroundings)

    async def process(self, record: FakeRecord | None = None, claim: Claim | None = None, **changes: Any) -> Ending:
        return await self.processor.process(record or build_record(build_received(**changes)), claim)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def answer(topic: Any, message: Any = None) -> list[Outgoing]:
    return [Outgoing(topic, "con_a/in_1", message or build_received())]


# --- the ordinary way


async def test_what_the_handler_returns_is_published_and_the_gate_told(bench: Bench) -> None:
    bench.handler.answer = answer(INVOICES_RESULTS)
    assert await bench.process() == "done"
    assert [one.topic for one in bench.publisher.published] == [INVOICES_RESULTS]
    assert bench.gate.passes == ["con_a"]


async def test_the_message_is_not_done_before_its_output_is_acknowledged(bench: Bench) -> None:
    bench.handler.answer = answer(INVOICES_RESULTS)
    bench.publisher.fail_next(BROKER_AWAY)
    assert await bench.process() == "done"
    assert len(bench.handler.handled) == 2
    assert len(bench.publisher.published) == 1


# --- the retry table


async def test_retry_soon_is_tried_in_place_and_succeeds(bench: Bench) -> None:
    bench.handler.fail_next(SOON, SOON, SOON)
    assert await bench.process() == "done"
    assert len(bench.handler.handled) == 4


async def test_retry_soon_that_does_not_help_waits_and_counts_as_a_round(bench: Bench) -> None:
    bench.handler.fail_next(*[SOON] * 4)
    began = asyncio.get_running_loop().time()
    assert await bench.process() == "waiting"
    assert asyncio.get_running_loop().time() - began < 3
    (parked,) = bench.waiting.parked
    assert parked.counts_as_attempt
    assert timedelta(seconds=5) <= parked.due - START <= timedelta(seconds=5.5)


async def test_a_wait_is_told_unless_it_is_over_within_a_minute_of_the_event(bench: Bench) -> None:
    """Otherwise each hiccup would be written to Stripe twice: pending, and then its end."""
    bench.handler.fail_next(LATER, LATER)
    await bench.process()
    assert not bench.handler.reported
    await bench.process(occurred_at=START - timedelta(seconds=40))
    ((_, failure),) = bench.handler.reported
    assert (failure.detail.code, failure.retry_at) == ("bc.busy", bench.waiting.parked[1].due)


async def test_history_that_waits_its_turn_is_not_told(bench: Bench) -> None:
    bench.handler.fail_next(*[Queued("Many wait.", code="bc.limiter.busy", retry_after=timedelta(seconds=2))] * 2)
    await bench.process(cause="backfill", occurred_at=START - timedelta(days=1))
    assert not bench.handler.reported
    await bench.process(occurred_at=START - timedelta(days=1))
    assert len(bench.handler.reported) == 1


async def test_a_failure_that_amounts_to_an_outage_blocks_and_uses_up_no_round(bench: Bench) -> None:
    bench.handler.fail_next(LATER)
    bench.gate.amounts_to = Blocked("Down.", code="bc.outage")
    assert await bench.process() == "waiting"
    (parked,) = bench.waiting.parked
    assert (parked.code, parked.counts_as_attempt, parked.due) == ("bc.outage", False, bench.gate.block_until)
    ((_, failure),) = bench.handler.reported
    assert failure.detail.code == "bc.outage"


async def test_retry_later_is_tried_once_and_honours_the_time_named(bench: Bench) -> None:
    bench.handler.fail_next(LATER)
    assert await bench.process() == "waiting"
    assert len(bench.handler.handled) == 1
    assert timedelta(seconds=30) <= bench.waiting.parked[0].due - START <= timedelta(seconds=33)


async def test_the_second_round_waits_longer(bench: Bench) -> None:
    bench.handler.fail_next(LATER)
    assert await bench.process(attempt=1) == "waiting"
    assert bench.waiting.parked[0].due - START >= timedelta(seconds=60)


async def test_after_the_last_round_it_fails_and_says_how_often_it_tried(bench: Bench) -> None:
    bench.handler.fail_next(LATER)
    assert await bench.process(attempt=2) == "failed"
    assert not bench.waiting.parked
    ((_, failure),) = bench.handler.reported
    assert failure.retry_at is None
    assert "3 times" in failure.detail.fix


async def test_doubt_has_its_own_clock_and_uses_up_no_round(bench: Bench) -> None:
    bench.handler.fail_next(InDoubt("Maybe.", code="bc.doubt", retry_after=timedelta(seconds=19)))
    assert await bench.process(attempt=2) == "waiting"
    (parked,) = bench.waiting.parked
    assert not parked.counts_as_attempt
    assert parked.due == START + timedelta(seconds=19)


async def test_anothers_lease_is_tried_in_place_then_waited_out_and_uses_up_no_round(bench: Bench) -> None:
    taken = RetrySoon("Taken.", code="ledger.lease.taken", retry_after=timedelta(seconds=97))
    bench.handler.fail_next(*[taken] * 4)
    assert await bench.process(attempt=2) == "waiting"
    assert len(bench.handler.handled) == 4
    (parked,) = bench.waiting.parked
    assert not parked.counts_as_attempt
    assert parked.due - START == timedelta(seconds=97)


async def test_blocked_closes_the_gate_and_waits_for_it(bench: Bench) -> None:
    bench.handler.fail_next(BLOCKED)
    assert await bench.process() == "waiting"
    assert bench.gate.blocked == [BLOCKED]
    (parked,) = bench.waiting.parked
    assert (parked.due, parked.counts_as_attempt) == (bench.gate.block_until, False)


async def test_a_gate_that_cannot_be_closed_still_lets_the_message_wait(bench: Bench) -> None:
    """Secrets that can't be decrypted fail every look at the connection, the one of blocking it too."""
    bench.gate.fail_next(BLOCKED)
    bench.gate.block_fails = BLOCKED
    assert await bench.process() == "waiting"
    assert bench.waiting.parked[0].due == START + timedelta(minutes=1)


async def test_refused_fails_at_once_with_words_and_fix(bench: Bench) -> None:
    bench.handler.fail_next(REFUSED)
    assert await bench.process() == "failed"
    assert len(bench.handler.handled) == 1
    ((_, failure),) = bench.handler.reported
    assert (failure.detail.message, failure.detail.fix, failure.retry_at) == ("Not mapped.", "Map it.", None)


async def test_a_closed_gate_lets_nothing_through(bench: Bench) -> None:
    bench.gate.closed = CLOSED
    assert await bench.process() == "waiting"
    assert not bench.handler.handled
    (parked,) = bench.waiting.parked
    assert (parked.due, parked.code, parked.counts_as_attempt) == (CLOSED.until, "connection.paused", False)


async def test_a_probe_that_meets_the_same_error_waits_again(bench: Bench) -> None:
    bench.handler.fail_next(BLOCKED)
    await bench.process()
    bench.handler.fail_next(BLOCKED)
    assert await bench.process() == "waiting"
    assert bench.gate.passes == []
    assert await bench.process() == "done"
    assert bench.gate.passes == ["con_a"]


# --- poison and defects


async def test_poison_goes_to_the_dead_topic_and_the_handler_never_sees_it(bench: Bench) -> None:
    assert await bench.process(build_record(value=b"{")) == "dead"
    (dead,) = bench.publisher.on(DEAD.name)
    assert (dead.reason, dead.code, dead.attempts) == ("poison", "message.invalid", 1)
    assert not bench.handler.handled
    assert not bench.handler.reported


async def test_a_message_of_an_unknown_connection_is_poison_and_not_reported(bench: Bench) -> None:
    bench.gate.fail_next(Poison("Nobody knows it.", code="connection.unknown"))
    assert await bench.process() == "dead"
    assert bench.publisher.on(DEAD.name)[0].reason == "poison"
    assert not bench.handler.reported


async def test_a_defect_is_tried_three_times_then_dead_and_a_failed_result(bench: Bench) -> None:
    bench.handler.fail_next(*[KeyError("oops")] * 3)
    assert await bench.process() == "dead"
    assert len(bench.handler.handled) == 3
    (dead,) = bench.publisher.on(DEAD.name)
    assert (dead.reason, dead.code, dead.attempts) == ("unexpected", "unexpected.KeyError", 3)
    assert "oops" in dead.trace
    ((_, failure),) = bench.handler.reported
    assert failure.detail.kind == "unexpected"
    assert "oops" not in failure.detail.text


async def test_a_race_that_heals_is_no_defect(bench: Bench) -> None:
    bench.handler.fail_next(KeyError("race"))
    assert await bench.process() == "done"
    assert not bench.publisher.published


async def test_a_cancellation_from_within_the_handler_is_a_defect(bench: Bench) -> None:
    bench.handler.fail_next(*[asyncio.CancelledError()] * 3)
    assert await bench.process() == "dead"


async def test_a_cancellation_from_outside_ends_it(bench: Bench) -> None:
    begun = asyncio.Event()

    async def work(_message: StripeEventReceived) -> list[Outgoing]:
        begun.set()
        await asyncio.Event().wait()
        return []

    bench.handler.work = work
    task = asyncio.create_task(bench.process())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not bench.publisher.published


async def test_what_the_handler_returns_wrongly_is_a_defect(bench: Bench) -> None:
    bench.handler.answer = None  # type: ignore[assignment]
    assert await bench.process() == "dead"


async def test_the_dead_topic_is_told_once_even_if_the_report_has_to_be_repeated(bench: Bench) -> None:
    bench.handler.fail_next(*[KeyError("oops")] * 3)
    bench.handler.report_errors.extend([LEDGER_AWAY, LEDGER_AWAY])
    assert await bench.process() == "dead"
    assert len(bench.publisher.on(DEAD.name)) == 1
    assert len(bench.handler.reported) == 1


async def test_a_defect_in_the_report_of_a_defect_does_not_hold_the_message(bench: Bench) -> None:
    bench.handler.fail_next(*[KeyError("oops")] * 3)
    bench.handler.report_errors.append(ValueError("again"))
    assert await bench.process() == "dead"
    assert len(bench.publisher.on(DEAD.name)) == 1


async def test_a_defect_in_the_report_of_a_wait_ends_in_the_dead_topic(bench: Bench) -> None:
    """Without an end it would hold its key and a place in the window for ever."""
    bench.handler.fail_next(LATER)
    bench.handler.report_errors.extend([ValueError("report")] * 3)
    assert await bench.process(occurred_at=START - timedelta(hours=1)) == "dead"
    assert bench.publisher.on(DEAD.name)[0].code == "unexpected.ValueError"


async def test_a_damaged_record_in_the_way_of_an_end_leads_to_the_dead_topic_and_holds_nobody(bench: Bench) -> None:
    bench.handler.fail_next(REFUSED)
    bench.handler.report_errors.extend([build_damaged("hub:{con_a}:invoice:in_1", "WRONGTYPE")] * 3)
    assert await bench.process() == "dead"
    (dead,) = bench.publisher.on(DEAD.name)
    assert (dead.code, "hub:{con_a}:invoice:in_1" in dead.error) == ("ledger.record.damaged", True)


async def test_a_connection_that_is_removed_before_the_end_is_forgotten(bench: Bench) -> None:
    bench.handler.fail_next(REFUSED)
    bench.handler.report_errors.append(Gone("Removed.", code="connection.removed"))
    assert await bench.process() == "forgotten"


@pytest.mark.parametrize("kind", [Refused, RetryLater], ids=["failed", "waits"])
async def test_a_failure_too_large_to_tell_is_told_without_what_was_sent(bench: Bench, kind: type[HubError]) -> None:
    """It was tried again for ever, and the invoice stayed untold."""
    error = kind("No.", code="bc.text.too_long")
    error.evidence = (Attempt(at=START, request="POST salesInvoices", payload={"lines": "x"}),)
    bench.handler.fail_next(error)
    bench.publisher.fail_next(Refused("Too large.", code="broker.message.size"))
    bench.handler.telling = answer(INVOICES_RESULTS)
    assert await bench.process(occurred_at=START - timedelta(hours=1)) in {"failed", "waiting"}
    assert [len(failure.detail.attempts) for _, failure in bench.handler.reported] == [1, 0]


async def test_a_dead_topic_that_takes_no_more_gets_the_place_of_the_record(bench: Bench) -> None:
    bench.publisher.fail_next(Refused("Too large.", code="broker.message.size"))
    assert await bench.process(build_record(value=b"{", offset=9)) == "dead"
    (dead,) = bench.publisher.on(DEAD.name)
    assert (dead.value, dead.offset) == (None, 9)


async def test_a_run_of_defects_of_several_connections_holds_instead_of_emptying_the_topic() -> None:
    bench = Bench(limit=3)
    bench.handler.fail_next(*[KeyError("deploy")] * 60)
    tasks = [
        asyncio.create_task(bench.process(object_id=f"in_{number}", connection=f"con_{number}")) for number in range(20)
    ]
    await asyncio.sleep(5)
    assert bench.defects.is_tripped
    assert len(bench.publisher.on(DEAD.name)) == 2
    assert sum(task.done() for task in tasks) == 2
    # The deploy is repaired: the errors are used up. One of those held finds out, and all go on.
    assert {await task for task in tasks} == {"dead", "done"}
    assert len(bench.publisher.on(DEAD.name)) == 2
    assert not bench.defects.is_tripped


async def test_a_run_of_defects_of_one_connection_blocks_it_and_lets_the_others_through() -> None:
    bench = Bench(limit=3)

    async def work(message: StripeEventReceived) -> list[Outgoing]:
        if message.connection == "con_bad":
            raise KeyError("its template")
        return []

    bench.handler.work = work
    bad = [await bench.process(object_id=f"in_{number}", connection="con_bad") for number in range(5)]
    assert bad == ["dead", "dead", "waiting", "waiting", "waiting"]
    assert await bench.process(connection="con_good") == "done"
    assert {error.code for error in bench.gate.blocked} == {"connection.held"}
    assert all(one.message.connection == "con_bad" for one in bench.waiting.parked)
    assert not any(one.counts_as_attempt for one in bench.waiting.parked)
    assert not bench.defects.is_tripped


async def test_a_connection_whose_reports_crash_too_is_held_without_being_told() -> None:
    bench = Bench(limit=2)
    bench.handler.fail_next(*[KeyError("oops")] * 3, LATER)
    bench.handler.report_errors.extend([ValueError("report")] * 50)
    assert await bench.process(connection="con_bad") == "dead"
    assert await bench.process(connection="con_bad", occurred_at=START - timedelta(hours=1)) == "waiting"
    assert bench.waiting.parked[0].code == "connection.held"
    assert not bench.handler.reported


async def test_an_error_in_the_books_ends_a_run_of_defects() -> None:
    bench = Bench(limit=2)
    bench.handler.fail_next(*[KeyError("oops")] * 3, REFUSED, *[KeyError("oops")] * 3)
    assert [await bench.process() for _ in range(3)] == ["dead", "failed", "dead"]


# --- ledger and broker away


async def test_a_message_that_cannot_be_parked_is_kept_until_it_can(bench: Bench) -> None:
    bench.handler.fail_next(LATER)
    bench.waiting.fail_next(*[LEDGER_AWAY] * 10)
    assert await bench.process() == "waiting"
    assert len(bench.waiting.parked) == 1


async def test_poison_is_kept_until_the_dead_topic_takes_it(bench: Bench) -> None:
    bench.publisher.fail_next(*[BROKER_AWAY] * 10)
    assert await bench.process(build_record(value=None)) == "dead"
    assert len(bench.publisher.on(DEAD.name)) == 1


async def test_a_gate_that_cannot_be_asked_is_asked_again(bench: Bench) -> None:
    bench.gate.fail_next(LEDGER_AWAY)
    assert await bench.process() == "done"


# --- a claim that is lost


async def test_a_lost_claim_ends_the_pauses_between_tries(bench: Bench) -> None:
    claim = Claim()

    async def work(_message: StripeEventReceived) -> list[Outgoing]:
        claim.give_up()
        raise SOON

    bench.handler.work = work
    assert await bench.process(claim=claim) == "dropped"
    assert not bench.waiting.parked


async def test_a_lost_claim_does_not_stop_work_that_succeeds(bench: Bench) -> None:
    claim = Claim()
    claim.give_up()
    assert await bench.process(claim=claim) == "done"


async def test_a_lost_claim_ends_insisting(bench: Bench) -> None:
    claim = Claim()
    bench.waiting.fail_next(*[LEDGER_AWAY] * 100)
    bench.handler.fail_next(LATER)
    asyncio.get_running_loop().call_later(30, claim.give_up)
    assert await bench.process(claim=claim) == "dropped"


async def test_a_lost_claim_ends_the_wait_for_a_turn() -> None:
    bench, claim = Bench(limit=3), Claim()
    bench.handler.fail_next(*[KeyError("oops")] * 3)
    for number in range(2):
        bench.defects.count_failure(f"con_{number}", "unexpected.KeyError")
    asyncio.get_running_loop().call_later(2, claim.give_up)
    assert await bench.process(claim=claim) == "dropped"
    assert not bench.publisher.published


# --- parking and settling


async def test_a_record_put_aside_waits_without_having_been_tried(bench: Bench) -> None:
    ending = await bench.processor.park(build_record(), Claim(), timedelta(seconds=1), code="stage.share")
    assert ending == "waiting"
    (parked,) = bench.waiting.parked
    assert (parked.code, parked.counts_as_attempt, parked.due) == ("stage.share", False, START + timedelta(seconds=1))
    assert not bench.handler.handled


async def test_poison_put_aside_goes_to_the_dead_topic(bench: Bench) -> None:
    ending = await bench.processor.park(build_record(value=b""), Claim(), timedelta(seconds=1), code="stage.share")
    assert ending == "dead"


@pytest.mark.parametrize("cause", ["retry", "replay", "backfill", "sweep"])
async def test_what_came_round_and_ended_here_is_forgotten_by_the_waiting_set(bench: Bench, cause: str) -> None:
    """Otherwise it counts as lost on the way, and comes round every two minutes for ever."""
    assert await bench.process(cause=cause) == "done"
    assert bench.waiting.settled == ["in_1"]


async def test_what_goes_on_to_another_stage_stays_remembered(bench: Bench) -> None:
    bench.handler.answer = answer(CONTACTS_RESOLVED)
    assert await bench.process(cause="retry") == "done"
    assert bench.waiting.settled == []


@pytest.mark.parametrize("cause", ["webhook", "catch_up"])
async def test_what_came_in_fresh_costs_no_call_to_the_waiting_set(bench: Bench, cause: str) -> None:
    assert await bench.process(cause=cause) == "done"
    assert bench.waiting.settled == []


async def test_what_came_round_and_failed_is_forgotten_too(bench: Bench) -> None:
    bench.handler.fail_next(REFUSED)
    assert await bench.process(cause="retry") == "failed"
    assert bench.waiting.settled == ["in_1"]


async def test_the_metadata_writer_leaves_the_waiting_set_alone() -> None:
    """The invoice may have been parked and woken again since its result was told."""
    bench = Bench(name="metadata_writer")
    assert await bench.process(cause="retry") == "done"
    assert bench.waiting.settled == []
