"""Alerts: what is worth one, told once when it begins and once when it ends, by webhook and by mail."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from hub.alerts import AlertChannels, AlertNotSent
from hub.directory import Snapshot
from hub.gate import Answers, ConnectionGate
from hub.ledger import InvoiceOutcome
from hub.redis import stopped_key
from hub.stage.ports import Parked
from hub.stopped import StopSign, list_stopped
from hub.waiting import RedisWaitingSet
from schemas.connections import BlockedState
from schemas.errors import HubError, RetryLater, RetrySoon
from schemas.stripe_objects import Invoice
from services.ingest.alerting import Alerting, Limits, Seen, decide_alerts
from services.ingest.stranded import StrandedInvoices
from tests.alert_receivers import Inbox, MailServer
from tests.builders import NOW, build_connection, build_head, build_invoice
from tests.service_fakes import World

LIMITS = Limits(timedelta(hours=4), 10)


def build_block(age: timedelta, code: str = "bc.sign_in", system: str = "bc") -> dict[str, BlockedState]:
    since = NOW - age
    return {system: BlockedState(code=code, message="Connect it again.", since=since, next_probe_at=since)}


def build_seen(**changes: Any) -> Seen:
    given: dict[str, Any] = {
        "name": "acct_1 → CRONUS",
        "blocks": {},
        "failed_last_hour": 0,
        "synced_last_hour": 9,
        "failed_in_silence": 0,
        "oldest_wait": None,
        "has_success": False,
    }
    return Seen(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, set[str]()),
        ({"blocks": build_block(timedelta(minutes=9))}, set[str]()),
        ({"blocks": build_block(timedelta(minutes=10))}, {"blocked.bc"}),
        # The hub's own errors pass by themselves seldom: nobody need wait to hear of them.
        ({"blocks": build_block(timedelta(0), "connection.held", "hub.invoices")}, {"blocked.hub.invoices"}),
        ({"failed_last_hour": 9, "failed_in_silence": 9, "has_success": True}, set[str]()),
        ({"failed_last_hour": 10, "failed_in_silence": 10, "has_success": True}, {"failures"}),
        ({"failed_last_hour": 3, "synced_last_hour": 3, "has_success": True}, set[str]()),
        ({"failed_last_hour": 3, "synced_last_hour": 2, "has_success": True}, {"failures"}),
        ({"failed_last_hour": 2, "synced_last_hour": 0, "has_success": True}, set[str]()),
        ({"failed_in_silence": 1}, {"silence"}),
        ({"oldest_wait": NOW - timedelta(hours=3)}, set[str]()),
        ({"oldest_wait": NOW - timedelta(hours=4)}, {"silence"}),
        ({"oldest_wait": NOW - timedelta(hours=4), "has_success": True}, set[str]()),
        ({"untold": 1, "has_success": True}, {"untold"}),
        ({"stranded": "HUB-0001 of 2026-11-24"}, {"silence"}),
        ({"stranded": "HUB-0001 of 2026-11-24", "has_success": True}, set[str]()),
    ],
)
def test_what_is_worth_an_alert(changes: dict[str, Any], kinds: set[str]) -> None:
    assert decide_alerts(build_seen(**changes), LIMITS, NOW).keys() == kinds


class FakeDead:
    def __init__(self) -> None:
        self.count = 0

    async def count_since(self, since: datetime) -> int:
        return self.count


class FakeList:
    """Stripe's list of invoices, newest first; all connections have the same."""

    def __init__(self, invoices: Iterable[Invoice] = ()) -> None:
        self.invoices = list(invoices)
        self.error: HubError | None = None
        self.asked = 0
        self.given = 0

    def stripe(self, snapshot: Snapshot) -> "FakeList":
        del snapshot
        return self

    async def list_invoices(self, *, created_lt: int) -> AsyncGenerator[Invoice]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        for invoice in sorted(self.invoices, key=lambda one: -one.created):
            if invoice.created < created_lt:
                self.given += 1
                yield invoice


@asynccontextmanager
async def watching(
    world: World, inbox: Inbox, dead: FakeDead | None = None, listed: FakeList | None = None, smtp: str | None = None
) -> AsyncGenerator[Alerting]:
    waiting = RedisWaitingSet(world.plain_redis)
    async with inbox.open() as address:
        yield Alerting(
            directory=world.directory,
            waiting=waiting,
            channels=AlertChannels(address, smtp, ("ops@example.com",)),
            limits=LIMITS,
            dead=dead or FakeDead(),
            stranded=StrandedInvoices(listed or FakeList(), world.ledger, waiting, world.plain_redis, world.clock),
            gate=ConnectionGate(world.directory, world.clock, Answers(), waiting),
            redis=world.plain_redis,
            clock=world.clock,
        )


async def test_a_stage_that_holds_everything_is_told_until_it_goes_on(world: World) -> None:
    inbox = Inbox()
    async with watching(world, inbox) as alerting:
        await alerting.look_at_dead()
        await world.plain_redis.set(stopped_key("invoices"), "1")
        await alerting.look_at_dead()
        await alerting.look_at_dead()
        await world.plain_redis.delete(stopped_key("invoices"))
        await alerting.look_at_dead()

    begun, over = inbox.texts
    assert "The stage invoices holds everything" in begun
    assert over.startswith("Over: ")


async def test_a_stage_puts_its_sign_up_while_it_holds(world: World) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(StopSign(world.plain_redis, "invoices", lambda: False).run(), 0.1)
    assert await list_stopped(world.plain_redis) == []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(StopSign(world.plain_redis, "contacts", lambda: True).run(), 1)
    assert await list_stopped(world.plain_redis) == ["contacts"]
    assert 0 < await world.plain_redis.pttl(stopped_key("contacts")) <= 30_000


async def test_dead_messages_are_told_once_until_none_has_come_for_an_hour(world: World) -> None:
    inbox, dead = Inbox(), FakeDead()
    async with watching(world, inbox, dead) as alerting:
        for dead.count in (0, 1, 3, 0, 0):
            await alerting.look_at_dead()

    begun, over = inbox.texts
    assert "hub dead list" in begun
    assert over == f"Over: {begun}"


async def test_an_alert_is_told_once_when_it_begins_and_once_when_it_ends(world: World) -> None:
    inbox = Inbox()
    async with watching(world, inbox) as alerting:
        connection = world.connection.id
        await world.directory.save_block(connection, "bc", build_block(timedelta(hours=1))["bc"])
        inbox.status = 500
        with pytest.raises(RetryLater, match="webhook"):
            await alerting.look(connection)
        inbox.status = 200
        await alerting.look(connection)
        await alerting.look(connection)
        (begun,) = inbox.texts
        await world.directory.save_block(connection, "bc", None)
        world.clock.move(timedelta(seconds=5))
        await alerting.look(connection)
        await alerting.look(connection)

    assert "Connect it again." in begun
    assert inbox.texts == [begun, f"Over: {begun}"]


AGO = NOW - timedelta(hours=5)
BLOCK = build_block(timedelta(hours=1))["bc"]


async def look(world: World, listed: FakeList, *, times: int = 1) -> list[str]:
    """Look so many times, a minute apart; returns what was told."""
    inbox = Inbox()
    async with watching(world, inbox, listed=listed) as alerting:
        for _ in range(times):
            await alerting.look(world.connection.id)
            world.clock.move(timedelta(minutes=1))
    return inbox.texts


async def test_a_hub_that_hears_nothing_is_told_by_what_stripe_has_due(world: World) -> None:
    """Webhook and catch-up broken: nothing waits, nothing fails, and without a look at Stripe all seems well."""
    listed = FakeList([build_invoice(at=AGO)])
    (begun,) = await look(world, listed)
    assert "HUB-0001 of 2026-11-24 is due in Stripe" in begun
    assert "none was synced for 4 hours" in begun

    world.stripe.put(listed.invoices[0])
    await world.settle(build_head(connection=world.connection))
    assert await look(world, listed) == [f"Over: {begun}"]


async def test_stripe_is_asked_four_times_within_the_silence_at_most(world: World) -> None:
    listed = FakeList([build_invoice(at=AGO)])
    assert len(await look(world, listed, times=60)) == 1
    assert listed.asked == 1
    world.clock.move(timedelta(minutes=1))
    await look(world, listed)
    assert listed.asked == 2


async def test_no_more_than_one_page_of_stripes_list_is_looked_at(world: World) -> None:
    drafts = [build_invoice(id=f"in_{at}", status="draft", at=AGO) for at in range(150)]
    listed = FakeList(drafts)
    assert await look(world, listed) == []
    assert listed.given == 100


async def test_stripe_is_not_asked_where_the_ledger_can_tell(world: World) -> None:
    listed = FakeList([build_invoice(at=AGO)])
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002"))
    await world.settle(build_head("in_2", connection=world.connection))
    assert await look(world, listed) == []
    assert listed.asked == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "draft"},
        {"status": "void"},
        {"at": NOW - timedelta(hours=3)},
        {"at": NOW - timedelta(days=61)},  # before the go-live
        {"metadata": {"bc_skip": "true"}},
        {"status_transitions": {"finalized_at": int((NOW - timedelta(hours=1)).timestamp())}},
    ],
)
async def test_what_is_not_due_for_so_long_is_no_alert(world: World, changes: dict[str, Any]) -> None:
    given: dict[str, Any] = {"at": AGO} | changes
    assert await look(world, FakeList([build_invoice(**given)])) == []


async def test_what_was_left_alone_by_the_hub_is_not_stranded(world: World) -> None:
    invoice = build_invoice(at=AGO)
    skipped = InvoiceOutcome(outcome="skipped", reason="The plan's limit.", decided_at=AGO)
    await world.ledger.record_outcome(world.connection.id, build_head().build_wakeup(), skipped)
    listed = FakeList([invoice])
    assert await look(world, listed) == []
    assert listed.asked == 1


async def test_what_has_only_just_begun_to_wait_is_not_stranded(world: World) -> None:
    waiting, head = RedisWaitingSet(world.plain_redis), build_head(connection=world.connection)
    await waiting.park(Parked(head, NOW, "bc.x", "x", "contacts", counts_as_attempt=True))
    # It waits since now, by the machine's clock; everything else is as long ago as ever.
    (entry,) = await waiting.list_entries(world.connection.id)
    world.clock.moment = entry.since
    begin = entry.since - timedelta(days=60)
    await world.open(build_connection(created_at=begin, go_live=begin), born=begin)
    listed = FakeList([build_invoice(at=entry.since - timedelta(hours=5))])
    assert await look(world, listed) == []
    assert listed.asked == 1


@pytest.mark.parametrize("is_ledger_new", [True, False])
async def test_a_history_that_is_only_just_coming_in_is_no_alert(world: World, *, is_ledger_new: bool) -> None:
    if is_ledger_new:
        await world.begin_life(AGO)
    listed = FakeList([build_invoice(at=AGO - timedelta(hours=9))])
    world.clock.moment = AGO + timedelta(hours=3) if is_ledger_new else world.connection.created_at
    assert await look(world, listed) == []
    assert listed.asked == 0


async def test_a_stripe_that_does_not_answer_stops_no_other_alert(world: World) -> None:
    listed = FakeList()
    listed.error = RetrySoon("Stripe did not answer in time.", code="stripe.connection.timeout")
    assert await look(world, listed) == []
    assert listed.asked == 1
    world.clock.move(timedelta(hours=1))
    await world.directory.save_block(world.connection.id, "bc", BLOCK)
    (told,) = await look(world, listed)
    assert "Connect it again." in told


async def test_an_alert_stands_while_stripe_does_not_answer_or_the_connection_is_blocked(world: World) -> None:
    listed = FakeList([build_invoice(at=AGO)])
    (begun,) = await look(world, listed)
    listed.error = RetrySoon("Stripe did not answer in time.", code="stripe.connection.timeout")
    world.clock.move(timedelta(hours=1))
    assert await look(world, listed) == []
    await world.directory.save_block(world.connection.id, "bc", BLOCK)
    world.clock.move(timedelta(hours=1))
    texts = await look(world, listed)
    assert listed.asked == 2
    assert f"Over: {begun}" not in texts


async def test_an_invoice_that_stripe_has_no_room_for_is_told_until_it_has(world: World) -> None:
    connection = world.connection.id
    await world.ledger.record_untold(connection, "in_1", "There is no room.")
    (begun,) = await look(world, FakeList(), times=2)
    assert "Stripe does not take what became of an invoice" in begun

    await world.ledger.forget_untold(connection, "in_1")
    assert await look(world, FakeList()) == [f"Over: {begun}"]


async def test_one_channel_that_fails_makes_no_other_repeat_itself(world: World) -> None:
    inbox, mail = Inbox(), MailServer()
    await world.directory.save_block(world.connection.id, "bc", BLOCK)
    async with mail.open() as smtp, watching(world, inbox, smtp=f"smtp://{smtp}") as alerting:
        inbox.status = 500
        for _ in range(3):
            with pytest.raises(RetryLater, match=r"webhook channel did not take it .HTTP 500"):
                await alerting.look(world.connection.id)
        assert (len(mail.mails), inbox.texts) == (1, [])
        inbox.status = 200
        await alerting.look(world.connection.id)

    assert (len(mail.mails), len(inbox.texts)) == (1, 1)


async def test_an_alert_goes_by_mail() -> None:
    server = MailServer()
    async with server.open() as address:
        channels = AlertChannels(None, f"smtp://{address}", ("ops@example.com", "cfo@example.com"))
        await channels.send("No invoice goes through.")

    (mail,) = server.mails
    assert "To: ops@example.com, cfo@example.com" in mail
    assert "No invoice goes through." in mail


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate that this machine trusts."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_mail_and_password_travel_encrypted(scheme: str, certificate: ssl.SSLContext) -> None:
    server = MailServer(certificate, is_smtps=scheme == "smtps", password="p@ss/word")
    async with server.open() as address:
        channels = AlertChannels(None, f"{scheme}://hub:p%40ss%2Fword@{address}", ("ops@example.com",))
        await channels.send("No invoice goes through.")

    assert len(server.mails) == 1
    assert {"auth encrypted", "data encrypted"} <= set(server.heard)
    assert not {"auth", "data"} & set(server.heard)


async def test_a_wrong_password_is_told_without_it(certificate: ssl.SSLContext) -> None:
    server = MailServer(certificate, password="another")
    async with server.open() as address:
        channels = AlertChannels(None, f"smtp://hub:secret@{address}", ("ops@example.com",))
        with pytest.raises(AlertNotSent, match=r"e-mail .*SMTPAuthenticationError 535") as raised:
            await channels.send("Trial.")

    assert "secret" not in str(raised.value)


async def test_no_password_is_sent_without_encryption() -> None:
    server = MailServer()
    async with server.open() as address:
        channels = AlertChannels(None, f"smtp://hub:secret@{address}", ("ops@example.com",))
        with pytest.raises(AlertNotSent, match="offers no encryption"):
            await channels.send("Trial.")

    assert "auth" not in server.heard


async def test_a_mail_server_that_nobody_vouches_for_gets_nothing() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = MailServer(context)
    async with server.open() as address:
        channels = AlertChannels(None, f"smtp://{address}", ("ops@example.com",))
        with pytest.raises(AlertNotSent, match="SSLCertVerificationError"):
            await channels.send("Trial.")

    assert server.mails == []


async def test_a_channel_that_is_away_is_named_without_its_address() -> None:
    channels = AlertChannels("http://127.0.0.1:1/secret", None, ())
    with pytest.raises(AlertNotSent) as raised:
        await channels.send("Trial.")

    assert "secret" not in str(raised.value)


def test_channels_that_are_not_set_are_none() -> None:
    assert AlertChannels(None, "smtp://mail", ()).names == ()
