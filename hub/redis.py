"""The connection to Redis, and the names of all keys in it.

Keys of one connection carry its id in braces, so that they share a slot on a Redis cluster. What Redis must be: AOF on
(`appendfsync everysec` or better), `maxmemory-policy noeviction`; `hub doctor` checks both.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from schemas.catalogue import get_entry
from schemas.errors import HubError, Refused, RetrySoon

T = TypeVar("T")

# For scripts that look into the waiting set.
READ_ENTRY = """
-- What is damaged, or not the hub's, is as if it said nothing.
local function read(text)
  local is_good, value = pcall(cjson.decode, text)
  if is_good and type(value) == 'table' and type(value.wakeup) == 'table' then return value end
end
"""

CONNECTIONS = "hub:connections"
INCARNATION = "hub:incarnation"


def stopped_key(stage: str) -> str:
    """String with expiry: the stage holds everything, for what it meets are defects of the hub alone."""
    return f"hub:stopped:{stage}"


def connection_key(connection: str) -> str:
    """Hash: the connection itself, its secrets (encrypted), its settings, what blocks it."""
    return f"hub:{{{connection}}}:connection"


def settings_history_key(connection: str) -> str:
    """Hash: version -> settings as they were."""
    return f"hub:{{{connection}}}:settings"


def tokens_key(connection: str) -> str:
    """String: the sign-in's token cache, encrypted."""
    return f"hub:{{{connection}}}:tokens"


def account_key(stripe_account: str) -> str:
    """Set: the connections of a Stripe account."""
    return f"hub:account:{stripe_account}"


def refused_signatures_key(stripe_account: str) -> str:
    """Hash with expiry: webhooks of an account that were refused for their signature."""
    return f"hub:account:{stripe_account}:refused"


def invoice_key(connection: str, invoice_id: str) -> str:
    """Hash: what the hub knows of one invoice."""
    return f"hub:{{{connection}}}:invoice:{invoice_id}"


def invoice_lease_key(connection: str, invoice_id: str) -> str:
    """String with expiry: who is at work on the invoice."""
    return f"hub:{{{connection}}}:lease:{invoice_id}"


def replays_key(connection: str, invoice_id: str) -> str:
    """Sorted set with expiry: the events that asked for a replay of the invoice, by when they had their turn."""
    return f"hub:{{{connection}}}:replays:{invoice_id}"


def alerts_key(connection: str) -> str:
    """Hash: the alerts that were told and are not over, by channel and kind."""
    return f"hub:{{{connection}}}:alerts"


def stranded_key(connection: str) -> str:
    """String with expiry: when Stripe was last asked for due invoices that the hub does nothing about, and for one."""
    return f"hub:{{{connection}}}:stranded"


def failed_key(connection: str) -> str:
    """Sorted set: failed invoices by the time of failure, for `hub replay --failed`."""
    return f"hub:{{{connection}}}:failed"


def untold_key(connection: str) -> str:
    """Hash: invoices whose metadata don't say all there is to say -> why not."""
    return f"hub:{{{connection}}}:untold"


def customer_link_key(connection: str) -> str:
    """Hash: Stripe customer -> its BC customer."""
    return f"hub:{{{connection}}}:customers"


def customer_claim_key(company_key: str, value: str) -> str:
    """Hash: the creation of a BC customer under one match value, across all connections of the company."""
    return f"hub:{{{company_key}}}:claim:{value}"


def customer_lease_key(company_key: str, value: str) -> str:
    """String with expiry: who may create a BC customer under one match value."""
    return f"hub:{{{company_key}}}:lease:{value}"


def gross_prices_key(company_key: str) -> str:
    """Hash: BC customer -> whether its prices include tax, as its documents showed."""
    return f"hub:{{{company_key}}}:gross_prices"


def unbillable_key(company_key: str) -> str:
    """Hash: what new customers get their posting groups by -> when a draft for one showed that there are none."""
    return f"hub:{{{company_key}}}:unbillable"


def vat_facts_key(company_key: str, tax_area: str) -> str:
    """Hash: what a line is booked on -> its VAT for customers of this VAT business posting group."""
    return f"hub:{{{company_key}}}:vat:{tax_area}"


def posting_precision_key(company_key: str) -> str:
    """Hash: currency -> what posting rounds totals to, as posted documents showed."""
    return f"hub:{{{company_key}}}:posting_precision"


def document_owners_key(company_key: str) -> str:
    """Hash: BC document -> the invoice that it was made or taken for, across all connections of the company."""
    return f"hub:{{{company_key}}}:documents"


def customer_index_key(company_key: str) -> str:
    """Sorted set: digests of what a BC company's customers are called, each with a customer's id."""
    return f"hub:{{{company_key}}}:index"


def customer_index_rows_key(company_key: str) -> str:
    """Hash: customer id -> when it was last changed, and its digests."""
    return f"hub:{{{company_key}}}:index:rows"


def customer_index_state_key(company_key: str) -> str:
    """String: how far the index has read, as JSON."""
    return f"hub:{{{company_key}}}:index:state"


def customer_sync_key(connection: str) -> str:
    """Hash: Stripe customer -> what the hub last wrote to its BC customer, and what differs since."""
    return f"hub:{{{connection}}}:customers:sync"


def customer_new_key(connection: str) -> str:
    """Set: Stripe customers that a person has called new: who differs from them is another."""
    return f"hub:{{{connection}}}:customers:new"


def customer_numbers_key(connection: str) -> str:
    """Hash: Stripe customer -> the BC number that the hub wrote to its metadata, or found there."""
    return f"hub:{{{connection}}}:customers:numbers"


def waiting_key(connection: str) -> str:
    """Sorted set: objects by the time they are due."""
    return f"hub:{{{connection}}}:waiting"


def waiting_entries_key(connection: str) -> str:
    """Hash: object -> what waits, as JSON."""
    return f"hub:{{{connection}}}:waiting:entries"


def woken_key(connection: str) -> str:
    """Sorted set: objects published to the head topic and not heard of since, by when they count as lost."""
    return f"hub:{{{connection}}}:woken"


def usage_key(connection: str, month: str) -> str:
    """Sorted set: the invoices first synced in a month (`2026-11`, UTC), by when."""
    return f"hub:{{{connection}}}:usage:{month}"


def usage_months_key(connection: str) -> str:
    """Set: the months that have usage."""
    return f"hub:{{{connection}}}:usage"


def role_lease_key(connection: str, role: str) -> str:
    """String with expiry: the one replica that does a duty (waker, catch_up, sweep, backfill) for the connection."""
    return f"hub:{{{connection}}}:role:{role}"


def cursor_key(connection: str) -> str:
    """String: how far catch-up has read the Events API, Unix seconds, and the life of the ledger it read it for."""
    return f"hub:{{{connection}}}:cursor"


def swept_key(connection: str) -> str:
    """String: how far the sweep has come, Unix seconds of draft creation, and the life of the ledger it was in."""
    return f"hub:{{{connection}}}:swept"


def backfill_key(connection: str) -> str:
    """String: the backfill that was asked for last, and how far it has come, as JSON."""
    return f"hub:{{{connection}}}:backfill"


def build_redis(url: str) -> Any:
    """Build the client. A bounded pool: a burst waits for a connection instead of opening a thousand."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=32,
        timeout=10,
        socket_timeout=5,
        socket_connect_timeout=3,
        health_check_interval=30,
        # A pool built from a URL retries nothing by itself; a connection that died while idle is no reason to fail.
        # Not a time-out: the command may have been done, and the second answer of a fenced write would mislead.
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 2, supported_errors=(RedisConnectionError,)),
        decode_responses=True,
    )
    pool.connection_class = _build_honest(pool.connection_class)
    return Redis.from_pool(pool)


def _build_honest(connection_class: type[AbstractConnection]) -> type[AbstractConnection]:
    """Build the class that says what redis-py (8.1) keeps to itself.

    That the connection was reset a moment ago: uvloop raises a RuntimeError there, which, taken for a defect, would
    send messages to the dead topic. Nothing was sent, so the command may be tried again.

    That the caller was cancelled while the command was sent: on Python 3.11 `asyncio.wait_for` forgets it when its own
    work has just ended, and an `asyncio.timeout` around the call never comes again.
    """

    class Honest(connection_class):
        async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            caller = cast("asyncio.Task[Any]", asyncio.current_task())
            cancellations = caller.cancelling()
            try:
                await super().send_packed_command(command, check_health)
            except RuntimeError as error:
                if not str(error).endswith("the handler is closed"):
                    raise
                raise RedisConnectionError("The connection was reset.") from error
            if caller.cancelling() > cancellations:
                # The answer to come would be taken for the next command's.
                await self.disconnect(nowait=True)
                raise asyncio.CancelledError

    return Honest


DAMAGED = "ledger.record.damaged"


@asynccontextmanager
async def translate_redis_errors() -> AsyncGenerator[None]:
    """Turn whatever Redis raises into one of ours: nothing is decided without the ledger.

    Raises:
        RetrySoon: it does not answer (`ledger.unavailable`), or takes no writes (`ledger.read_only`).
        Refused: what stands there is not the hub's (`ledger.record.damaged`).
    """
    try:
        yield
    except ResponseError as error:
        raise _classify_reply(error) from error
    except (RedisError, OSError, TimeoutError) as error:
        raise RetrySoon(
            "The hub's ledger (Redis) does not answer.",
            code="ledger.unavailable",
            context={"why": type(error).__name__},
        ) from error


@contextmanager
def reading(key: str) -> Generator[None]:
    """Read what stands under a key: where that is not what the hub writes, the error names it.

    Raises:
        Refused: it is damaged (`ledger.record.damaged`).
    """
    try:
        yield
    except Refused as error:
        if error.code != DAMAGED or key in error.message:
            raise
        raise build_damaged(key, error.context.get("why", "")) from error
    except (ValueError, KeyError, TypeError) as error:
        raise build_damaged(key, type(error).__name__) from error


def build_damaged(what: str, why: str) -> Refused:
    """Build the error for a record that can't be read."""
    entry = get_entry(DAMAGED)
    return Refused(f"{entry.cause} It is {what}.", code=DAMAGED, fix=entry.fix, context={"why": why})


_NOT_OURS = re.compile(r"WRONGTYPE|cjson|Expected .{0,40} but found|is not an integer|not a valid float", re.IGNORECASE)
_TAKES_NO_WRITES = {
    "its memory is full": re.compile(r"\bOOM\b|maxmemory", re.IGNORECASE),
    "its disk is full or fails": re.compile(r"MISCONF|No space left", re.IGNORECASE),
    "it is a replica": re.compile(r"READONLY|read only replica", re.IGNORECASE),
    "too few replicas follow": re.compile(r"NOREPLICAS|enough good replicas", re.IGNORECASE),
}


def _classify_reply(error: ResponseError) -> HubError:
    said = str(error)
    if _NOT_OURS.search(said):
        return build_damaged("one of those that were just asked for", said[:200])
    why = next((why for why, pattern in _TAKES_NO_WRITES.items() if pattern.search(said)), None)
    if why is not None:
        return RetrySoon(
            f"The hub's ledger (Redis) takes no writes: {why}.", code="ledger.read_only", context={"why": said[:200]}
        )
    return RetrySoon(
        "The hub's ledger (Redis) does not answer.", code="ledger.unavailable", context={"why": said[:200]}
    )


async def run(command: Any) -> Any:
    """Await a command or script with its errors translated."""
    async with translate_redis_errors():
        return await cast("Awaitable[Any]", command)
