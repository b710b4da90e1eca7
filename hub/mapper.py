"""Maps an invoice with all that the mapping looks at: the one way for trial, draft, replay plan and preview."""

from dataclasses import dataclass

from hub.directory import Snapshot
from hub.learned import LearnedFacts
from hub.materials import FRESH_AGE, RECENT_AGE, USUAL_AGE, BcLists, MaterialsGatherer, StripeCatalog
from mapping.sales_documents import CustomerView, MappedDocument, build_document
from schemas.errors import Refused
from schemas.messages import CustomerMatch
from schemas.stripe_objects import Invoice


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
            is_fresh: A person's replay: what was read or learned lately may not hold any more.

        Raises:
            Refused: the invoice can't be drafted, and why.
        """
        view = await self._view(snapshot, customer, is_fresh=is_fresh)
        age = FRESH_AGE if is_fresh else USUAL_AGE
        materials = await self.gatherer.gather(snapshot, invoice, stripe, bc, max_age=age)
        try:
            return build_document(invoice, snapshot.settings, materials, view)
        except Refused:
            # What is missing or blocked in what was kept may have been mended since.
            recent = await self.gatherer.gather(snapshot, invoice, stripe, bc, max_age=min(age, RECENT_AGE))
            if recent == materials:
                raise
        return build_document(invoice, snapshot.settings, recent, view)

    async def _view(self, snapshot: Snapshot, customer: CustomerMatch | None, *, is_fresh: bool) -> CustomerView:
        if customer is None:
            return CustomerView()
        company = snapshot.connection.company_key
        return CustomerView(
            id=customer.id,
            prices_include_tax=await self.learned.load_gross_prices(company, customer.id),
            tax_area=customer.tax_area,
            learned={} if is_fresh else await self.learned.load_vat(company, customer.tax_area),
        )
