"""What the ledger holds of a BC customer that is kept in step with Stripe: what was written, and what differs since."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from hub.redis import customer_numbers_key, customer_sync_key, reading, run
from schemas.contract import Contract, Moment
from schemas.messages import ErrorDetail

# What is known of another BC customer says nothing about this one. ARGV: Stripe customer, the record, the BC customer.
_BEGIN = """
local kept = redis.call('HGET', KEYS[1], ARGV[1])
if not kept or cjson.decode(kept).customer_id ~= ARGV[3] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
"""


class CustomerSync(Contract):
    """How a Stripe customer and its BC customer stand."""

    customer_id: str
    """The BC customer's id."""
    written: dict[str, str] = Field(default_factory=dict)
    """By field: the digest of what the hub last wrote there, or found to be Stripe's. No personal data."""
    differences: tuple[str, ...] = ()
    """Fields that a person changed in Business Central, so that Stripe's value was not written over them."""
    covered_at: Moment | None = None
    """The newest event whose changes were dealt with, by Stripe's clock."""
    covered_event: str | None = None
    deleted_at: Moment | None = None
    """When the Stripe customer was seen deleted. Its link stays: its invoices stand."""
    is_emptying: bool = False
    """The hub is emptying tax number and post code, to write others: empty ones are its own."""
    problem: ErrorDetail | None = None
    """Why the last change could not be carried over."""

    @property
    def needs_eyes(self) -> bool:
        """Whether a person may want to look."""
        return bool(self.differences) or self.deleted_at is not None or self.problem is not None


@dataclass(frozen=True)
class CustomerSyncs:
    """Reads and writes the records, by connection and Stripe customer. Raises RetrySoon when Redis does not answer."""

    redis: Any

    async def load(self, connection: str, stripe_customer: str) -> CustomerSync | None:
        """Return what is known."""
        key = customer_sync_key(connection)
        with reading(f"{key}, field {stripe_customer}"):
            stored = await run(self.redis.hget(key, stripe_customer))
            return CustomerSync.model_validate_json(stored) if stored else None

    async def load_all(self, connection: str) -> dict[str, CustomerSync]:
        """Return what is known of all customers of a connection."""
        key = customer_sync_key(connection)
        with reading(key):
            stored: dict[str, str] = await run(self.redis.hgetall(key))
            return {name: CustomerSync.model_validate_json(text) for name, text in stored.items()}

    async def save(self, connection: str, stripe_customer: str, sync: CustomerSync) -> None:
        """Write what is known."""
        await run(self.redis.hset(customer_sync_key(connection), stripe_customer, sync.model_dump_json()))

    async def begin(self, connection: str, stripe_customer: str, sync: CustomerSync) -> None:
        """Write what a new link begins with, unless something is known of that BC customer already."""
        args = (stripe_customer, sync.model_dump_json(), sync.customer_id)
        await run(self.redis.eval(_BEGIN, 1, customer_sync_key(connection), *args))

    async def drop(self, connection: str, stripe_customer: str) -> None:
        """Forget what is known, with its link."""
        await run(self.redis.hdel(customer_sync_key(connection), stripe_customer))

    async def load_number(self, connection: str, stripe_customer: str) -> str | None:
        """Return the number that the hub last wrote to the Stripe customer's metadata."""
        return await run(self.redis.hget(customer_numbers_key(connection), stripe_customer))

    async def save_number(self, connection: str, stripe_customer: str, number: str) -> None:
        """Remember the number that the Stripe customer's metadata have."""
        await run(self.redis.hset(customer_numbers_key(connection), stripe_customer, number))
