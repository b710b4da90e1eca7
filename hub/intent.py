"""Intents: what is about to be asked of Business Central, written down before the request goes out.

An intent decides whether a second request may go out, so all must judge it alike: it is written under its leases, whose
lives begin anew with it, and carries the time of Redis's own clock. No process compares its clock with another's. Where
Redis has replicas, one that takes over must know of it too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from redis.exceptions import RedisError

from hub.lease import Lease, build_lease_lost
from hub.redis import translate_redis_errors
from schemas.contract import Contract
from schemas.errors import RetrySoon

C = TypeVar("C", bound=Contract)

# A replica in the same region answers within milliseconds; the tries in place come on top.
_REPLICA_PATIENCE = timedelta(milliseconds=500)

# KEYS: the leases, then the records to write. ARGV: the record without its time; how many leases, and their life (ms);
# how long the records live (ms), or 0 for the field `state` of a hash, which stays; the leases' tokens. Replies what
# was written; nothing, where a lease is another's.
_WRITE = """
local leases, life = tonumber(ARGV[2]), tonumber(ARGV[4])
for i = 1, leases do
  if redis.call('GET', KEYS[i]) ~= ARGV[4 + i] then return false end
end
for i = 1, leases do redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
local time, record = redis.call('TIME'), cjson.decode(ARGV[1])
record.intent_at = string.format('%d.%06d', time[1], time[2])
local written = cjson.encode(record)
for i = leases + 1, #KEYS do
  if life > 0 then redis.call('SET', KEYS[i], written, 'PX', life)
  else redis.call('HSET', KEYS[i], 'state', written) end
end
return written
"""


@dataclass(frozen=True)
class Intent(Generic[C]):
    """An intent that was written."""

    record: C
    is_replicated: bool
    """Whether as many replicas have it as were to have it. If not, a failover may forget it: send nothing."""


async def write_intent(
    redis: Any,
    leases: Sequence[Lease],
    keys: Sequence[str],
    record: C,
    *,
    life: timedelta = timedelta(0),
    replicas: int = 0,
) -> Intent[C]:
    """Write a record with `intent_at` set to now, under all leases, and begin their lives anew.

    Args:
        redis: The ledger's.
        leases: What must be ours; all of one life.
        keys: Where the record goes.
        record: What is to be written, but for its time.
        life: How long it is kept. Nothing: in the field `state` of a hash, for good.
        replicas: How many replicas must have it, for the intent to count as replicated.

    Raises:
        RetrySoon: a lease has ended, and someone else may be at work: nothing was written (`ledger.lease.lost`). Or
            Redis does not answer, and the intent may stand (`ledger.unavailable`).
    """
    names = [*(lease.key for lease in leases), *keys]
    lease_ms, life_ms = (int(one.total_seconds() * 1000) for one in (leases[0].life, life))
    args = (record.model_dump_json(exclude_none=True), len(leases), lease_ms, life_ms, *(one.token for one in leases))
    async with translate_redis_errors():
        written, acknowledged = await _write(redis, (_WRITE, len(names), *names, *args), replicas)
    if written is None:
        raise build_lease_lost(names[0])
    return Intent(type(record).model_validate_json(written), acknowledged >= replicas)


async def _write(redis: Any, script: tuple[Any, ...], replicas: int) -> tuple[str | None, int]:
    """Write; and wait for replicas on the same connection, for WAIT speaks of what its own connection has written."""
    if not replicas:
        return await redis.eval(*script), 0
    async with redis.pipeline(transaction=False) as pipe:
        pipe.eval(*script)
        pipe.wait(replicas, int(_REPLICA_PATIENCE.total_seconds() * 1000))
        written, acknowledged = await pipe.execute(raise_on_error=False)
    if isinstance(written, RedisError):
        raise written
    # A Redis that refuses to wait has told nobody, as far as is known.
    return written, acknowledged if isinstance(acknowledged, int) else 0


def build_not_replicated() -> RetrySoon:
    """Build the error of an intent that was taken back: nothing was sent."""
    return RetrySoon(
        "A replica of the hub's ledger (Redis) did not confirm in time, so nothing was sent to Business Central. Check "
        "the replicas of Redis, and HUB_REDIS_REPLICAS.",
        code="ledger.replica.behind",
    )
