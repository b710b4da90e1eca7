"""Leases: who is at work on something. A lease ends by itself, so that a killed process blocks nobody for long."""

import random
import secrets
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hub.redis import run
from schemas.errors import RetrySoon

# Takes a free key, or keeps our own: the client repeats a command whose answer was lost, and the first may have worked.
# Answers 0, or the milliseconds that another holder has left.
_TAKE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 0 end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
return math.max(1, redis.call('PTTL', KEYS[1]))
"""
# Only the holder may release: after expiry the key may be another's.
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@dataclass(frozen=True)
class Lease:
    """A held lease. Its token fences ledger writes: a holder that slept through the expiry cannot write any more.

    Its life begins anew with each intent (`hub/intent.py`).
    """

    redis: Any
    key: str
    token: str
    life: timedelta

    async def release(self) -> None:
        """Give it up, if it is still ours."""
        await run(self.redis.eval(_RELEASE, 1, self.key, self.token))


@asynccontextmanager
async def hold_lease(redis: Any, key: str, life: timedelta) -> AsyncGenerator[Lease]:
    """Hold a lease for the length of the block.

    Raises:
        RetrySoon: someone else holds it. A living holder is mostly done within the tries in place; one that was killed
            keeps it for the rest of its life, which is what the error says to wait.
    """
    lease = Lease(redis, key, secrets.token_hex(16), life)
    if left_ms := int(await run(redis.eval(_TAKE, 1, key, lease.token, _ms(life)))):
        raise _build_lease_taken(key, left_ms)
    try:
        yield lease
    finally:
        # What the block did, or raised, stands: a lease that can't be given back now ends by itself.
        with suppress(RetrySoon):
            await lease.release()


@asynccontextmanager
async def hold_leases(redis: Any, keys: Iterable[str], life: timedelta) -> AsyncGenerator[list[Lease]]:
    """Hold several leases, taken in sorted order so that two holders can't wait for each other.

    Raises:
        RetrySoon: someone else holds one of them; none is kept.
    """
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(hold_lease(redis, key, life)) for key in sorted(set(keys))]


async def try_role(redis: Any, key: str, token: str, life: timedelta) -> bool:
    """Take or keep the role of the only one: True while this token holds it."""
    return not await run(redis.eval(_TAKE, 1, key, token, _ms(life)))


def build_lease_lost(key: str) -> RetrySoon:
    """Build the error of a holder that finds its lease ended."""
    return RetrySoon(
        "This took longer than its lease and was given up.", code="ledger.lease.lost", context={"key": key}
    )


def _build_lease_taken(key: str, left_ms: int) -> RetrySoon:
    # All who wait for one lease know the same end; the jitter keeps them from coming in step.
    left = timedelta(milliseconds=left_ms) + timedelta(seconds=random.uniform(0.1, 1.0))
    return RetrySoon(
        "Another process is at work on this.", code="ledger.lease.taken", context={"key": key}, retry_after=left
    )


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
