"""Alerts for people without a dashboard: each told once when it begins and once when it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from hub.alerts import AlertChannels, AlertNotSent
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.ledger import name_month
from hub.redis import alerts_key, failed_key, run, untold_key, usage_key
from hub.stage.ports import HELD, Gate
from hub.stopped import list_stopped, tell_stopped
from hub.waiting import RedisWaitingSet
from schemas.connections import BlockedState
from schemas.errors import RetryLater
from services.ingest.duty import Duty
from services.ingest.stranded import StrandedInvoices

_INTERVAL = timedelta(minutes=1)
# What ends within this was an outage that nobody has to do anything about.
_BROKEN_AFTER = timedelta(minutes=10)
_HOUR = timedelta(hours=1)
_FEWEST = 3
# Whose alerts those are that belong to no connection: no id of one has this form.
_WHOLE_HUB = "*"


@dataclass(frozen=True)
class Limits:
    """When something is worth an alert."""

    silence: timedelta
    failures_per_hour: int


@dataclass(frozen=True)
class Seen:
    """What one connection looks like now."""

    name: str
    blocks: Mapping[str, BlockedState]
    failed_last_hour: int
    synced_last_hour: int
    failed_in_silence: int
    """Failures within the time that silence may last."""
    oldest_wait: datetime | None
    has_success: bool
    """Whether an invoice was synced within that time."""
    untold: int = 0
    """Invoices whose metadata in Stripe can't be brought up to date."""
    stranded: str = ""
    """An invoice that is due in Stripe as long, and that the hub does nothing about."""

    def has_due(self, limits: Limits, now: datetime) -> bool:
        """Tell whether the hub's own ledger says that something is due."""
        has_waited = self.oldest_wait is not None and now - self.oldest_wait >= limits.silence
        return has_waited or self.failed_in_silence > 0


def decide_alerts(seen: Seen, limits: Limits, now: datetime) -> dict[str, str]:
    """Say what is wrong with a connection, by kind."""
    alerts = {
        f"blocked.{system}": f"{seen.name}: no invoice goes through since {state.since:%Y-%m-%d %H:%M} UTC. "
        f"{state.message}"
        for system, state in seen.blocks.items()
        if now - state.since >= _BROKEN_AFTER or state.code == HELD
    }
    if _are_many(seen.failed_last_hour, seen.synced_last_hour, limits):
        alerts["failures"] = f"{seen.name}: many invoices fail. See hub replay --failed --dry-run."
    if seen.untold:
        alerts["untold"] = f"{seen.name}: Stripe does not take what became of an invoice. See hub doctor."
    if not seen.has_success and (cause := _find_due(seen, limits, now)):
        hours = limits.silence.total_seconds() / 3600
        words = f"{seen.name}: {cause}, and none was synced for {hours:g} hours."
        alerts["silence"] = f"{words} See hub doctor and hub reconcile."
    return alerts


def _find_due(seen: Seen, limits: Limits, now: datetime) -> str:
    if seen.has_due(limits, now):
        return "invoices are due"
    return f"{seen.stranded} is due in Stripe with nothing under way for it" if seen.stranded else ""


def _are_many(failed: int, synced: int, limits: Limits) -> bool:
    """A number of failures, or fewer where they outnumber what succeeds: one or two of few are everyday work."""
    return failed >= limits.failures_per_hour or (failed >= _FEWEST and failed > synced)


class DeadMessages(Protocol):
    """Counts what nobody could read or carry out."""

    async def count_since(self, since: datetime) -> int:
        """Count the dead messages that are younger than this."""
        ...


@dataclass
class Alerting:
    """Looks at all connections and at the dead topic each minute, one replica at a time by lease."""

    directory: Directory
    waiting: RedisWaitingSet
    channels: AlertChannels
    limits: Limits
    dead: DeadMessages
    stranded: StrandedInvoices
    redis: Any
    clock: Clock
    gate: Gate
    _duty: Duty = field(init=False)

    def __post_init__(self) -> None:
        """Claim the duty under a name of its own."""
        self._duty = Duty("alerts", 3 * _INTERVAL, self.redis, self.gate)

    async def run(self) -> None:
        """Go round for ever. What was not sent is sent with the next look."""
        await self._duty.go_round(self._list, self._look, _INTERVAL)

    async def _list(self) -> Sequence[str]:
        """List whose alerts there may be; without a channel there is nobody to tell."""
        return [*await self.directory.list_ids(), _WHOLE_HUB] if self.channels.names else []

    async def _look(self, whose: str) -> None:
        await (self.look_at_dead() if whose == _WHOLE_HUB else self.look(whose))

    async def look(self, connection: str) -> None:
        """Tell what has begun and what has ended since the last look."""
        snapshot = await self.directory.get(connection)
        seen, now = await self._see(snapshot), self.clock.now()
        if not seen.has_success and not seen.has_due(self.limits, now):
            seen = replace(seen, stranded=await self.stranded.find(snapshot, self.limits.silence))
        await self._tell(connection, decide_alerts(seen, self.limits, now))

    async def look_at_dead(self) -> None:
        """As `look`, at what is no connection's alone: stages that hold everything, and the dead messages.

        The latter are over when none has come for an hour.
        """
        count = await self.dead.count_since(self.clock.now() - _HOUR)
        words = "Messages could not be read or carried out, and went to the dead topic. See hub dead list."
        alerts = {f"stopped.{stage}": tell_stopped(stage) for stage in await list_stopped(self.redis)}
        await self._tell(_WHOLE_HUB, alerts | ({"dead": words} if count else {}))

    async def _tell(self, whose: str, alerts: Mapping[str, str]) -> None:
        """Bring each channel up to date by itself: one that fails makes no other repeat what it has told."""
        try:
            await self.channels.reach_all(lambda channel: self._tell_by(channel, whose, alerts))
        except AlertNotSent as error:
            raise RetryLater(str(error), code="alert.not_sent") from error

    async def _tell_by(self, channel: str, whose: str, alerts: Mapping[str, str]) -> None:
        key, prefix = alerts_key(whose), f"{channel} "
        stored: dict[str, str] = await run(self.redis.hgetall(key))
        told = {name.removeprefix(prefix): text for name, text in stored.items() if name.startswith(prefix)}
        for kind in alerts.keys() - told.keys():
            await self.channels.send_by(channel, alerts[kind])
            await run(self.redis.hset(key, prefix + kind, alerts[kind]))
        for kind in told.keys() - alerts.keys():
            await self.channels.send_by(channel, f"Over: {told[kind]}")
            await run(self.redis.hdel(key, prefix + kind))

    async def _see(self, snapshot: Snapshot) -> Seen:
        connection, now = snapshot.connection.id, self.clock.now()
        since = (now - self.limits.silence).timestamp()
        waits = await self.waiting.list_entries(connection)
        return Seen(
            name=f"{snapshot.connection.stripe_account} → {snapshot.connection.bc_company}",
            blocks=snapshot.blocks,
            failed_last_hour=await run(self.redis.zcount(failed_key(connection), (now - _HOUR).timestamp(), "+inf")),
            synced_last_hour=await self._count_synced(connection, now - _HOUR),
            failed_in_silence=await run(self.redis.zcount(failed_key(connection), since, "+inf")),
            oldest_wait=min((entry.since for entry in waits), default=None),
            untold=await run(self.redis.hlen(untold_key(connection))),
            has_success=bool(await self._count_synced(connection, now - self.limits.silence)),
        )

    async def _count_synced(self, connection: str, since: datetime) -> int:
        months = {name_month(self.clock.now()), name_month(since)}
        counts = [
            await run(self.redis.zcount(usage_key(connection, month), since.timestamp(), "+inf")) for month in months
        ]
        return sum(counts)
