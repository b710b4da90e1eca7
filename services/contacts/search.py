"""Finds the BC customer that a Stripe customer is: by its number in the metadata, else by the rules in order.

Reads only: the resolver, the replay plan and the preview ask the same. The index proposes, a request fetches whom it
proposes, and the rule is compared with what is there now.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.business_central.models import Customer
from hub.directory import Snapshot
from hub.learned import LearnedFacts
from hub.ledger import CustomerLink
from hub.materials import FRESH_AGE, RECENT_AGE, USUAL_AGE, MaterialsGatherer, StripeCatalog
from mapping.customers import NewCustomerPayload, build_new_customer, list_customer_lists
from mapping.matching import Seeker, Wanted, build_wanted
from mapping.materials import Books
from mapping.normal_forms import normalise_code
from mapping.parties import is_incomplete, needs_customer, read_party
from schemas.errors import Refused
from schemas.messages import CustomerMatch
from schemas.stripe_objects import Customer as StripeCustomer
from schemas.stripe_objects import Invoice
from services.contacts.claims import Held
from services.contacts.decide import (
    build_not_found,
    build_number_unknown,
    build_pinned_gone,
    build_unbillable,
    decide_match,
    find_fitting,
)
from services.contacts.index import Company, CustomerIndex
from services.contacts.ports import CustomerReader

# What many are replayed for at once is tried by the first of them.
_JUST_SEEN = timedelta(minutes=10)
# Stripe tells times in whole seconds: something happened up to so much later.
_WHOLE_SECONDS = timedelta(seconds=1)


@dataclass(frozen=True)
class Question:
    """Whose BC customer is asked for, and by what."""

    snapshot: Snapshot
    invoice: Invoice
    company: Company
    bc: CustomerReader
    seeker: Seeker
    wanted: tuple[Wanted, ...]
    customer: StripeCustomer | None
    """As it is now, where something looks at it."""
    asked_at: datetime
    """Who was in Business Central then is found."""
    is_fresh: bool
    is_new: bool = False
    """A person has said that it is none of those who differ from it, but a new customer."""

    @property
    def claims(self) -> tuple[str, ...]:
        """What a creation is claimed under."""
        return tuple(dict.fromkeys(claim for one in self.wanted for claim in one.claims))


@dataclass(frozen=True)
class Found:
    """Who agrees with a rule: one, or several."""

    wanted: Wanted
    customers: tuple[Customer, ...]
    is_ours: bool = False
    """The hub created it lately under one of the rule's claims."""

    def decide(self, seeker: Seeker) -> CustomerMatch:
        """Take the one that it is.

        Raises:
            Refused: a person must.
        """
        match = decide_match(self.customers, self.wanted, seeker)
        return match.model_copy(update={"how": "created before"}) if self.is_ours else match


@dataclass(frozen=True)
class CustomerSearch:
    """Asks the index, then Business Central."""

    index: CustomerIndex
    gatherer: MaterialsGatherer
    learned: LearnedFacts

    async def ask(
        self,
        snapshot: Snapshot,
        invoice: Invoice,
        stripe: StripeCatalog,
        bc: CustomerReader,
        asked_at: datetime,
        *,
        is_fresh: bool = False,
        is_new: bool = False,
    ) -> Question:
        """Prepare the question: who is it for, and what do the rules look for.

        Raises:
            Refused: nothing identifies the customer.
        """
        settings = snapshot.settings
        customer = None
        if invoice.customer and (needs_customer(settings) or is_incomplete(invoice)):
            customer = await stripe.fetch_customer(invoice.customer)
        party = read_party(invoice, customer)
        books = await self.gatherer.gather_books(snapshot, bc, frozenset(("company",)))
        key = settings.customers.number_key
        number = party.metadata.get(key, "").strip() if key else ""
        seeker = Seeker(party, settings.customers, books.country, number)
        return Question(
            snapshot=snapshot,
            invoice=invoice,
            company=Company(snapshot.connection.company_key, books.country, bc),
            bc=bc,
            seeker=seeker,
            wanted=build_wanted(seeker),
            customer=customer,
            asked_at=asked_at,
            is_fresh=is_fresh,
            is_new=is_new,
        )

    async def find(self, question: Question, held: Held) -> Found | None:
        """Look by the rules in order; the first that finds one that nothing speaks against decides.

        Else the first that found any: a mailbox that others share asks a person, unless another rule finds the one.

        What was changed lately is read before where it could matter: where a person asks, who may just have changed it;
        where a customer is being created; and unless the first rule finds somebody at once.
        """
        mark, in_doubt = await self.index.prepare(question.company), held.find_intent() is not None
        since = None if in_doubt else question.asked_at + _WHOLE_SECONDS
        if in_doubt or question.is_fresh:
            await self.index.catch_up(question.company, mark, since)
        found = await self._look(question, held)
        is_first = found is not None and found.wanted is question.wanted[0]
        if in_doubt or question.is_fresh or is_first or not await self.index.catch_up(question.company, mark, since):
            return found
        return await self._look(question, held)

    async def build_new(self, question: Question) -> NewCustomerPayload:
        """Build the customer that would be created.

        Raises:
            Refused: none may be, or it can't be built.
        """
        seeker, snapshot = question.seeker, question.snapshot
        if not seeker.settings.create_missing:
            raise build_not_found(question.wanted, seeker)
        books = await self.gather_books(question)
        try:
            built = build_new_customer(seeker.party, snapshot.settings, books, question.invoice, question.customer)
        except Refused:
            # What is missing in the lists that were kept may have been added since.
            recent = await self.gather_books(question, max_age=RECENT_AGE)
            if recent == books:
                raise
            built = build_new_customer(seeker.party, snapshot.settings, recent, question.invoice, question.customer)
        if seeker.number and normalise_code(str(built.payload.get("number", ""))) != normalise_code(seeker.number):
            raise build_number_unknown(seeker)
        return built

    async def check_billable(self, question: Question, new: NewCustomerPayload, now: datetime, *, tries: bool) -> None:
        """Make sure that a draft could be made for a new customer, as far as the last one like it has shown.

        Args:
            question: Whose customer it would be.
            new: What would be created.
            now: The time.
            tries: A person asks, who may have mended the set-up: try, unless it was just seen after they asked.

        Raises:
            Refused: the last one got no posting groups.
        """
        company = question.snapshot.connection.company_key
        seen = await self.learned.load_unbillable(company, new.template_by, now)
        if seen is not None and not (tries and (seen < question.asked_at or now - seen > _JUST_SEEN)):
            raise build_unbillable(question.seeker, str(new.payload.get("country", "")))

    async def gather_books(self, question: Question, *, max_age: float = USUAL_AGE) -> Books:
        """Gather the lists that a customer is built by, none older than `max_age` seconds, or fresh."""
        lists = list_customer_lists(question.seeker.settings)
        age = FRESH_AGE if question.is_fresh else max_age
        return await self.gatherer.gather_books(question.snapshot, question.bc, lists, max_age=age)

    async def _look(self, question: Question, held: Held) -> Found | None:
        """What the hub created under a rule's claims lately counts as found by it.

        Not every customer can be found by what it was made of (a number from Business Central's series, an e-mail
        address that was too long).
        """
        proposed = await self.index.find(question.company, [one.list_keys() for one in question.wanted])
        doubtful: Found | None = None
        for wanted, ids in zip(question.wanted, proposed, strict=True):
            found = await self._look_by(question, held, wanted, ids)
            if found is not None and find_fitting(found.customers, wanted, question.seeker):
                return found
            doubtful = doubtful or found
        return None if question.is_new else doubtful

    async def _look_by(self, question: Question, held: Held, wanted: Wanted, ids: frozenset[str]) -> Found | None:
        if agreeing := await self._fetch_agreeing(question, wanted, ids):
            return Found(wanted, agreeing)
        created = held.find_customer(wanted.claims)
        if created is not None and (known := await question.bc.fetch_customer(created)) is not None:
            return Found(wanted, (known,), is_ours=True)
        return None

    async def _fetch_agreeing(self, question: Question, wanted: Wanted, ids: frozenset[str]) -> tuple[Customer, ...]:
        if not ids:
            return ()
        known = await question.bc.fetch_customers(sorted(ids))
        await self.index.drop(question.company, ids - {one.id for one in known})
        return tuple(one for one in known if wanted.agrees(one, question.company.home))


async def check_linked(link: CustomerLink, stripe_customer: str, bc: CustomerReader) -> Customer | None:
    """Return the linked customer as it is now; None if it is gone, and rules may look for another.

    Raises:
        Refused: it is gone, and a person had chosen it.
    """
    known = await bc.fetch_customer(link.customer.id)
    if known is None and link.pinned:
        raise build_pinned_gone(link.customer, stripe_customer)
    return known
