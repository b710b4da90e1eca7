"""What blocks a connection, who may try, and what ends it: the gate with the real handlers, on a real ledger."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from hub.directory import Directory
from hub.gate import DRAFTS_HIDDEN, Answers, ConnectionGate, describe_system
from hub.stage.defects import DefectRun
from hub.stage.ports import Admission, Closed, Failure, Handler, Outgoing, Parked
from hub.stage.processing import Ending, Processor, StageIdentity, Surroundings
from hub.waiting import RedisWaitingSet
from schemas.connections import BlockedState
from schemas.errors import Blocked, HubError, InDoubt, Queued, Refused, RetryLater, RetrySoon
from schemas.messages import ContactResolved, InvoiceResult, Message, StageName, StripeEventReceived
from tests.builders import NOW, build_customer, build_head, build_invoice
from tests.fakes import FakePublisher, FakeRecord, FakeWaitingSet
from tests.service_fakes import World

REVOKED = Blocked("Revoked.", code="bc.credentials.refused")
BOTH = frozenset({"stripe", "bc"})
HALF_A_MINUTE = timedelta(seconds=30)


@dataclass
class Line:
    """The three stages, each with the gate it has in production; messages are carried by hand."""

    world: World
    publisher: FakePublisher = field(default_factory=FakePublisher)
    waiting: FakeWaitingSet = field(default_factory=FakeWaitingSet)

    def __post_init__(self) -> None:
        world = self.world
        self.answers = Answers()
        self.gate = ConnectionGate(world.directory, world.clock, self.answers, RedisWaitingSet(world.plain_redis))
        world.stripe.on_answer = partial(self.answers.note, world.connection.id, "stripe")
        world.bc.on_answer = partial(self.answers.note, world.connection.id, "bc")
        self._contacts = self._build("contacts", BOTH, StripeEventReceived, world.contacts)
        self._invoices = self._build("invoices", BOTH, ContactResolved, world.invoices)
        self._metadata = self._build("metadata_writer", frozenset({"stripe"}), InvoiceResult, world.metadata)

    def _build(
        self, name: StageName, touches: frozenset[str], message: type[Any], handler: Handler[Any]
    ) -> Processor[Any]:
        around = Surroundings(
            self.gate, self.waiting, self.publisher, self.world.clock, (HALF_A_MINUTE,), DefectRun(name)
        )
        return Processor(StageIdentity(name, touches), message, handler, around)

    async def contacts(self, head: StripeEventReceived) -> Ending:
        return await self._process(self._contacts, head)

    async def invoices(self) -> Ending:
        """Take what contacts resolved last."""
        return await self._process(self._invoices, self.publisher.on("contacts.resolved")[-1])

    async def metadata(self) -> Ending:
        """Take the last result."""
        return await self._process(self._metadata, self.publisher.on("invoices.results")[-1])

    async def _process(self, processor: Processor[Any], message: Message) -> Ending:
        key = f"{message.connection}/{message.build_wakeup().object_id}".encode()
        return await processor.process(FakeRecord(message.model_dump_json().encode(), key))

    async def sync(self, head: StripeEventReceived) -> None:
        """Bring an invoice to its end, with nothing in the way."""
        self.world.stripe.put(build_invoice(id=head.object_id, number=head.object_id.upper()))
        assert [await self.contacts(head), await self.invoices(), await self.metadata()] == ["done"] * 3

    async def block(self, system: str = "bc", error: Blocked = REVOKED) -> None:
        """Block the connection, and let the time come for a probe."""
        state = BlockedState(code=error.code, message=error.message, since=NOW, next_probe_at=self.world.clock.now())
        await self.world.directory.save_block(self.world.connection.id, system, state)

    async def blocks(self) -> dict[str, datetime]:
        blocks = (await self.world.directory.load(self.world.connection.id)).blocks
        return {system: state.next_probe_at for system, state in blocks.items()}


@pytest.fixture
def line(world: World) -> Line:
    world.bc.customers.append(build_customer())
    return Line(world)


async def test_a_duplicate_answered_from_the_ledger_leaves_the_block_and_the_probe_to_the_next(line: Line) -> None:
    await line.sync(build_head())
    await line.block()
    line.world.bc.calls.clear()

    assert await line.contacts(build_head()) == "done"
    assert line.world.bc.calls == []
    assert await line.blocks() == {"bc": NOW}


async def test_an_invoice_that_contacts_need_not_ask_about_probes_in_the_next_stage(line: Line) -> None:
    """Its customer is linked; only invoices goes to Business Central. The block must neither end early nor stay."""
    await line.sync(build_head())
    line.world.stripe.put(build_invoice(id="in_2", number="HUB-0002"))
    await line.block()

    assert await line.contacts(build_head("in_2")) == "done"
    assert await line.blocks() == {"bc": NOW}
    assert await line.invoices() == "done"
    assert await line.blocks() == {}


async def test_a_probe_that_is_given_back_is_due_for_a_stage_whose_clock_is_behind(line: Line) -> None:
    """Two machines half a minute apart handed the probe on to each other's future, and the block never ended."""
    await line.sync(build_head())
    line.world.stripe.put(build_invoice(id="in_2", number="HUB-0002"))
    await line.block()

    line.world.clock.move(HALF_A_MINUTE)
    assert await line.contacts(build_head("in_2")) == "done"
    line.world.clock.move(-HALF_A_MINUTE)
    assert await line.invoices() == "done"
    assert await line.blocks() == {}


async def test_an_answer_in_contacts_ends_the_block(line: Line) -> None:
    line.world.stripe.put(build_invoice())
    await line.block()

    assert await line.contacts(build_head()) == "done"
    assert await line.blocks() == {}


async def test_a_probe_that_is_refused_again_waits_longer_each_time(line: Line) -> None:
    line.world.stripe.put(build_invoice())
    await line.block()
    pauses: list[timedelta] = []
    for _ in range(6):
        line.world.bc.fail_next("list_customers", REVOKED)
        assert await line.contacts(build_head()) == "waiting"
        pauses.append((await line.blocks())["bc"] - line.world.clock.now())
        line.world.clock.move(pauses[-1])

    assert [pause.total_seconds() for pause in pauses] == [60, 120, 240, 480, 600, 600]
    assert line.waiting.parked[-1].due == line.world.clock.now()


async def test_only_one_probes_at_a_time(line: Line) -> None:
    line.world.stripe.put(build_invoice())
    await line.block()
    first = await line.gate.enter(line.world.connection.id, BOTH)
    assert isinstance(first, Admission)
    assert first.probing == {"bc": 0}

    assert await line.contacts(build_head()) == "waiting"
    assert line.world.stripe.calls == []


async def test_what_was_let_in_before_the_block_says_nothing_about_it(line: Line) -> None:
    """Its answers may be from before the credentials were revoked."""
    connection = line.world.connection.id
    earlier = await line.gate.enter(connection, BOTH)
    assert isinstance(earlier, Admission)
    line.answers.note(connection, "bc")
    await line.gate.block(connection, REVOKED)
    await line.gate.passed(earlier)

    assert list(await line.blocks()) == ["bc"]


async def test_hidden_drafts_are_over_only_when_a_draft_was_seen(line: Line) -> None:
    """Customers can be read all along: what contacts hears is no proof."""
    line.world.stripe.put(build_invoice())
    await line.world.plain_redis.hdel(f"hub:{{{line.world.connection.id}}}:connection", "proved")
    await line.block(error=Blocked("Hidden.", code=DRAFTS_HIDDEN))

    assert await line.contacts(build_head()) == "done"
    assert "list_customers" in line.world.bc.calls
    assert await line.blocks() == {"bc": NOW}
    assert await line.invoices() == "done"
    assert await line.blocks() == {}


async def test_the_metadata_writer_ends_a_block_of_stripe_only_when_stripe_has_answered(line: Line) -> None:
    await line.sync(build_head())
    await line.block("stripe", Blocked("No.", code="stripe.credentials.rejected"))

    assert await line.metadata() == "done"  # Stripe says so already: nothing is written
    assert await line.blocks() == {"stripe": NOW}
    await line.world.ledger.record_metadata(line.world.connection.id, "in_1", {})
    assert await line.metadata() == "done"
    assert await line.blocks() == {}


async def test_a_block_of_business_central_does_not_stop_the_metadata(line: Line) -> None:
    await line.sync(build_head())
    await line.gate.block(line.world.connection.id, REVOKED)

    assert await line.metadata() == "done"
    assert list(await line.blocks()) == ["bc"]


async def test_a_block_that_another_process_has_ended_is_not_waited_for(line: Line) -> None:
    connection = line.world.connection.id
    await line.gate.block(connection, REVOKED)
    assert isinstance(await line.gate.enter(connection, BOTH), Closed)
    elsewhere = Directory(line.world.plain_redis, line.world.directory.box, line.world.clock)
    await elsewhere.save_block(connection, "bc", None)

    assert isinstance(await line.gate.enter(connection, BOTH), Admission)


async def test_messages_of_a_removed_connection_are_forgotten_at_every_stage(line: Line) -> None:
    await line.sync(build_head())
    await line.world.directory.remove(line.world.connection.id)
    published, line.world.stripe.calls, line.world.bc.calls = len(line.publisher.published), [], []

    assert [await line.contacts(build_head("in_2")), await line.invoices(), await line.metadata()] == ["forgotten"] * 3
    assert len(line.publisher.published) == published
    assert line.world.stripe.calls == line.world.bc.calls == line.waiting.parked == []


async def test_a_pause_lets_nothing_through_to_business_central(line: Line) -> None:
    connection = line.world.connection.id
    await line.world.directory.set_paused(connection, paused=True)
    closed = await line.gate.enter(connection, BOTH)

    assert isinstance(closed, Closed)
    assert closed.detail.code == "connection.paused"
    assert isinstance(await line.gate.enter(connection, frozenset({"stripe"})), Admission)


# --- outages

UNAVAILABLE = RetryLater("Busy.", code="bc.server.unavailable")


def fail(line: Line, times: int, error: HubError = UNAVAILABLE) -> list[str]:
    return [line.gate.judge(line.world.connection.id, error).code for _ in range(times)]


def test_many_failures_in_a_row_amount_to_an_outage(line: Line) -> None:
    assert fail(line, 6) == ["bc.server.unavailable"] * 4 + ["bc.outage"] * 2


def test_an_answer_in_between_begins_the_row_anew(line: Line) -> None:
    fail(line, 4)
    line.answers.note(line.world.connection.id, "bc")

    assert fail(line, 4) == ["bc.server.unavailable"] * 4


@pytest.mark.parametrize(
    "error",
    [
        InDoubt("No answer.", code="bc.invoice.in_doubt"),
        RetryLater("Slow.", code="bc.limit.reached"),
        RetrySoon("Taken.", code="ledger.lease.taken"),
        Refused("No.", code="contact.ambiguous"),
    ],
)
def test_what_says_nothing_about_an_outage_makes_none(line: Line, error: HubError) -> None:
    assert fail(line, 20, error) == [error.code] * 20


def test_one_systems_outage_is_not_the_others(line: Line) -> None:
    down = RetrySoon("Reset.", code="stripe.connection.failed")
    fail(line, 4)

    assert fail(line, 5, down) == ["stripe.connection.failed"] * 4 + ["stripe.outage"]


async def test_an_outage_is_looked_at_soon_and_as_late_as_the_system_asks(line: Line) -> None:
    connection, now = line.world.connection.id, line.world.clock.now()
    fail(line, 4)
    asked = RetryLater("Busy.", code="bc.server.unavailable", retry_after=timedelta(minutes=2))
    first = await line.gate.block(connection, line.gate.judge(connection, asked))
    assert first - now == timedelta(minutes=2)

    await line.world.directory.save_block(connection, "bc", None)
    first = await line.gate.block(connection, line.gate.judge(connection, UNAVAILABLE))
    pauses: list[float] = []
    for _ in range(5):
        line.world.clock.move(timedelta(minutes=5))
        assert isinstance(await line.gate.enter(connection, BOTH), Admission)
        (until,) = (await line.blocks()).values()
        pauses.append((until - line.world.clock.now()).total_seconds())
    assert (first - now, pauses) == (timedelta(seconds=5), [10, 20, 40, 60, 60])


async def test_what_waited_through_a_block_is_due_when_it_ends_the_oldest_first(line: Line) -> None:
    world, waiting = line.world, RedisWaitingSet(line.world.plain_redis)
    for minutes in (1, 3, 2):
        head = build_head(f"in_{minutes}", at=NOW - timedelta(minutes=minutes))
        parked = Parked(head, NOW + timedelta(hours=1), "bc.outage", "x", "contacts", counts_as_attempt=False)
        await waiting.park(parked)
    await line.block()
    assert await waiting.wake(world.connection.id, NOW) == []
    world.stripe.put(build_invoice())
    assert await line.contacts(build_head()) == "done"

    woken = await waiting.wake(world.connection.id, NOW)
    assert [entry.wakeup.object_id for entry in woken] == ["in_3", "in_2", "in_1"]


async def test_a_probe_whose_invoice_is_refused_ends_the_block_all_the_same(line: Line) -> None:
    line.world.stripe.put(build_invoice())
    line.world.bc.customers += [build_customer(id="one"), build_customer(id="two", number="C2")]
    await line.block()

    assert await line.contacts(build_head()) == "failed"
    assert await line.blocks() == {}


@pytest.mark.parametrize(
    ("error", "is_given_back"),
    [
        (InDoubt("Earlier.", code="contact.create.in_doubt"), True),
        (InDoubt("Just now.", code="contact.create.in_doubt", context={"method": "POST", "status": "503"}), False),
        (Queued("Many.", code="bc.limiter.busy"), True),
        (Blocked("Revoked.", code="bc.sign_in.expired"), False),
        (RetryLater("Away.", code="bc.sign_in.unreachable"), False),
        (RetryLater("Busy.", code="bc.server.unavailable", context={"method": "GET"}), False),
    ],
)
async def test_a_probe_that_did_not_ask_is_left_to_the_next(
    line: Line, error: HubError, *, is_given_back: bool
) -> None:
    await line.block()
    admission = await line.gate.enter(line.world.connection.id, BOTH)
    assert isinstance(admission, Admission)
    await line.gate.failed(admission, error)

    (probe_at,) = (await line.blocks()).values()
    assert (probe_at <= line.world.clock.now()) == is_given_back


# --- the hub's own defects, in one stage of one connection


class Crashing:
    """A stage whose handler meets a defect as long as it is told to."""

    def __init__(self, line: Line) -> None:
        self.line, self.is_broken = line, True
        self.run: DefectRun | None = None

    async def handle(self, message: Message) -> list[Outgoing]:
        if self.is_broken:
            raise KeyError("a template")
        return []

    async def report(self, message: Message, failure: Failure) -> list[Outgoing]:
        return []

    async def process(self, object_id: str, limit: int = 2) -> Ending:
        line = self.line
        self.run = self.run or DefectRun("contacts", limit=limit)
        around = Surroundings(line.gate, line.waiting, line.publisher, line.world.clock, (), self.run)
        processor: Processor[Any] = Processor(StageIdentity("contacts", BOTH), StripeEventReceived, self, around)
        return await line._process(processor, build_head(object_id))


async def test_a_connection_that_crashes_is_held_probed_ever_less_and_released_by_a_success(line: Line) -> None:
    stage = Crashing(line)
    assert [await stage.process(f"in_{number}") for number in range(4)] == ["dead", "waiting", "waiting", "waiting"]
    assert list(await line.blocks()) == ["hub.contacts"]
    pauses: list[float] = []
    for _ in range(3):
        until = (await line.blocks())["hub.contacts"]
        pauses.append((until - line.world.clock.now()).total_seconds())
        line.world.clock.move(until - line.world.clock.now())
        assert await stage.process("in_1") == "waiting"
    assert pauses == [30, 60, 120]

    stage.is_broken = False
    assert await stage.process("in_2") == "waiting"  # it is not its time
    line.world.clock.move(timedelta(minutes=10))
    assert await stage.process("in_2") == "done"
    assert await line.blocks() == {}


async def test_a_hold_in_one_stage_is_none_in_the_others(line: Line) -> None:
    stage = Crashing(line)
    await stage.process("in_1")
    await stage.process("in_2")
    connection = line.world.connection.id
    assert isinstance(await line.gate.enter(connection, frozenset({"bc", "hub.contacts"})), Closed)
    assert isinstance(await line.gate.enter(connection, frozenset({"bc", "hub.invoices"})), Admission)


async def test_another_process_sees_the_hold_and_loses_no_message_to_it(line: Line) -> None:
    await Crashing(line).process("in_1")
    stage = Crashing(line)
    await stage.process("in_2", limit=1)
    elsewhere = Crashing(line)
    assert [await elsewhere.process(f"in_{number}", limit=5) for number in range(9)] == ["waiting"] * 9


def test_it_is_called_what_it_is() -> None:
    assert [describe_system(one) for one in ("bc", "stripe", "hub.invoices")] == [
        "bc",
        "stripe",
        "the hub itself, in invoices",
    ]


async def test_a_person_releases_it(line: Line) -> None:
    stage = Crashing(line)
    await stage.process("in_1")
    await stage.process("in_2")
    await line.world.directory.save_block(line.world.connection.id, "hub.contacts", None)
    stage.is_broken = False
    assert await stage.process("in_2") == "done"


@pytest.mark.parametrize(
    ("error", "is_over"),
    [
        (Refused("No.", code="contact.ambiguous"), True),
        (Queued("Many.", code="bc.limiter.busy"), False),
        (RetryLater("Busy.", code="bc.server.unavailable", context={"method": "GET"}), False),
    ],
)
async def test_only_a_message_that_went_through_or_is_in_the_books_ends_a_hold(
    line: Line, error: HubError, *, is_over: bool
) -> None:
    stage = Crashing(line)
    await stage.process("in_1")
    await stage.process("in_2")
    line.world.clock.move(timedelta(minutes=10))
    admission = await line.gate.enter(line.world.connection.id, frozenset({"hub.contacts"}))
    assert isinstance(admission, Admission)
    await line.gate.failed(admission, error)
    assert (await line.blocks() == {}) == is_over
