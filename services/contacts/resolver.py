"""From an invoice to its BC customer: the stored link, else the rules in order, else a new customer. Never two for one.

A creation is claimed under every match value, across all connections of the BC company, because two Stripe customers
with one e-mail address, or two Stripe accounts on one company, must not create the same customer twice. In doubt, it
is looked for before it is created again.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

from connectors.business_central.models import Customer
from hub.clock import Clock
from hub.directory import Snapshot
from hub.doubt import get_look_interval, get_memory_gap, is_in_doubt
from hub.lease import Lease, hold_leases
from hub.ledger import CustomerLink, Ledger
from hub.redis import customer_lease_key
from mapping.customers import MatchValue, build_customer, build_match_values
from mapping.eligibility import get_issue_time
from schemas.errors import HubError, InDoubt, Queued, Refused
from schemas.messages import CustomerMatch
from schemas.stripe_objects import Invoice
from services.contacts.claims import Claim, Claims, Held, digest
from services.contacts.decide import build_pinned_gone, decide_match
from services.contacts.ports import BcCustomers


@dataclass(frozen=True)
class WouldCreate:
    """A dry run's answer when no customer was found."""

    payload: dict[str, Any]


Resolved = tuple[CustomerMatch | WouldCreate, tuple[str, ...]]
"""The customer, and notes on what was changed for a new one."""


@dataclass
class CustomerResolver:
    """Finds or creates the BC customer of an invoice."""

    ledger: Ledger
    clock: Clock
    lease_life: timedelta
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary[str, asyncio.Lock])

    async def resolve(
        self, snapshot: Snapshot, invoice: Invoice, bc: BcCustomers, *, is_replay: bool = False
    ) -> Resolved:
        """Return the customer. On a replay its link is checked: the customer may have been deleted or blocked.

        Raises:
            Refused: several match, the one that matches is blocked, or a new one can't be made.
            InDoubt: one may have been created.
        """
        values = build_match_values(invoice, snapshot.settings.customers)
        connection, stripe_customer = snapshot.connection.id, invoice.customer or ""
        # Many invoices of one new customer come at once: in this process they take turns, and only the first asks.
        async with self._locks.setdefault(f"{connection}/{stripe_customer}", asyncio.Lock()):
            if (linked := await self._find_linked(snapshot, invoice, bc, is_replay=is_replay)) is not None:
                return linked, ()
            async with self._hold(snapshot, values) as leases:
                match, notes = await self._find_or_create(snapshot, invoice, bc, values, leases)
            if isinstance(match, CustomerMatch) and not snapshot.connection.dry_run:
                link = CustomerLink(customer=match, linked_at=self.clock.now())
                await self.ledger.save_customer_link(connection, stripe_customer, link)
            return match, notes

    async def _find_linked(
        self, snapshot: Snapshot, invoice: Invoice, bc: BcCustomers, *, is_replay: bool
    ) -> CustomerMatch | None:
        connection, stripe_customer = snapshot.connection.id, invoice.customer or ""
        if (link := await self.ledger.load_customer_link(connection, stripe_customer)) is None:
            return None
        if not is_replay:
            return link.customer.model_copy(update={"how": "linked before"})
        if (known := await bc.fetch_customer(link.customer.id)) is not None:
            return decide_match((known,), "linked before", invoice)
        if link.pinned:
            raise build_pinned_gone(link.customer, invoice)
        await self.ledger.drop_customer_link(connection, stripe_customer)
        return None

    @asynccontextmanager
    async def _hold(self, snapshot: Snapshot, values: Sequence[MatchValue]) -> AsyncGenerator[list[Lease]]:
        company = snapshot.connection.company_key
        keys = [customer_lease_key(company, digest(value)) for value in values]
        async with hold_leases(self.ledger.redis, keys, self.lease_life) as leases:
            yield leases

    async def _find_or_create(
        self,
        snapshot: Snapshot,
        invoice: Invoice,
        bc: BcCustomers,
        values: Sequence[MatchValue],
        leases: Sequence[Lease],
    ) -> Resolved:
        claims = Claims(self.ledger.redis, snapshot.connection.company_key, values, self.ledger.replicas)
        held = await claims.load()
        if (found := await _look(bc, claims, held, invoice)) is not None:
            return found, ()
        if not snapshot.settings.customers.create_missing:
            raise _build_not_found(invoice, values)
        payload, notes = build_customer(invoice)
        if snapshot.connection.dry_run:
            return WouldCreate(payload), notes
        await self._check_may_create(snapshot, invoice, held)
        created = await self._create(bc, payload, claims, leases)
        return CustomerMatch(id=created.id, number=created.number, name=created.display_name, how="created"), notes

    async def _check_may_create(self, snapshot: Snapshot, invoice: Invoice, held: Held) -> None:
        life, now = await self.ledger.load_life()
        window = snapshot.settings.doubt_window
        sent = held.find_intent()
        if sent is not None and is_in_doubt(sent, window, now):
            raise InDoubt(
                "Business Central has not said yet whether it created the customer; the hub looks again.",
                code="contact.create.in_doubt",
                retry_after=get_look_interval(window, sent, now),
            )
        if (gap := get_memory_gap(life, get_issue_time(invoice), window, now)) is not None:
            raise Queued(
                "The hub's memory is younger than this invoice; it makes sure that no earlier request is under way.",
                code="ledger.young",
                retry_after=gap,
            )

    async def _create(
        self, bc: BcCustomers, payload: dict[str, Any], claims: Claims, leases: Sequence[Lease]
    ) -> Customer:
        sent: list[Claim] = []

        async def before_send() -> None:
            sent.append(await claims.write_intent(leases))

        try:
            answer = await bc.create_customer(payload, before_send=before_send)
        except InDoubt as error:
            await claims.save(sent[-1].model_copy(update={"slot": error.context.get("limiter_slot")}))
            raise InDoubt(
                error.message, code="contact.create.in_doubt", context=error.context, retry_after=timedelta(seconds=1)
            ) from error
        except HubError:
            # Business Central said no. Without an intent of ours nothing was sent, and the claims may be another's.
            if sent:
                await claims.drop()
            raise
        await claims.save(Claim(customer_id=answer.value.id))
        return answer.value


async def _look(bc: BcCustomers, claims: Claims, held: Held, invoice: Invoice) -> CustomerMatch | None:
    """Look by the rules in order; the first that finds any decides.

    What the hub created under a rule's value lately counts as found by it: not every customer can be found by what it
    was made of (a number from Business Central's series, an e-mail address that was too long).
    """
    for value in claims.values:
        if found := await bc.find_customers(value.pair.bc, value.value):
            match = decide_match(found, value.words, invoice)
            await _end_doubt(bc, claims, held, value, match.id)
            return match
        created = held.find_customer(value)
        if created is not None and (known := await bc.fetch_customer(created)) is not None:
            return decide_match((known,), "created before", invoice)
    return None


async def _end_doubt(bc: BcCustomers, claims: Claims, held: Held, value: MatchValue, customer_id: str) -> None:
    """A creation in doubt has shown: give back the limiter's slot. Claims of other creations stay as they are."""
    claim, values = held.find_same(value)
    if claim is None:
        return
    if claim.slot is not None:
        await bc.release_slot(claim.slot)
    await claims.save(Claim(customer_id=customer_id), values)


def _build_not_found(invoice: Invoice, values: Sequence[MatchValue]) -> Refused:
    tried = "; ".join(value.words for value in values)
    return Refused(
        f"No customer in Business Central matches invoice {invoice.number or invoice.id} ({tried}).",
        code="contact.not_found",
        fix="Create the customer in Business Central, or let the hub create missing customers; then replay.",
    )
