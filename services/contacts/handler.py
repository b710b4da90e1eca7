"""Contacts: fetch the invoice as it is now, decide whether it is due, resolve its customer, hand it on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hub.clock import Clock
from hub.credits import CREDIT_EVENTS
from hub.directory import Directory, Snapshot
from hub.ledger import InvoiceRecord, Ledger
from hub.log import get_logger
from hub.mapper import DocumentMapper
from hub.outcomes import Outcomes
from hub.stage.ports import Failure, Outgoing
from hub.told_draft import build_told_document
from hub.usage import Usage
from mapping.eligibility import DELETED, Closed, GoOn, LeftAlone, NotYet, decide_due
from schemas.ids import build_message_key
from schemas.messages import SWEPT, SWEPT_UNTOLD, BcDocument, ContactResolved, StripeEventReceived
from schemas.stripe_objects import Invoice
from schemas.topics import CONTACTS_RESOLVED
from services.contacts.follower import CustomerFollower
from services.contacts.ports import BcCustomers, Remotes
from services.contacts.resolver import CustomerResolver, WouldCreate

# Events after which a synced invoice is looked at again: what was booked may not stand any more.
_CHANGES_BOOKED = CREDIT_EVENTS | {"invoice.voided", "invoice.marked_uncollectible", "invoice.deleted"}

# A line has at most 27 KB, nearly all of it metadata; a message may have four times as much as this.
_FEW_LINES = 20
_LONGEST_INVOICE = 1_000_000


@dataclass(frozen=True)
class ContactsHandler:
    """Handles the head topic."""

    directory: Directory
    ledger: Ledger
    remotes: Remotes
    mapper: DocumentMapper
    resolver: CustomerResolver
    follower: CustomerFollower
    outcomes: Outcomes
    usage: Usage
    clock: Clock

    async def handle(self, message: StripeEventReceived) -> Sequence[Outgoing]:
        """Bring one object a step further; returns a resolved contact, a result, or nothing."""
        snapshot = await self.directory.get(
            message.connection, is_fresh=message.cause == "replay", settings_version=message.settings_version
        )
        if message.event_type.startswith("customer."):
            return await self._follow(message, snapshot)
        if not message.object_id.startswith("in_"):
            return _leave_alone(message, "changes of it need nothing done")
        record = await self.ledger.load_invoice(message.connection, message.object_id)
        if _is_repeat(message, record):
            # A duplicate of a synced invoice costs no remote call.
            return await self.outcomes.repeat(message.connection, message.build_wakeup())
        invoice = await self.remotes.stripe(snapshot).fetch_invoice(message.object_id)
        if invoice is None:
            return await self._conclude_closed(message, DELETED)
        return await self._decide(message, snapshot, record, invoice)

    async def report(self, message: StripeEventReceived, failure: Failure) -> Sequence[Outgoing]:
        """Tell the failure of an invoice; of a customer's change it is kept, for `hub contacts show`."""
        if message.event_type.startswith("customer.") and failure.retry_at is None:
            get_logger().warning("contacts.customer.not_changed", object_id=message.object_id, code=failure.detail.code)
            await self.follower.note_problem(message, failure.detail)
        if not message.object_id.startswith("in_"):
            return []
        return await self.outcomes.report(message.connection, message.build_wakeup(), failure)

    async def _follow(self, message: StripeEventReceived, snapshot: Snapshot) -> Sequence[Outgoing]:
        stripe = self.remotes.stripe(snapshot)
        bc = self.remotes.business_central(snapshot, live=not message.history)
        done = await self.follower.follow(message, snapshot, stripe, bc)
        get_logger().info("contacts.customer.followed", object_id=message.object_id, done=done)
        return []

    async def _decide(
        self, message: StripeEventReceived, snapshot: Snapshot, record: InvoiceRecord, invoice: Invoice
    ) -> Sequence[Outgoing]:
        decision = decide_due(
            invoice,
            snapshot.settings,
            was_sent=record.sent_at is not None,
            go_live=snapshot.connection.go_live,
            is_backfilled=record.backfilled_at is not None,
        )
        if record.closed_at is not None and not isinstance(decision, Closed):
            # Seen closed by an answer that was late, or by an earlier release, which closed what was written off.
            await self.ledger.record_closed(message.connection, message.object_id, None)
        match decision:
            case NotYet():
                return await self._conclude_not_yet(message, record, decision)
            case LeftAlone():
                return await self._conclude_skipped(message, decision)
            case Closed():
                told = build_told_document(invoice, snapshot.settings.metadata_prefix)
                return await self._conclude_closed(message, decision, told)
            case GoOn():
                if (limit := await self.usage.find_limit(snapshot.connection, record, self.clock.now())) is not None:
                    return await self._conclude_skipped(message, limit)
                return [await self._resolve(message, snapshot, invoice, decision)]

    async def _resolve(
        self, message: StripeEventReceived, snapshot: Snapshot, invoice: Invoice, decision: GoOn
    ) -> Outgoing:
        bc = self.remotes.business_central(snapshot, live=not message.history)
        await self._try_mapping(message, snapshot, invoice, bc)
        stripe = self.remotes.stripe(snapshot)
        match, notes = await self.resolver.resolve(
            snapshot, invoice, stripe, bc, message.occurred_at, is_replay=message.cause == "replay"
        )
        if snapshot.settings.customers.write_number and invoice.customer:
            await self.ledger.record_customer(message.connection, invoice.id, invoice.customer)
        would_create: dict[str, Any] | None = match.payload if isinstance(match, WouldCreate) else None
        resolved = ContactResolved(
            connection=message.connection,
            invoice=_make_portable(invoice),
            trigger=decision.trigger,
            customer=None if isinstance(match, WouldCreate) else match,
            would_create_customer=would_create,
            notes=notes,
            received=message.build_wakeup(),
            settings_version=snapshot.settings_version,
            resolved_at=self.clock.now(),
        )
        return Outgoing(CONTACTS_RESOLVED, build_message_key(message.connection, invoice.id), resolved)

    async def _try_mapping(
        self, message: StripeEventReceived, snapshot: Snapshot, invoice: Invoice, bc: BcCustomers
    ) -> None:
        """Map the invoice for its customer as far as it is known: none is created for one that can't be booked."""
        link = await self.ledger.load_customer_link(message.connection, invoice.customer or "")
        customer, stripe = link.customer if link else None, self.remotes.stripe(snapshot)
        await self.mapper.map(snapshot, invoice, stripe, bc, customer, is_fresh=message.cause == "replay")

    async def _conclude_not_yet(
        self, message: StripeEventReceived, record: InvoiceRecord, decision: NotYet
    ) -> Sequence[Outgoing]:
        """Nothing to tell, unless a person asked, or the invoice was told to wait."""
        if message.cause != "replay" and record.outcome is None:
            return _leave_alone(message, decision.reason)
        return await self._conclude_skipped(message, decision)

    async def _conclude_skipped(self, message: StripeEventReceived, why: NotYet | LeftAlone) -> Sequence[Outgoing]:
        return await self.outcomes.conclude_skipped(message.connection, message.build_wakeup(), why)

    async def _conclude_closed(
        self, message: StripeEventReceived, closed: Closed, told: BcDocument | None = None
    ) -> Sequence[Outgoing]:
        return await self.outcomes.conclude_closed(message.connection, message.build_wakeup(), closed, told)


def _leave_alone(message: StripeEventReceived, reason: str) -> Sequence[Outgoing]:
    """No outcome and nothing to tell."""
    get_logger().info(
        "contacts.object.left_alone", object_id=message.object_id, event_type=message.event_type, reason=reason
    )
    return []


def _is_repeat(message: StripeEventReceived, record: InvoiceRecord) -> bool:
    """Tell whether there is nothing to do but to say again that the invoice is synced.

    What has waited is looked at again: the entry of a closing may have been replaced by one of an earlier event.
    """
    if message.event_type == SWEPT_UNTOLD:
        return record.is_told_synced
    is_swept = message.event_type.startswith(SWEPT)
    is_news = is_swept or message.cause in {"replay", "retry"} or message.event_type in _CHANGES_BOOKED
    return record.is_told_synced and not is_news


def _make_portable(invoice: Invoice) -> Invoice:
    """Leave out the lines where they would make the message larger than the broker takes: the next stage reads them."""
    lines = invoice.lines
    if len(lines.data) <= _FEW_LINES or len(invoice.model_dump_json()) <= _LONGEST_INVOICE:
        return invoice
    return invoice.model_copy(update={"lines": lines.model_copy(update={"data": (), "has_more": True})})
