"""The waiting set: per connection, what is not due yet. The waker publishes it to the head topic when it is.

Retry-later, blocked connections, overflow of a share, doubt and backfill all wait here; there is no retry topic. If it
is lost with Redis, the catch-up brings back what Stripe's events still tell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hub.log import get_logger
from hub.redis import READ_ENTRY, run, waiting_entries_key, waiting_key, woken_key
from hub.stage.ports import Parked
from schemas.catalogue import get_entry
from schemas.contract import Contract, Moment
from schemas.ids import ConnectionId
from schemas.messages import Message, StripeEventReceived, Wakeup

# History sorts after everything live: its scores begin where Unix times will be in the year 2286.
_HISTORY = 10_000_000_000
# A woken object that nobody has reported on for so long was lost on the way, and waits again.
_WOKEN_LIFE = timedelta(seconds=120)

# What a newer message about the same object must not undo: how long it has waited, a person's wish, its place before
# history.
_PARK = (
    READ_ENTRY
    + """
local entry, score = cjson.decode(ARGV[2]), tonumber(ARGV[3])
local stored = redis.call('HGET', KEYS[2], ARGV[1])
local old = stored and read(stored)
if old then
  entry.since = old.since
  local asked = entry.wakeup.cause == 'replay'
  if not asked and type(old.wakeup.settings_version) == 'number' then
    entry.wakeup.settings_version = old.wakeup.settings_version
  end
  if old.wakeup.cause == 'replay' then entry.wakeup.cause = 'replay' end
  if old.wakeup.recreate then entry.wakeup.recreate = true end
  if not old.wakeup.history then entry.wakeup.history = false end
end
if entry.wakeup.history then score = score + tonumber(ARGV[4]) end
redis.call('HSET', KEYS[2], ARGV[1], cjson.encode(entry))
redis.call('ZADD', KEYS[1], score, ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
"""
)

_WAKE = (
    READ_ENTRY
    + """
local now, history = tonumber(ARGV[1]), tonumber(ARGV[2])
for _, lost in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do
  local entry = redis.call('HGET', KEYS[2], lost)
  if entry then
    local kept = read(entry)
    redis.call('ZADD', KEYS[1], kept and kept.wakeup.history and history + now or now, lost)
  end
  redis.call('ZREM', KEYS[3], lost)
end
local room = tonumber(ARGV[3]) - redis.call('ZCARD', KEYS[3])
local woken = {}
for _, range in ipairs({{'-inf', now}, {history, history + now}}) do
  if room > #woken then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], range[1], range[2], 'LIMIT', 0, room - #woken)) do
      local entry = redis.call('HGET', KEYS[2], id)
      redis.call('ZREM', KEYS[1], id)
      if entry then
        redis.call('ZADD', KEYS[3], ARGV[4], id)
        woken[#woken + 1] = {id, entry}
      end
    end
  end
end
return woken
"""
)

# As in the ledger's outcomes: a newer message about the same object may wait, or be under way, meanwhile.
_SETTLE = (
    READ_ENTRY
    + """
local entry = redis.call('HGET', KEYS[2], ARGV[1])
if not entry or redis.call('ZSCORE', KEYS[1], ARGV[1]) then return end
local kept, received = read(entry), cjson.decode(ARGV[2])
if not kept then return end
local wakeup = kept.wakeup
if wakeup.event_id == received.event_id and wakeup.occurred_at == received.occurred_at then
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
end
"""
)

_CHUNK = 1000


class WaitingEntry(Contract):
    """One object that waits."""

    wakeup: Wakeup
    due: Moment
    since: Moment
    code: str
    reason: str
    stage: str

    def build_message(self, connection: str) -> StripeEventReceived:
        """Build the message that brings the object round again. A person's replay stays one; the rest is a retry."""
        wakeup = self.wakeup
        return StripeEventReceived(
            connection=ConnectionId(connection),
            cause=wakeup.cause if wakeup.cause == "replay" else "retry",
            object_id=wakeup.object_id,
            event_type=wakeup.event_type,
            event_id=wakeup.event_id,
            occurred_at=wakeup.occurred_at,
            recreate=wakeup.recreate,
            attempt=wakeup.attempt,
            history=wakeup.history,
            settings_version=wakeup.settings_version,
        )


@dataclass(frozen=True)
class RedisWaitingSet:
    """The waiting sets of all connections. Implements the runtime's `WaitingSet`."""

    redis: Any
    # As many as a stage takes in hand of one connection: more would only come back as overflow.
    in_flight: int = 64

    async def park(self, parked: Parked) -> None:
        """Keep a message's object until it is due.

        One entry for each object, the newest; but it keeps `since`, a person's replay stays one, and history does not
        take the place of something live.
        """
        wakeup = parked.message.build_wakeup()
        if parked.counts_as_attempt:
            wakeup = wakeup.model_copy(update={"attempt": wakeup.attempt + 1})
        now = datetime.now(UTC)
        entry = WaitingEntry(
            wakeup=wakeup, due=parked.due, since=now, code=parked.code, reason=parked.reason, stage=parked.stage
        )
        args = (wakeup.object_id, entry.model_dump_json(), parked.due.timestamp(), _HISTORY)
        await run(self.redis.eval(_PARK, 3, *_keys(parked.message.connection), *args))

    async def wake(self, connection: str, now: datetime, *, at_most: int | None = None) -> Sequence[WaitingEntry]:
        """Take what is due, live before history, and no more than the connection can have in flight.

        What is taken counts as woken until its outcome is recorded or it is parked again; forgotten by everyone, it
        waits anew after two minutes.
        """
        room = self.in_flight if at_most is None else min(at_most, self.in_flight)
        stamp = now.timestamp()
        args = (stamp, _HISTORY, room, stamp + _WOKEN_LIFE.total_seconds())
        found = cast("list[tuple[str, str]]", await run(self.redis.eval(_WAKE, 3, *_keys(connection), *args)))
        return [_parse(object_id, entry) for object_id, entry in found]

    async def settle(self, message: Message) -> None:
        """Forget a woken message that has arrived, unless its object was parked again meanwhile."""
        wakeup = message.build_wakeup()
        args = (wakeup.object_id, wakeup.model_dump_json())
        await run(self.redis.eval(_SETTLE, 3, *_keys(message.connection), *args))

    async def list_entries(self, connection: str) -> list[WaitingEntry]:
        """List everything that waits, soonest first."""
        ids = cast("list[str]", await run(self.redis.zrange(waiting_key(connection), 0, -1)))
        entries: list[WaitingEntry] = []
        # Some at a time: parsing ten thousand at once would hold up a webhook.
        for begin in range(0, len(ids), _CHUNK):
            some = ids[begin : begin + _CHUNK]
            found = cast("list[str | None]", await run(self.redis.hmget(waiting_entries_key(connection), some)))
            kept = zip(some, found, strict=True)
            entries += [_parse(object_id, entry) for object_id, entry in kept if entry is not None]
        return entries

    async def find(self, connection: str, object_ids: Sequence[str]) -> set[str]:
        """Return which of these wait, or were woken and have not been heard of since."""
        if not object_ids:
            return set()
        found = await run(self.redis.hmget(waiting_entries_key(connection), list(object_ids)))
        return {one for one, entry in zip(object_ids, found, strict=True) if entry is not None}

    async def count(self, connection: str) -> int:
        """Count what waits."""
        return int(await run(self.redis.zcard(waiting_key(connection))))

    async def make_due(self, connection: str, now: datetime) -> int:
        """Let everything that waits be due now: the connection was resumed or repaired. Returns how many.

        The oldest events come first; live still comes before history.
        """
        scores = {entry.wakeup.object_id: _order(entry.wakeup, now) for entry in await self.list_entries(connection)}
        for chunk in _split(scores):
            # What has been woken meanwhile is not put back, and nothing comes later than it would have.
            await run(self.redis.zadd(waiting_key(connection), chunk, xx=True, lt=True))
        return len(scores)


def _parse(object_id: str, stored: str) -> WaitingEntry:
    """Read an entry. Of one that is damaged the object is left, which is enough to look at it again."""
    try:
        return WaitingEntry.model_validate_json(stored)
    except ValueError:
        get_logger().error("waiting.entry.damaged", object_id=object_id)
    kind = "customer.updated" if object_id.startswith("cus_") else "invoice.updated"
    now = datetime.now(UTC)
    wakeup = Wakeup(object_id=object_id, event_type=kind, occurred_at=now, cause="sweep", history=False)
    entry = get_entry("ledger.record.damaged")
    return WaitingEntry(wakeup=wakeup, due=now, since=now, code=entry.code, reason=entry.cause, stage="ingest")


def _order(wakeup: Wakeup, now: datetime) -> float:
    begun = min(wakeup.occurred_at, now).timestamp()
    return _HISTORY + begun if wakeup.history else begun


def _split(scores: dict[str, float]) -> Iterator[dict[str, float]]:
    items = list(scores.items())
    for begin in range(0, len(items), _CHUNK):
        yield dict(items[begin : begin + _CHUNK])


def _keys(connection: str) -> tuple[str, str, str]:
    return waiting_key(connection), waiting_entries_key(connection), woken_key(connection)
