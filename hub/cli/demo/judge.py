"""What `hub demo --strict` holds against the hub, from outside: whose draft it is, what was changed, what was posted.

Read from the two simulators and from the hub's results, which is where people are told.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hub.cli.demo.buyers import Buyer
from schemas.messages import Attempt, InvoiceResult
from schemas.money import to_decimal

Row = Mapping[str, Any]

# The end of a tax number, which stands in it however a country writes it.
_DISTINCT = 6
_LINES = frozenset({"salesInvoiceLines", "salesCreditMemoLines"})
# Codes that say nothing of their own: a person learns from them only what Business Central said.
_NAMELESS = ("bc.rule.violated", "bc.request.refused", "bc.field.missing", "bc.value.unknown", "unexpected.")
# Business Central writes these in its own way; what they mean is the same.
_OWN_COUNTRIES = {"GR": {"EL", "GR"}, "GB": {"GB", "NI", "XI"}}


@dataclass(frozen=True)
class Verdict:
    """What was found wrong, each in a sentence; and how invoices failed, by code."""

    failures: Mapping[str, int]
    nameless: tuple[str, ...]
    wrong_customers: tuple[str, ...]
    silent_changes: tuple[str, ...]
    untold_differences: tuple[str, ...]
    posted: int
    told_differences: int

    @property
    def is_perfect(self) -> bool:
        """Whether nothing was found."""
        return not (self.nameless or self.wrong_customers or self.silent_changes or self.untold_differences)

    def describe(self) -> str:
        """Say what came of it, in one line."""
        return (
            f"{self.posted} drafts posted, {sum(self.failures.values())} invoices failed or left alone, each with a "
            f"code; {len(self.wrong_customers)} for a wrong customer, {len(self.silent_changes)} silent changes, "
            f"{self.told_differences} totals changed by posting and told, {len(self.untold_differences)} untold."
        )

    def list_findings(self) -> list[str]:
        """List what was found, for the reader."""
        return [*self.nameless, *self.wrong_customers, *self.silent_changes, *self.untold_differences]


@dataclass
class Judge:
    """Compares both sides when all has settled.

    Args:
        buyers: By the id of the Stripe customer.
        invoices: Of Stripe, as they are.
        customers: Of Business Central, all.
        drafts: Sales invoices of Business Central, before they are posted.
        results: Of the hub, in order.
    """

    buyers: Mapping[str, Buyer]
    invoices: Sequence[Row]
    customers: Sequence[Row]
    drafts: Sequence[Row]
    results: Sequence[InvoiceResult]
    _notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._last: dict[str, InvoiceResult] = {}
        for one in self.results:
            self._last[one.invoice_id] = one
            self._notes[one.invoice_id] += [*one.notes, one.reason]

    def judge(self, posted: Sequence[Row], findings: Mapping[str, str]) -> Verdict:
        """Judge.

        Args:
            posted: The same sales invoices once they are posted.
            findings: What `hub reconcile` says afterwards, by Stripe invoice.
        """
        after = {row["externalDocumentNumber"]: row for row in posted if row["_posted"]}
        differing = [
            (invoice, after[number])
            for invoice in self.invoices
            if (number := str(invoice["number"]).upper()) in after and not _is_equal(invoice, after[number])
        ]
        untold = [pair for pair in differing if not self._is_told(pair[0]["id"]) and pair[0]["id"] not in findings]
        return Verdict(
            failures=Counter(one.code for one in self._last.values() if one.outcome != "synced"),
            nameless=tuple(self._find_nameless()),
            wrong_customers=tuple(self._find_wrong_customers()),
            silent_changes=tuple(self._find_silent_changes()),
            untold_differences=tuple(_describe_difference(invoice, row) for invoice, row in untold),
            posted=len(after),
            told_differences=len(differing) - len(untold),
        )

    def _told(self, invoice_id: str) -> str:
        return " ".join(filter(None, self._notes[invoice_id]))

    def _is_told(self, invoice_id: str) -> bool:
        """Whether a person was told before that posting changes the total."""
        return "post" in self._told(invoice_id).lower()

    def _find_nameless(self) -> Iterable[str]:
        for invoice in self.invoices:
            if invoice["id"] not in self._last:
                yield f"{invoice['id']} has no result: nobody can say how it ended"
        for one in self._last.values():
            if one.outcome == "failed" and one.code.startswith(_NAMELESS):
                yield f"{one.invoice_id} failed without a code of its own ({one.code}): {one.reason[:200]}"

    def _pair(self) -> Iterable[tuple[Row, Row, Row]]:
        """Each invoice with its draft, and the customer that the draft is for."""
        numbers = {row["externalDocumentNumber"]: row for row in self.drafts}
        customers = {row["id"]: row for row in self.customers}
        for invoice in self.invoices:
            if (draft := numbers.get(str(invoice["number"]).upper())) is not None:
                yield invoice, draft, customers[draft["customerId"]]

    def _find_wrong_customers(self) -> Iterable[str]:
        for invoice, draft, customer in self._pair():
            buyer = self.buyers[invoice["customer"]]
            expected = {buyer.number} if buyer.number else set[str]()
            if customer["number"] not in expected and customer["displayName"] != buyer.name:
                yield f"{draft['number']} of {buyer.name} is for {customer['number']} {customer['displayName']}"

    def _find_silent_changes(self) -> Iterable[str]:
        """Find what Business Central holds otherwise than asked, where no note names either value."""
        told: dict[str, str] = defaultdict(str)
        for invoice in self.invoices:
            told[invoice["customer"]] += self._told(invoice["id"])
        for invoice, draft, customer in self._pair():
            buyer = self.buyers[invoice["customer"]]
            changes = () if buyer.number else _list_changes(buyer, customer)
            yield from (
                f"{customer['number']} {buyer.name}: {one}" for one in _untold(changes, told[invoice["customer"]])
            )
            if (sent := self._find_payload(invoice["id"])) is not None:
                changes = _list_differences(sent, draft)
                yield from (f"{draft['number']}: {one}" for one in _untold(changes, self._told(invoice["id"])))

    def _find_payload(self, invoice_id: str) -> Row | None:
        attempts: Iterable[Attempt] = (
            attempt for one in self.results if one.invoice_id == invoice_id for attempt in one.attempts
        )
        sent = [one.payload for one in attempts if one.request.startswith("POST") and one.payload is not None]
        return sent[-1] if sent else None


def _is_equal(invoice: Row, document: Row) -> bool:
    total = Decimal(str(document["totalAmountIncludingTax"]))
    return total == to_decimal(invoice["total"], invoice["currency"])


def _describe_difference(invoice: Row, document: Row) -> str:
    total = to_decimal(invoice["total"], invoice["currency"])
    return f"{document['number']} was posted as {document['totalAmountIncludingTax']}, and nobody was told: {total}"


@dataclass(frozen=True)
class Change:
    """A field that is otherwise than asked."""

    name: str
    asked: str
    found: str

    def __str__(self) -> str:
        return f"{self.name} is {self.found!r}, and {self.asked!r} was asked for"


def _untold(changes: Iterable[Change], told: str) -> Iterable[Change]:
    return (one for one in changes if one.asked not in told and (not one.found or one.found not in told))


def _list_changes(buyer: Buyer, customer: Row) -> Iterable[Change]:
    """List where a customer that the hub made is not as Stripe has it."""
    wanted = {"displayName": buyer.name, "email": buyer.email}
    if buyer.has_address:
        wanted |= {"city": buyer.city, "postalCode": buyer.postal_code.upper()}
    for name, value in wanted.items():
        if customer[name] != value:
            yield Change(name, value, customer[name])
    if buyer.has_address and customer["country"] not in _OWN_COUNTRIES.get(buyer.country, {buyer.country}):
        yield Change("country", buyer.country, customer["country"])
    number = customer["taxRegistrationNumber"]
    if buyer.tax_number and _strip(buyer.tax_number)[-_DISTINCT:] not in _strip(number):
        yield Change("taxRegistrationNumber", buyer.tax_number, number)


def _strip(text: str) -> str:
    return "".join(sign for sign in text.upper() if sign.isalnum())


def _list_differences(sent: Row, found: Row) -> Iterable[Change]:
    """List which fields of a document are not what was asked for."""
    for name, value in sent.items():
        if name not in _LINES and name in found and not _means_the_same(value, found[name]):
            yield Change(name, str(value), str(found[name]))


def _means_the_same(asked: Any, found: Any) -> bool:
    if isinstance(asked, bool) or isinstance(found, bool):
        return asked == found
    if isinstance(asked, int | float | Decimal) or isinstance(found, int | float | Decimal):
        return Decimal(str(asked)) == Decimal(str(found))
    return str(asked).strip().casefold() == str(found).strip().casefold()
