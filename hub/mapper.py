"""Maps an invoice with all that the mapping looks at: the one way for trial, draft, replay plan and preview."""

from dataclasses import dataclass, replace

from hub.directory import Snapshot
from hub.learned import LearnedFacts
from hub.materials import FRESH_AGE, RECENT_AGE, USUAL_AGE, BcLists, MaterialsGatherer, StripeCatalog
from mapping.materials import Materials
from mapping.sales_documents import CustomerView, MappedDocument, build_document
from schemas.errors import Refused
from schemas.messages import CustomerMatch
from schemas.stripe_objects import Invoice


@dataclass(frozen=True)
class Foretold:
    """What an attempt would send, and how sure it is."""

    mapped: MappedDocument
    against: Refused | None
    """What Business Central has shown refuses the invoice, and only that. A person's replay tries all the same, for its
    set-up may have been mended since; nobody else does."""
    is_guess: bool
    """For a line of it, Business Central has not shown yet what VAT it adds."""
    is_price_guess: bool
    """It has not shown yet whether the customer's prices include tax: if they do, they are written in that form."""


@dataclass(frozen=True)
class DocumentMapper:
    """Gathers, then calls the pure mapping."""

    gatherer: MaterialsGatherer
    learned: LearnedFacts

    async def map(
        self,
        snapshot: Snapshot,
        invoice: Invoice,
        stripe: StripeCatalog,
        bc: BcLists,
        customer: CustomerMatch | None = None,
        *,
        is_fresh: bool = False,
    ) -> MappedDocument:
        """Map the invoice for its customer; without one, as a trial before one is created.

        Args:
            snapshot: The connection.
            invoice: With all its lines.
            stripe: Reads what the invoice refers to.
            bc: Reads the company's lists.
            customer: Known or, in a trial, the one of an earlier invoice, if any.
            is_fresh: A person's replay: what was read lately may not hold any more, nor what refuses it by what was
                learned.

        Raises:
            Refused: the invoice can't be drafted, and why.
        """
        foretold = await self.foretell(snapshot, invoice, stripe, bc, customer, is_fresh=is_fresh)
        if foretold.against is not None and not is_fresh:
            raise foretold.against
        return foretold.mapped

    async def foretell(
        self,
        snapshot: Snapshot,
        invoice: Invoice,
        stripe: StripeCatalog,
        bc: BcLists,
        customer: CustomerMatch | None = None,
        *,
        is_fresh: bool = False,
    ) -> Foretold:
        """Map as `map` does, and say how sure it is.

        Raises:
            Refused: the invoice can't be drafted, whatever VAT Business Central adds.
        """
        view = await self._view(snapshot, invoice, customer)
        age = FRESH_AGE if is_fresh else USUAL_AGE
        materials = await self.gatherer.gather(snapshot, invoice, stripe, bc, max_age=age)
        try:
            foretold = _foretell(invoice, snapshot, materials, view)
            if foretold.against is None:
                return foretold
        except Refused:
            foretold = None
        # What is missing or blocked in what was kept may have been mended since.
        recent = await self.gatherer.gather(snapshot, invoice, stripe, bc, max_age=min(age, RECENT_AGE))
        if foretold is not None and recent == materials:
            return foretold
        return _foretell(invoice, snapshot, recent, view)

    async def _view(self, snapshot: Snapshot, invoice: Invoice, customer: CustomerMatch | None) -> CustomerView:
        company = snapshot.connection.company_key
        precision = await self.learned.load_posting_precision(company, invoice.currency)
        if customer is None:
            return CustomerView(posting_precision=precision)
        gross = await self.learned.load_gross_prices(company, customer.id)
        return CustomerView(
            id=customer.id,
            prices_include_tax=gross or False,
            is_price_form_known=gross is not None,
            tax_area=customer.tax_area,
            learned=await self.learned.load_vat(company, customer.tax_area),
            posting_precision=precision,
        )


def _foretell(invoice: Invoice, snapshot: Snapshot, materials: Materials, view: CustomerView) -> Foretold:
    """Map by what was learned; where that refuses the invoice, without it.

    Raises:
        Refused: both ways; it is the refusal by what was learned.
    """
    against = None
    try:
        mapped = build_document(invoice, snapshot.settings, materials, view)
    except Refused as refused:
        try:
            mapped = build_document(invoice, snapshot.settings, materials, replace(view, learned={}))
        except Refused:
            raise refused from None
        against = refused
    keys = {line.vat_key for line in mapped.lines if line.vat_key is not None}
    return Foretold(
        mapped,
        against,
        is_guess=not keys <= view.learned.keys(),
        # Without tax, prices are the same in both forms.
        is_price_guess=not view.is_price_form_known and bool(mapped.predicted.tax),
    )
