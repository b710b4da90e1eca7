"""From an invoice to its BC customer: the stored link, else who is found, else a new customer. Never two for one.

A creation is claimed under everything that the customer is called, across all connections of the BC company, because
two Stripe customers with one e-mail address, or two Stripe accounts on one company, must not create the same customer
twice. In doubt, it is looked for before it is created again.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from connectors.business_central.models import Customer
from hub.clock import Clock
from hub.customer_sync import CustomerSync, CustomerSyncs
from hub.directory import Snapshot
from hub.doubt import get_look_interval, get_memory_gap, is_in_doubt
from hub.lease import Lease, hold_leases
from hub.ledger import CustomerLink, Ledger
from hub.materials import StripeCatalog
from hub.redis import customer_lease_key
from mapping.customer_changes import find_common
from mapping.customers import NewCustomerPayload
from mapping.eligibility import get_issue_time
from schemas.errors import InDoubt, Queued, Refused
from schemas.messages import CustomerMatch
from schemas.stripe_objects import Invoice
from services.contacts.claims import Claim, Claims, Held, digest
from services.contacts.creator import CustomerCreator
from services.contacts.decide import describe_gone, use_customer
from services.contacts.ports import BcCustomers
from services.contacts.search import CustomerSearch, Found, Question, check_linked


@dataclass(frozen=True)
class WouldCreate:
    """A dry run's answer when no customer was found."""

    payload: dict[str, Any]


Resolved = tuple[CustomerMatch | WouldCreate, tuple[str, ...]]
"""The customer, and notes: what was changed for a new one, or that an earlier one is gone."""


@dataclass
class CustomerResolver:
    """Finds or creates the BC customer of an invoice."""

    ledger: Ledger
    syncs: CustomerSyncs
    search: CustomerSearch
    clock: Clock
    lease_life: timedelta
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary[str, asyncio.Lock])

    async def resolve(
        self,
        snapshot: Snapshot,
        invoice: Invoice,
        stripe: StripeCatalog,
        bc: BcCustomers,
        asked_at: datetime,
        *,
        is_replay: bool = False,
    ) -> Resolved:
        """Return the customer, who is found if in Business Central when this was asked for.

        On a replay its link is checked: the customer may have been deleted or blocked.

        Raises:
            Refused: several match, the one that matches is blocked or another's, or a new one can't be made.
            InDoubt: one may have been created.
        """
        connection, stripe_customer = snapshot.connection.id, invoice.customer or ""
        # Many invoices of one new customer come at once: in this process they take turns, and only the first asks.
        async with self._locks.setdefault(f"{connection}/{stripe_customer}", asyncio.Lock()):
            link = await self.ledger.load_customer_link(connection, stripe_customer)
            if link is not None and not is_replay and not link.doubted:
                match = link.recall_customer(invoice.id)
                return match, link.recall_notes(invoice.id)
            if link is not None and (linked := await self._check_link(snapshot, stripe_customer, link, bc)) is not None:
                return linked, link.recall_notes(invoice.id)
            is_new = await self.ledger.is_customer_new(connection, stripe_customer)
            question = await self.search.ask(snapshot, invoice, stripe, bc, asked_at, is_fresh=is_replay, is_new=is_new)
            async with self._hold(question) as leases:
                match, notes = await self._find_or_create(question, bc, leases)
            return match, (*((describe_gone(link.customer),) if link else ()), *notes)

    async def _check_link(
        self, snapshot: Snapshot, stripe_customer: str, link: CustomerLink, bc: BcCustomers
    ) -> CustomerMatch | None:
        """Look whether the linked customer is what it was; if it is gone, forget the link."""
        connection = snapshot.connection.id
        known = await check_linked(link, stripe_customer, bc)
        if known is None:
            if not snapshot.connection.dry_run:
                await self.ledger.drop_customer_link(connection, stripe_customer)
            return None
        match = use_customer(known, "linked before")
        fresh = link.model_copy(
            update={"customer": match.model_copy(update={"how": link.customer.how}), "doubted": False}
        )
        if fresh != link and not snapshot.connection.dry_run:
            await self.ledger.save_customer_link(connection, stripe_customer, fresh)
        return match

    async def _link(
        self, question: Question, match: CustomerMatch, customer: Customer, notes: tuple[str, ...], *, is_ours: bool
    ) -> CustomerMatch:
        """Remember the match, and what is to be told of it. Whom a person has chosen meanwhile stands."""
        connection, stripe_customer = question.snapshot.connection, question.seeker.party.id
        if connection.dry_run:
            return match
        link = CustomerLink(
            customer=match, linked_at=self.clock.now(), first_invoice=question.invoice.id, notes=notes or None
        )
        stands = await self.ledger.save_customer_link(connection.id, stripe_customer, link)
        if stands != link:
            return stands.customer
        settings = question.snapshot.settings
        if settings.customers.keep_in_step:
            books = await self.search.gather_books(question)
            common = find_common(question.seeker.party, customer, settings, books, is_ours=is_ours)
            await self.syncs.begin(connection.id, stripe_customer, CustomerSync(customer_id=match.id, written=common))
        return match

    @asynccontextmanager
    async def _hold(self, question: Question) -> AsyncGenerator[list[Lease]]:
        company = question.company.key
        keys = [customer_lease_key(company, digest(name)) for name in question.claims]
        async with hold_leases(self.ledger.redis, keys, self.lease_life) as leases:
            yield leases

    async def _find_or_create(self, question: Question, bc: BcCustomers, leases: Sequence[Lease]) -> Resolved:
        claims = Claims(self.ledger.redis, question.company.key, question.claims, self.ledger.replicas)
        held = await claims.load()
        creator = CustomerCreator(question, bc, claims, leases)
        if (found := await self.search.find(question, held)) is not None:
            return await self._take(question, creator, held, found)
        new = await self.search.build_new(question)
        await self.search.check_billable(question, new, self.clock.now(), tries=question.is_fresh)
        if question.snapshot.connection.dry_run:
            return WouldCreate(new.payload), new.notes
        await self._check_may_create(question, held)
        created, notes = await creator.make(new)
        await self.search.index.put(question.company, (created,))
        match = use_customer(created, "created").model_copy(update={"template_by": new.template_by})
        return await self._link(question, match, created, notes, is_ours=True), notes

    async def _take(self, question: Question, creator: CustomerCreator, held: Held, found: Found) -> Resolved:
        """Take who was found. One of the hub's own of which not all is written is written first."""
        match, note = found.decide(question.seeker), question.seeker.party.note
        notes: tuple[str, ...] = (note,) if note else ()
        customer = next(one for one in found.customers if one.id == match.id)
        is_unfinished = held.is_unfinished(found.wanted.claims, match.id) and not question.snapshot.connection.dry_run
        if is_unfinished and (new := await self._build_again(question)) is not None:
            customer, notes = await creator.finish(new, customer)
        await _end_doubt(creator.bc, creator.claims, held, found, match.id)
        return await self._link(question, match, customer, notes, is_ours=found.is_ours), notes

    async def _build_again(self, question: Question) -> NewCustomerPayload | None:
        """Build what was asked for; None where these settings make no such customer (any more)."""
        try:
            return await self.search.build_new(question)
        except Refused:
            return None

    async def _check_may_create(self, question: Question, held: Held) -> None:
        life, now = await self.ledger.load_life()
        window = question.snapshot.settings.doubt_window
        sent = held.find_intent()
        if sent is not None and is_in_doubt(sent, window, now):
            raise InDoubt(
                "Business Central has not said yet whether it created the customer; the hub looks again.",
                code="contact.create.in_doubt",
                retry_after=get_look_interval(window, sent, now),
            )
        if (gap := get_memory_gap(life, get_issue_time(question.invoice), window, now)) is not None:
            raise Queued(
                "The hub's memory is younger than this invoice; it makes sure that no earlier request is under way.",
                code="ledger.young",
                retry_after=gap,
            )


async def _end_doubt(bc: BcCustomers, claims: Claims, held: Held, found: Found, customer_id: str) -> None:
    """A creation in doubt has shown: give back the limiter's slot. Claims of other creations stay as they are."""
    claim, names = held.find_same(found.wanted.claims)
    if claim is None:
        return
    if claim.slot is not None:
        await bc.release_slot(claim.slot)
    await claims.save(Claim(customer_id=customer_id), names)
