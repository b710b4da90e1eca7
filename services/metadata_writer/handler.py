"""The metadata writer: on any news of an invoice, make Stripe say what the ledger says now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.stripe.client import MetadataWritten
from connectors.stripe.metadata import build_changes
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.ledger import InvoiceOutcome, InvoiceRecord, Ledger
from hub.log import get_logger
from hub.metrics import METADATA_DELAY, WRITES
from hub.outcomes import REPLAY_REQUESTED
from hub.stage.ports import Failure, Outgoing, describe
from schemas.errors import Refused
from schemas.ids import build_message_key
from schemas.messages import SWEPT_UNTOLD, InvoiceResult, MetadataUpdated, Outcome
from schemas.topics import METADATA_UPDATED
from services.metadata_writer.decide import MetadataKeys
from services.metadata_writer.idempotency import build_idempotency_key
from services.metadata_writer.numbers import NumberWriter, StripeCustomers

# How often one message writes when the outcome changes meanwhile; each change brings a message of its own, too.
_ROUNDS = 3


class StripeMetadata(StripeCustomers, Protocol):
    """Writes metadata."""

    async def update_invoice_metadata(
        self, invoice_id: str, changes: Mapping[str, str], *, idempotency_key: str
    ) -> MetadataWritten:
        """Merge the changes into the invoice's metadata; an empty value deletes the key."""
        ...


class Remotes(Protocol):
    """Gives the clients of a connection."""

    def stripe(self, snapshot: Snapshot) -> StripeMetadata:
        """Return the connection's Stripe client."""
        ...


@dataclass(frozen=True)
class _Turn:
    """One look at the ledger, for one message."""

    message: InvoiceResult
    snapshot: Snapshot
    record: InvoiceRecord
    outcome: InvoiceOutcome
    before: Outcome | None
    """What this message has written a moment ago."""

    @property
    def keys(self) -> MetadataKeys:
        return MetadataKeys(self.snapshot.settings.metadata_prefix)

    def find_changes(self, wanted: dict[str, str]) -> dict[str, str]:
        """Return what to write; empty when Stripe says it already."""
        is_news = self.before is None or (self.before == "pending" and self.outcome.outcome != "pending")
        if is_news and self.message.received.cause == "replay":
            return self.keys.answer_replay(wanted, self.outcome)
        if self.before is None and self.message.received.event_type == SWEPT_UNTOLD:
            # Stripe was read just now, and does not say what the hub remembers to have written.
            return wanted
        return build_changes(self.record.metadata, wanted)


@dataclass(frozen=True)
class MetadataHandler:
    """Handles invoice results."""

    directory: Directory
    ledger: Ledger
    remotes: Remotes
    numbers: NumberWriter
    clock: Clock

    async def handle(self, message: InvoiceResult) -> Sequence[Outgoing]:
        """Write what differs, and tell what was written or why nothing was.

        After a write the ledger is read again: another replica may have written what is newer while this write was on
        its way, and then this one has covered it up.
        """
        snapshot = await self.directory.get(message.connection, is_fresh=message.received.cause == "replay")
        told: list[MetadataUpdated] = []
        while not told or (told[-1].written and len(told) < _ROUNDS):
            told.append(await self._bring_up_to_date(message, snapshot, told[-1].outcome if told else None))
        await self._tell_number(message, snapshot)
        key = build_message_key(message.connection, message.invoice_id)
        return [Outgoing(METADATA_UPDATED, key, one) for one in told if one.written or len(told) == 1]

    async def _tell_number(self, message: InvoiceResult, snapshot: Snapshot) -> None:
        if not snapshot.settings.customers.write_number or snapshot.connection.dry_run:
            return
        record = await self.ledger.load_invoice(message.connection, message.invoice_id)
        if record.customer is not None:
            await self.numbers.tell(snapshot, record.customer, self.remotes.stripe(snapshot))

    async def report(self, message: InvoiceResult, failure: Failure) -> Sequence[Outgoing]:
        """Metadata that can't be written can't say so: the topic does, `hub doctor`, an alert, and the log."""
        get_logger().warning("metadata_writer.invoice.not_written", code=failure.detail.code)
        if failure.retry_at is not None:
            return []
        await self.ledger.record_untold(message.connection, message.invoice_id, failure.detail.text)
        updated = self._tell(message, _restore(message), reason=failure.detail.text)
        return [Outgoing(METADATA_UPDATED, build_message_key(message.connection, message.invoice_id), updated)]

    async def _bring_up_to_date(
        self, message: InvoiceResult, snapshot: Snapshot, before: Outcome | None
    ) -> MetadataUpdated:
        """Write what the ledger says and Stripe does not; `before` is what was written a moment ago."""
        record = await self.ledger.load_invoice(message.connection, message.invoice_id)
        # The ledger's outcome, not the message's: a late result must not overwrite a newer one.
        outcome = record.outcome or _restore(message)
        if outcome.dry_run or snapshot.connection.dry_run:
            return self._tell(message, outcome, reason="Dry run: nothing is written to Stripe.")
        if message.code == REPLAY_REQUESTED and outcome.code != REPLAY_REQUESTED:
            return self._tell(message, outcome, reason="The replay has come further meanwhile; its result follows.")
        turn = _Turn(message, snapshot, record, outcome, before)
        try:
            told = await self._write(turn, turn.keys.build(record, outcome))
        except Refused as error:
            if error.code == "stripe.metadata.too_many_keys":
                return await self._write_short(turn, error)
            raise
        await self.ledger.forget_untold(message.connection, message.invoice_id)
        return told

    async def _write(self, turn: _Turn, wanted: dict[str, str]) -> MetadataUpdated:
        """Write what of this Stripe does not say yet."""
        message, outcome, changes = turn.message, turn.outcome, turn.find_changes(wanted)
        if not changes:
            return self._tell(message, outcome, reason="Stripe says so already.")
        try:
            written = await self.remotes.stripe(turn.snapshot).update_invoice_metadata(
                message.invoice_id, changes, idempotency_key=build_idempotency_key()
            )
        except Refused as error:
            if error.code != "stripe.invoice.missing":
                raise
            return self._tell(message, outcome, reason="The invoice does not exist in Stripe any more.")
        WRITES.labels("stripe", "metadata").inc()
        if wanted != turn.record.metadata:
            METADATA_DELAY.observe(max((self.clock.now() - outcome.decided_at).total_seconds(), 0))
        await self.ledger.record_metadata(message.connection, message.invoice_id, wanted)
        return self._tell(message, outcome, written=changes, request_id=written.request_id)

    async def _write_short(self, turn: _Turn, error: Refused) -> MetadataUpdated:
        """Say the least there is to say, so that no untrue status stands where the merchant's keys leave little room.

        Raises:
            Refused: there is no room for that either.
        """
        await self.ledger.record_untold(turn.message.connection, turn.message.invoice_id, describe(error).text)
        return await self._write(turn, turn.keys.build_short(turn.outcome))

    def _tell(
        self,
        message: InvoiceResult,
        outcome: InvoiceOutcome,
        *,
        written: dict[str, str] | None = None,
        reason: str = "",
        request_id: str | None = None,
    ) -> MetadataUpdated:
        return MetadataUpdated(
            connection=message.connection,
            invoice_id=message.invoice_id,
            outcome=outcome.outcome,
            written=written or {},
            reason=reason,
            dry_run=outcome.dry_run,
            request_id=request_id,
            at=self.clock.now(),
        )


def _restore(message: InvoiceResult) -> InvoiceOutcome:
    """Take the outcome from the message: the ledger was lost since it was published."""
    return InvoiceOutcome(
        outcome=message.outcome,
        document=message.document,
        error=message.error,
        reason=message.reason,
        code=message.code,
        retry_at=message.retry_at,
        settings_version=message.settings_version,
        dry_run=message.dry_run,
        decided_at=message.decided_at,
    )
