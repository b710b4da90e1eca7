"""What an invoice's metadata in Stripe say of its draft: all that is left of it when the ledger was lost."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mapping.document_header import get_document_kind
from schemas.messages import BcDocument
from schemas.money import to_decimal
from schemas.stripe_objects import Invoice


class Document(Protocol):
    """A document in Business Central, as far as it is compared."""

    @property
    def external_document_number(self) -> str:
        """The number that it was given for the invoice."""
        ...

    @property
    def customer_id(self) -> str:
        """Whose it is."""
        ...


@dataclass(frozen=True)
class ToldDraft:
    """What the hub wrote into the invoice's metadata about its draft, in a life that the ledger may have forgotten."""

    id: str
    number: str
    synced_at: datetime | None
    names: tuple[str, ...]
    """What the draft's external document number may end with."""

    def names_it(self, document: Document) -> bool:
        """Tell whether a document is named after the invoice. Metadata can be copied from one invoice to another."""
        return document.external_document_number.upper().endswith(self.names)

    def fits(self, document: Document, customer_id: str) -> bool:
        """Tell whether a document is the invoice's own."""
        return self.names_it(document) and document.customer_id.lower() == customer_id.lower()


def read_told_draft(invoice: Invoice, prefix: str) -> ToldDraft | None:
    """Read from the metadata which draft the invoice has, if they say so."""
    metadata = invoice.metadata
    if not (draft := metadata.get(f"{prefix}invoice_id", "").strip()):
        return None
    names = tuple(name.upper() for name in (invoice.number, invoice.id) if name)
    synced_at = _parse_moment(metadata.get(f"{prefix}synced_at", ""))
    return ToldDraft(id=draft, number=metadata.get(f"{prefix}invoice") or draft, synced_at=synced_at, names=names)


def build_told_document(invoice: Invoice, prefix: str) -> BcDocument | None:
    """Build the draft that the metadata name, as it was when it was synced: with Stripe's total."""
    told = read_told_draft(invoice, prefix)
    if told is None:
        return None
    return BcDocument(
        id=told.id,
        number=told.number,
        external_document_number=invoice.number or invoice.id,
        total=abs(to_decimal(invoice.total, invoice.currency)),
        currency=invoice.currency.upper(),
        kind=get_document_kind(invoice),
    )


def _parse_moment(text: str) -> datetime | None:
    """Read what the hub wrote; anyone may have edited it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
