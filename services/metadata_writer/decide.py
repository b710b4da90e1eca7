"""What the invoice's metadata must say. Pure."""

from dataclasses import dataclass
from typing import Literal

from connectors.stripe.metadata import limit_value
from hub.ledger import InvoiceOutcome, InvoiceRecord
from schemas.catalogue import get_entry


@dataclass(frozen=True)
class MetadataKeys:
    """The hub's keys under its prefix."""

    prefix: str

    @property
    def replay(self) -> str:
        """Set by a person to ask for a replay, cleared by the hub."""
        return f"{self.prefix}replay"

    def build(self, record: InvoiceRecord, outcome: InvoiceOutcome) -> dict[str, str]:
        """Build all keys of an outcome; an empty value means that the key is absent."""
        # A draft that was deleted stays named: a lost ledger would have it made again.
        document = outcome.document or (record.state.document if record.state.phase == "deleted" else None)
        synced_at = record.state.synced_at
        built = {
            f"{self.prefix}status": outcome.outcome,
            f"{self.prefix}invoice": document.number if document else "",
            f"{self.prefix}invoice_id": document.id if document else "",
            f"{self.prefix}error": _say(outcome),
        }
        # What a lost ledger has forgotten is left alone: the draft is found again by it, and usage counted again.
        if synced_at is not None or outcome.outcome not in {"synced", "pending"}:
            built[f"{self.prefix}synced_at"] = synced_at.strftime("%Y-%m-%dT%H:%M:%SZ") if synced_at else ""
        # Absent as a rule, so it takes no room among the merchant's own keys.
        note = limit_value(outcome.reason) if outcome.outcome == "synced" else ""
        if note or (record.metadata or {}).get(f"{self.prefix}note"):
            built[f"{self.prefix}note"] = note
        if outcome.outcome == "pending" and record.state.document is None:
            del built[f"{self.prefix}invoice"], built[f"{self.prefix}invoice_id"]
        return built

    def build_short(self, outcome: InvoiceOutcome) -> dict[str, str]:
        """Build the least that must be said, for an invoice whose other keys leave little room: two keys."""
        words = _say(outcome)
        if outcome.document is not None and not words:
            entry = get_entry("stripe.metadata.too_many_keys")
            words = limit_value(f"The draft is {outcome.document.number}. {entry.cause}", entry.fix)
        short = {"status": outcome.outcome, "error": words, "invoice": "", "invoice_id": ""}
        return {f"{self.prefix}{name}": value for name, value in short.items()}

    def answer_replay(self, wanted: dict[str, str], outcome: InvoiceOutcome) -> dict[str, str]:
        """Build the answer to a person's replay: everything anew, and the request cleared once it has its end."""
        return wanted if outcome.outcome == "pending" else {**wanted, self.replay: ""}


def _say(outcome: InvoiceOutcome) -> str:
    """The reader's words: what went wrong, or why nothing was done. Of a success there is at most a note."""
    if outcome.outcome == "synced":
        return ""
    if (error := outcome.error) is not None:
        # The reader can do without the end of a long cause, but not without what to do.
        return limit_value(error.message, error.advice)
    return limit_value(outcome.reason)


def decide_number(current: str, number: str, told: str | None) -> Literal["write", "kept", "same"]:
    """Say what to do about the number in a Stripe customer's metadata; what the hub did not write is not its own.

    Args:
        current: What the key has.
        number: What it should have.
        told: What the hub last wrote there, if anything.
    """
    if current == number:
        return "same"
    return "write" if not current or current == told else "kept"
