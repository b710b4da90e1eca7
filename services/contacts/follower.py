"""Keeps linked BC customers in step with their Stripe customers: the fields that the settings name, and no others.

An event only says: look at this customer. What is written follows from both sides as they are now, under the etag that
was read; a field that a person changed in Business Central is reported, and left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.business_central.models import Customer
from hub.clock import Clock
from hub.customer_sync import CustomerSync, CustomerSyncs
from hub.directory import Snapshot
from hub.ledger import CustomerLink, Ledger
from hub.log import get_logger
from hub.materials import StripeCatalog
from hub.metrics import CUSTOMER_DIFFERENCES, WRITES
from mapping.customer_changes import (
    CustomerChanges,
    build_kept_fields,
    decide_changes,
    digest_fields,
    digest_value,
    list_place,
    needs_steps,
)
from mapping.customers import list_customer_lists
from mapping.matching import read_field
from mapping.materials import Books
from mapping.optional_fields import MOST_ROUNDS, leave_out, list_kept
from mapping.sheet import put_countries_first
from schemas.customer_settings import KeptField
from schemas.errors import Refused, RetrySoon
from schemas.messages import ErrorDetail, StripeEventReceived
from schemas.stripe_objects import Customer as StripeCustomer
from services.contacts.creator import change_customer, complete
from services.contacts.decide import compare_customer
from services.contacts.index import Company
from services.contacts.ports import BcCustomers
from services.contacts.search import CustomerSearch

# How often a customer is read again that others change at the same time.
_ROUNDS = 3
_EMPTIED: tuple[KeptField, ...] = ("taxRegistrationNumber", "postalCode")


@dataclass(frozen=True)
class CustomerFollower:
    """Carries changes of Stripe customers over."""

    ledger: Ledger
    syncs: CustomerSyncs
    search: CustomerSearch
    clock: Clock

    async def follow(
        self, message: StripeEventReceived, snapshot: Snapshot, stripe: StripeCatalog, bc: BcCustomers
    ) -> str:
        """Carry over what changed. Returns what became of it, for the log.

        Raises:
            Refused: Business Central does not take the change, or it can't be built.
            InDoubt: the change may have been made; the next round sees.
        """
        connection, stripe_customer = message.connection, message.object_id
        link = await self.ledger.load_customer_link(connection, stripe_customer)
        if link is None:
            return "no customer in Business Central is linked to it"
        async with self.ledger.hold_invoice(connection, stripe_customer):
            sync = await self._load(connection, stripe_customer, link)
            if _is_covered(sync, message):
                return "a later look has dealt with it"
            customer = await stripe.fetch_customer(stripe_customer)
            if customer is None or customer.deleted:
                await self._note_deleted(message, sync, link)
                return "it was deleted in Stripe; its link is kept"
            if snapshot.connection.dry_run or not snapshot.settings.customers.keep_in_step:
                return "the settings keep nothing in step"
            fresh, words = await self._carry_over(snapshot, link, sync, customer, bc)
            covered = {"covered_at": message.occurred_at, "covered_event": message.event_id, "deleted_at": None}
            await self.syncs.save(connection, stripe_customer, fresh.model_copy(update={**covered, "problem": None}))
        return words

    async def note_problem(self, message: StripeEventReceived, detail: ErrorDetail) -> None:
        """Keep why a change could not be carried over, for `hub contacts show`."""
        link = await self.ledger.load_customer_link(message.connection, message.object_id)
        if link is not None:
            sync = await self._load(message.connection, message.object_id, link)
            noted = sync.model_copy(update={"problem": detail})
            await self.syncs.save(message.connection, message.object_id, noted)

    async def _load(self, connection: str, stripe_customer: str, link: CustomerLink) -> CustomerSync:
        sync = await self.syncs.load(connection, stripe_customer)
        return sync if sync and sync.customer_id == link.customer.id else CustomerSync(customer_id=link.customer.id)

    async def _note_deleted(self, message: StripeEventReceived, sync: CustomerSync, link: CustomerLink) -> None:
        get_logger().warning("contacts.customer.deleted", object_id=message.object_id, number=link.customer.number)
        deleted = sync.model_copy(
            update={"deleted_at": message.occurred_at, "covered_at": message.occurred_at, "problem": None}
        )
        await self.syncs.save(message.connection, message.object_id, deleted)

    async def _carry_over(
        self, snapshot: Snapshot, link: CustomerLink, sync: CustomerSync, customer: StripeCustomer, bc: BcCustomers
    ) -> tuple[CustomerSync, str]:
        lists = list_customer_lists(snapshot.settings.customers)
        books = await self.search.gatherer.gather_books(snapshot, bc, lists)
        wanted, _ = build_kept_fields(customer, snapshot.settings, books)
        for _ in range(_ROUNDS):
            known = await bc.fetch_customer(link.customer.id)
            if known is None:
                await self.ledger.doubt_customer_link(snapshot.connection.id, customer.id)
                return sync, "its customer is not in Business Central any more"
            changes = decide_changes(wanted, known, _list_written(sync, known), books.country)
            if needs_steps(changes):
                sync = sync.model_copy(update={"is_emptying": True})
                await self.syncs.save(snapshot.connection.id, customer.id, sync)
                cleared = await self._clear_number(snapshot, bc, known, books)
                if cleared is None:
                    continue
                known = cleared
            written = await self._write(snapshot, bc, known, changes, books)
            if written is not None:
                return self._conclude(sync, changes, written, customer.id)
        raise RetrySoon("Others change the customer in Business Central at the same time.", code="bc.record.changed")

    async def _write(
        self, snapshot: Snapshot, bc: BcCustomers, known: Customer, changes: CustomerChanges, books: Books
    ) -> Customer | None:
        """Send what changed, less what Business Central does not take; None where somebody else changed it meanwhile.

        What Business Central changes by itself is mended, else logged: no invoice waits for it.
        """
        if not changes.patch:
            return known
        asked: dict[str, Any] = put_countries_first({**changes.patch, **changes.retained})
        first = {name: value for name, value in asked.items() if name != "postalCode" or not needs_steps(changes)}
        taken, answer = await self._send_most(snapshot, bc, known, first, books)
        if answer is None:
            return None
        later = {name: value for name, value in asked.items() if name not in first}
        answer, _ = await complete(bc, list_place(known) | taken | later, answer)
        _log_left(answer, [one.name for one in compare_customer(asked, answer)])
        return answer

    async def _clear_number(
        self, snapshot: Snapshot, bc: BcCustomers, known: Customer, books: Books
    ) -> Customer | None:
        if not known.tax_registration_number:
            return known
        return await self._send(snapshot, bc, known, {"taxRegistrationNumber": ""}, books)

    async def _send_most(
        self, snapshot: Snapshot, bc: BcCustomers, known: Customer, fields: dict[str, Any], books: Books
    ) -> tuple[dict[str, Any], Customer | None]:
        """Send the fields, less those that Business Central refuses; returns those that it took."""
        kept, rounds = list_kept(snapshot.settings.fields.customer), 0
        while True:
            try:
                return fields, await self._send(snapshot, bc, known, fields, books)
            except Refused as error:
                smaller = leave_out("customers", fields, error, kept=kept) if rounds < MOST_ROUNDS else None
                if smaller is None or not smaller.payload:
                    raise
            _log_left(known, [name for name in fields if fields[name] != smaller.payload.get(name)])
            fields, rounds = smaller.payload, rounds + 1

    async def _send(
        self, snapshot: Snapshot, bc: BcCustomers, known: Customer, fields: Mapping[str, Any], books: Books
    ) -> Customer | None:
        answer = await change_customer(bc, known, fields)
        if answer is None:
            return None
        WRITES.labels("bc", "customer").inc()
        await self.search.index.put(Company(snapshot.connection.company_key, books.country, bc), (answer,))
        return answer

    def _conclude(
        self, sync: CustomerSync, changes: CustomerChanges, customer: Customer, stripe_customer: str
    ) -> tuple[CustomerSync, str]:
        """Remember what is the hub's now, by what Business Central made of it, and tell of what is not."""
        written = {**sync.written, **changes.common, **digest_fields(customer, changes.patch)}
        for name in changes.differences:
            if name not in sync.differences:
                CUSTOMER_DIFFERENCES.labels(name).inc()
        if changes.differences:
            get_logger().warning(
                "contacts.customer.differs",
                object_id=stripe_customer,
                number=customer.number,
                fields=", ".join(changes.differences),
            )
        done = f"changed {', '.join(changes.patch)}" if changes.patch else "nothing to change"
        left = f"; left as a person changed it: {', '.join(changes.differences)}" if changes.differences else ""
        update = {"written": written, "differences": changes.differences, "is_emptying": False}
        fresh = sync.model_copy(update=update)
        return fresh, done + left


def _list_written(sync: CustomerSync, customer: Customer) -> Mapping[str, str]:
    """List what the hub wrote last: empty fields too, if it was emptying them when it ended."""
    emptied = [name for name in _EMPTIED if sync.is_emptying and not read_field(customer, name)]
    return sync.written | dict.fromkeys(emptied, digest_value(""))


def _log_left(customer: Customer, names: Sequence[str]) -> None:
    """Log which fields Business Central does not take as they were asked for."""
    if names:
        get_logger().warning("contacts.customer.not_as_asked", number=customer.number, fields=", ".join(names))


def _is_covered(sync: CustomerSync, message: StripeEventReceived) -> bool:
    """Tell whether a later look saw what this event tells of. Events of one second may be of different changes."""
    if message.cause in {"replay", "retry"} or sync.covered_at is None:
        return False
    at: datetime = message.occurred_at
    return at < sync.covered_at or (at == sync.covered_at and message.event_id == sync.covered_event)
