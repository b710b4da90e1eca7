"""Alerts: what is worth one, told once when it begins and once when it ends, by webhook and by mail."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.alerts import AlertChannels, AlertNotSent
from hub.waiting import RedisWaitingSet
from schemas.connections import BlockedState
from services.ingest.alerting import Alerting, Limits, Seen, decide_alerts
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


class Inbox:
    """A webhook receiver."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        if self.status == 200:
            self.texts.append((await request.json())["text"])
        return web.Response(status=self.status)


class FakeDead:
    def __init__(self) -> None:
        self.count = 0

    async def count_since(self, since: datetime) -> int:
        return self.count


@asynccontextmanager
async def watching(world: World, inbox: Inbox, dead: FakeDead) -> AsyncGenerator[Alerting]:
    app = web.Application()
    app.router.add_post("/hook", inbox.take)
    async with TestServer(app) as server:
        yield Alerting(
            directory=world.directory,
            waiting=RedisWaitingSet(world.plain_redis),
            channels=AlertChannels(str(server.make_url("/hook")), None, ()),
            limits=LIMITS,
            dead=dead,
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
    async with watching(world, inbox, FakeDead()) as alerting:
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


async def serve_mail(mails: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak as much SMTP as a mail needs."""
    writer.write(b"220 mail\r\n")
    while line := (await reader.readline()).decode().strip():
        if line.lower() == "data":
            writer.write(b"354 go on\r\n")
            mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
        writer.write(b"221 bye\r\n" if line.lower() == "quit" else b"250 ok\r\n")
    writer.close()


async def test_an_alert_goes_by_mail() -> None:
    mails: list[str] = []
    server = await asyncio.start_server(partial(serve_mail, mails), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        channels = AlertChannels(None, f"smtp://127.0.0.1:{port}", ("ops@example.com", "cfo@example.com"))
        await channels.send("No invoice goes through.")

    (mail,) = mails
    assert "To: ops@example.com, cfo@example.com" in mail
    assert "No invoice goes through." in mail


async def test_a_channel_that_is_away_is_named_without_its_address() -> None:
    channels = AlertChannels("http://127.0.0.1:1/secret", None, ())
    with pytest.raises(AlertNotSent) as raised:
        await channels.send("Trial.")

    assert "secret" not in str(raised.value)


def test_channels_that_are_not_set_are_none() -> None:
    assert AlertChannels(None, "smtp://mail", ()).names == ()
