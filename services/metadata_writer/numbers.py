"""The BC customer number, written to the one metadata key of the Stripe customer that the settings name for it."""

from dataclasses import dataclass
from typing import Protocol

from connectors.stripe.client import MetadataWritten
from hub.customer_sync import CustomerSyncs
from hub.directory import Snapshot
from hub.ledger import Ledger
from hub.log import get_logger
from hub.metrics import WRITES
from schemas.errors import Blocked, Refused
from schemas.stripe_objects import Customer
from services.metadata_writer.decide import decide_number
from services.metadata_writer.idempotency import build_idempotency_key


class StripeCustomers(Protocol):
    """Reads customers and writes their metadata."""

    async def fetch_customer(self, customer_id: str) -> Customer | None:
        """Return the customer as it is now, or None if it does not exist or was deleted."""
        ...

    async def update_customer_metadata(
        self, customer_id: str, changes: dict[str, str], *, idempotency_key: str
    ) -> MetadataWritten:
        """Merge the changes into the customer's metadata."""
        ...


@dataclass(frozen=True)
class NumberWriter:
    """Writes the number of the linked customer where the key is empty, or has what the hub wrote there before."""

    ledger: Ledger
    syncs: CustomerSyncs

    async def tell(self, snapshot: Snapshot, stripe_customer: str, stripe: StripeCustomers) -> None:
        """Make the metadata name the customer that the ledger links now.

        What Stripe does not take is logged: the invoice is told all the same.

        Raises:
            RetrySoon, RetryLater, Blocked: not now.
        """
        connection, key = snapshot.connection.id, snapshot.settings.customers.number_key
        link = await self.ledger.load_customer_link(connection, stripe_customer)
        if key is None or link is None:
            return
        number, told = link.customer.number, await self.syncs.load_number(connection, stripe_customer)
        if told == f"{key}={number}":
            return
        customer = await stripe.fetch_customer(stripe_customer)
        current = customer.metadata.get(key, "").strip() if customer else ""
        if customer is None or customer.deleted:
            return
        match decide_number(current, number, told.removeprefix(f"{key}=") if told else None):
            case "write":
                if not await self._write(stripe, stripe_customer, {key: number}):
                    return
            case "kept":
                get_logger().warning("metadata_writer.number.kept", object_id=stripe_customer, key=key)
                return
            case "same":
                pass
        await self.syncs.save_number(connection, stripe_customer, f"{key}={number}")

    async def _write(self, stripe: StripeCustomers, stripe_customer: str, changes: dict[str, str]) -> bool:
        try:
            await stripe.update_customer_metadata(stripe_customer, changes, idempotency_key=build_idempotency_key())
        except (Refused, Blocked) as error:
            # A key that may write invoices and not customers must not stop everything else.
            if isinstance(error, Blocked) and error.code != "stripe.credentials.forbidden":
                raise
            get_logger().error("metadata_writer.number.not_written", object_id=stripe_customer, why=error.message)
            return False
        WRITES.labels("stripe", "customer").inc()
        return True
