"""Alerts: what is worth one, told once when it begins and once when it ends, by webhook and by mail."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from hub.alerts import AlertChannels, AlertNotSent
from hub.waiting import RedisWaitingSet
from schemas.connections import BlockedState
from services.ingest.alerting import Alerting, Limits, Seen, decide_alerts
from tests.alert_receivers import Inbox, MailServer
from tests.builders import NOW
from tests.service_fakes import World

LIMITS = Limits(timedelta(hours=4), 10)


def build_block(age: timedelta) -> dict[str, BlockedState]:
    since = NOW - age
    return {"bc": BlockedState(code="bc.sign_in", message="Connect it again.", since=since, next_probe_at=since)}


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
        ({"failed_last_hour": 9, "failed_in_silence": 9, "has_success": True}, set[str]()),
        ({"failed_last_hour": 10, "failed_in_silence": 10, "has_success": True}, {"failures"}),
        ({"failed_last_hour": 3, "synced_last_hour": 3, "has_success": True}, set[str]()),
        ({"failed_last_hour": 3, "synced_last_hour": 2, "has_success": True}, {"failures"}),
        ({"failed_last_hour": 2, "synced_last_hour": 0, "has_success": True}, set[str]()),
        ({"failed_in_silence": 1}, {"silence"}),
        ({"oldest_wait": NOW - timedelta(hours=3)}, set[str]()),
        ({"oldest_wait": NOW - timedelta(hours=4)}, {"silence"}),
        ({"oldest_wait": NOW - timedelta(hours=4), "has_success": True}, set[str]()),
    ],
)
def test_what_is_worth_an_alert(changes: dict[str, Any], kinds: set[str]) -> None:
    assert decide_alerts(build_seen(**changes), LIMITS, NOW).keys() == kinds


class FakeDead:
    def __init__(self) -> None:
        self.count = 0

    async def count_since(self, since: datetime) -> int:
        return self.count


@asynccontextmanager
async def watching(
    world: World, inbox: Inbox, dead: FakeDead | None = None, smtp: str | None = None
) -> AsyncGenerator[Alerting]:
    waiting = RedisWaitingSet(world.plain_redis)
    async with inbox.open() as address:
        yield Alerting(
            directory=world.directory,
            waiting=waiting,
            channels=AlertChannels(address, smtp, ("ops@example.com",)),
            limits=LIMITS,
            dead=dead or FakeDead(),
            redis=world.plain_redis,
            clock=world.clock,
        )


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
        with pytest.raises(AlertNotSent, match="webhook"):
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


BLOCK = build_block(timedelta(hours=1))["bc"]


async def test_one_channel_that_fails_makes_no_other_repeat_itself(world: World) -> None:
    inbox, mail = Inbox(), MailServer()
    await world.directory.save_block(world.connection.id, "bc", BLOCK)
    async with mail.open() as smtp, watching(world, inbox, smtp=f"smtp://{smtp}") as alerting:
        inbox.status = 500
        for _ in range(3):
            with pytest.raises(AlertNotSent, match=r"webhook channel did not take it .HTTP 500"):
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
