"""From an invoice to its BC customer: the stored link, else the rules in order, else a new customer. Never two for one.

A creation is claimed under every match value, across all connections of the BC company, because two Stripe customers
with one e-mail address, or two Stripe accounts on one company, must not create the same customer twice. The claim
passes through the same states as a draft: intent, then created; in doubt, it is looked for before it is created
again.
"""

import asyncio
import hashlib
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
from hub.redis import customer_claim_key, customer_lease_key, run
from mapping.customers import MatchValue, build_customer, build_match_values
from mapping.eligibility import get_issue_time
from schemas.contract import Contract, Moment
from schemas.errors import HubError, InDoubt, Refused, RetryLater
from schemas.messages import CustomerMatch
from schemas.stripe_objects import Invoice
from services.contacts.decide import decide_match
from services.contacts.ports import BcCustomers


class Claim(Contract):
    """The creation of a BC customer under one match value."""

    intent_at: Moment | None = None
    looks: int = 0
    slot: str | None = None
    customer_id: str | None = None


@dataclass(frozen=True)
class WouldCreate:
    """A dry run's answer when no customer was found."""

    payload: dict[str, Any]


@dataclass
class CustomerResolver:
    """Finds or creates the BC customer of an invoice."""

    ledger: Ledger
    clock: Clock
    lease_life: timedelta
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary[str, asyncio.Lock])

    async def resolve(
        self, snapshot: Snapshot, invoice: Invoice, bc: BcCustomers
    ) -> tuple[CustomerMatch | WouldCreate, tuple[str, ...]]:
        """Return the customer and notes on what was changed for a new one.

        Raises:
            Refused: several match, the one that matches is blocked, or a new one can't be made.
            InDoubt: one may have been created.
        """
        values = build_match_values(invoice, snapshot.settings.customers)
        connection, stripe_customer = snapshot.connection.id, invoice.customer or ""
        # Many invoices of one new customer come at once: in this process they take turns, and only the first asks.
        async with self._locks.setdefault(f"{connection}/{stripe_customer}", asyncio.Lock()):
            if (link := await self.ledger.load_customer_link(connection, stripe_customer)) is not None:
                return link.customer.model_copy(update={"how": "linked before"}), ()
            async with self._hold(snapshot, values) as leases:
                match, notes = await self._find_or_create(snapshot, invoice, bc, values, leases)
            if isinstance(match, CustomerMatch) and not snapshot.connection.dry_run:
                link = CustomerLink(customer=match, linked_at=self.clock.now())
                await self.ledger.save_customer_link(connection, stripe_customer, link)
            return match, notes

    @asynccontextmanager
    async def _hold(self, snapshot: Snapshot, values: Sequence[MatchValue]) -> AsyncGenerator[list[Lease]]:
        company = snapshot.connection.company_key
        keys = [customer_lease_key(company, _digest(value)) for value in values]
        async with hold_leases(self.ledger.redis, keys, self.lease_life) as leases:
            yield leases

    async def _find_or_create(
        self,
        snapshot: Snapshot,
        invoice: Invoice,
        bc: BcCustomers,
        values: Sequence[MatchValue],
        leases: Sequence[Lease],
    ) -> tuple[CustomerMatch | WouldCreate, tuple[str, ...]]:
        claims = _Claims(self.ledger.redis, snapshot.connection.company_key, values)
        claim = await claims.load()
        found = await self._look(bc, values, claim, invoice)
        if found is not None:
            await claims.settle(claim, bc, found.id)
            return found, ()
        if not snapshot.settings.customers.create_missing:
            raise _build_not_found(invoice, values)
        payload, notes = build_customer(invoice)
        if snapshot.connection.dry_run:
            return WouldCreate(payload), notes
        await self._check_may_create(snapshot, invoice, claims, claim)
        created = await self._create(bc, payload, claims, leases)
        return CustomerMatch(id=created.id, number=created.number, name=created.display_name, how="created"), notes

    async def _look(
        self, bc: BcCustomers, values: Sequence[MatchValue], claim: Claim, invoice: Invoice
    ) -> CustomerMatch | None:
        """Look by the claim's own customer first, then by the rules in order; the first rule that finds any decides."""
        if claim.customer_id is not None and (known := await bc.fetch_customer(claim.customer_id)) is not None:
            return decide_match((known,), "created before", invoice)
        for value in values:
            if found := await bc.find_customers(value.pair.bc, value.value):
                return decide_match(found, value.words, invoice)
        return None

    async def _check_may_create(self, snapshot: Snapshot, invoice: Invoice, claims: "_Claims", claim: Claim) -> None:
        now, window = self.clock.now(), snapshot.settings.doubt_window
        if claim.intent_at is not None and is_in_doubt(claim.intent_at, window, now):
            await claims.save(claim.model_copy(update={"looks": claim.looks + 1}))
            raise InDoubt(
                "Business Central has not said yet whether it created the customer; the hub looks again.",
                code="contact.create.in_doubt",
                retry_after=get_look_interval(window, claim.looks, claim.intent_at, now),
            )
        life = await self.ledger.load_incarnation()
        if (gap := get_memory_gap(life, get_issue_time(invoice), window, now)) is not None:
            raise RetryLater(
                "The hub's memory is younger than this invoice; it makes sure that no earlier request is under way.",
                code="ledger.young",
                retry_after=gap,
            )

    async def _create(
        self, bc: BcCustomers, payload: dict[str, Any], claims: "_Claims", leases: Sequence[Lease]
    ) -> Customer:
        intent = Claim(intent_at=self.clock.now())

        async def before_send() -> None:
            for lease in leases:
                await lease.renew()
            await claims.save(intent)

        try:
            answer = await bc.create_customer(payload, before_send=before_send)
        except InDoubt as error:
            await claims.save(intent.model_copy(update={"slot": error.context.get("limiter_slot")}))
            raise InDoubt(
                error.message, code="contact.create.in_doubt", context=error.context, retry_after=timedelta(seconds=1)
            ) from error
        except HubError:
            await claims.save(Claim())
            raise
        await claims.save(Claim(customer_id=answer.value.id))
        return answer.value


@dataclass(frozen=True)
class _Claims:
    """The claims of all match values of one customer, written together."""

    redis: Any
    company_key: str
    values: Sequence[MatchValue]

    async def load(self) -> Claim:
        """Return the claim that says most: a created customer, else the latest intent."""
        stored = [await run(self.redis.get(key)) for key in self._keys()]
        claims = [Claim.model_validate_json(text) for text in stored if text]
        made = [claim for claim in claims if claim.customer_id is not None]
        meant = [claim for claim in claims if claim.intent_at is not None]
        return made[0] if made else max(meant, key=lambda claim: claim.intent_at or 0, default=Claim())

    async def save(self, claim: Claim) -> None:
        """Write the claim under every value."""
        for key in self._keys():
            await run(self.redis.set(key, claim.model_dump_json()))

    async def settle(self, claim: Claim, bc: BcCustomers, customer_id: str) -> None:
        """A doubt has ended: remember the customer, and give back the limiter's slot."""
        if claim.intent_at is None:
            return
        if claim.slot is not None:
            await bc.release_slot(claim.slot)
        await self.save(Claim(customer_id=customer_id))

    def _keys(self) -> list[str]:
        return [customer_claim_key(self.company_key, _digest(value)) for value in self.values]


def _digest(value: MatchValue) -> str:
    """Match values are personal data: keys hold only their digest."""
    return hashlib.sha256(value.claim.encode()).hexdigest()[:24]


def _build_not_found(invoice: Invoice, values: Sequence[MatchValue]) -> Refused:
    tried = "; ".join(value.words for value in values)
    return Refused(
        f"No customer in Business Central matches invoice {invoice.number or invoice.id} ({tried}).",
        code="contact.not_found",
        fix="Create the customer in Business Central, or let the hub create missing customers; then replay.",
    )
