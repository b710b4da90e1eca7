"""Intents: what is about to be asked of Business Central, written down before the request goes out.

An intent decides whether a second request may go out, so all must judge it alike: it is written under its leases, whose
lives begin anew with it, and carries the time of Redis's own clock. No process compares its clock with another's.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

from hub.lease import Lease, build_lease_lost
from hub.redis import run
from schemas.contract import Contract

C = TypeVar("C", bound=Contract)

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


async def write_intent(
    redis: Any, leases: Sequence[Lease], keys: Sequence[str], record: C, *, life: timedelta = timedelta(0)
) -> C:
    """Write a record with `intent_at` set to now, under all leases, and begin their lives anew.

    Args:
        redis: The ledger's.
        leases: What must be ours; all of one life.
        keys: Where the record goes.
        record: What is to be written, but for its time.
        life: How long it is kept. Nothing: in the field `state` of a hash, for good.

    Raises:
        RetrySoon: a lease has ended, and someone else may be at work; nothing was written (`ledger.lease.lost`).
    """
    names = [*(lease.key for lease in leases), *keys]
    lease_ms, life_ms = (int(one.total_seconds() * 1000) for one in (leases[0].life, life))
    args = (record.model_dump_json(exclude_none=True), len(leases), lease_ms, life_ms, *(one.token for one in leases))
    written = cast("str | None", await run(redis.eval(_WRITE, len(names), *names, *args)))
    if written is None:
        raise build_lease_lost(names[0])
    return type(record).model_validate_json(written)
