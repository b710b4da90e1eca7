"""Fakes of what the services need of the remote systems, and of a process that may die.

`FakeBc` is no judge of payloads (the simulator is): it keeps documents, counts requests and fails as it is told, before
the work is done or after, or does it late. `Steps` lets a process die at any call to the ledger or a remote system.
"""

import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from connectors.business_central.models import Answer, Customer, CustomerPage, SalesInvoice
from connectors.stripe.client import MetadataWritten
from connectors.stripe.metadata import MAX_KEYS
from hub.directory import Snapshot
from schemas.errors import HubError, InDoubt, Refused, RetrySoon
from schemas.messages import DocumentKind
from schemas.money import round_half_up
from schemas.stripe_objects import CreditNote, Invoice, Price, Product, TaxRate
from schemas.stripe_objects import Customer as StripeCustomer
from tests.fakes import FakeClock


class Died(BaseException):
    """The process died here: nothing after it ran, not even what cleans up."""


@dataclass
class Steps:
    """Counts what a process does to the world, and lets it die at one step, before or after its effect."""

    dies_at: int | None = None
    taken: int = 0
    is_dead: bool = False

    def step(self) -> None:
        if self.is_dead:
            raise Died
        self.taken += 1
        if self.taken == self.dies_at:
            self.is_dead = True
            raise Died

    def revive(self) -> None:
        self.dies_at, self.is_dead = None, False


class DyingRedis:
    """Redis as a process sees it that may die before and after each command. Its scripts read the time from `clock`."""

    def __init__(self, redis: Any, steps: Steps, clock: FakeClock) -> None:
        self._redis = redis
        self._steps = steps
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        command = getattr(self._redis, name)

        async def run(*args: Any, **kwargs: Any) -> Any:
            self._steps.step()
            if name == "eval":
                args = (args[0].replace("redis.call('TIME')", self._build_time()), *args[1:])
            answer = await command(*args, **kwargs)
            self._steps.step()
            return answer

        return run

    def pipeline(self, *, transaction: bool) -> Any:
        """No step by itself, and at the time of Redis."""
        return self._redis.pipeline(transaction=transaction)

    def _build_time(self) -> str:
        now = self._clock.now()
        return f"{{'{int(now.timestamp())}','{now.microsecond}'}}"


Moment = Literal["before", "after"]

LISTS: dict[str, list[dict[str, Any]]] = {
    "generalLedgerSetup": [
        {"localCurrencyCode": "EUR", "shortcutDimension1Code": "DEPARTMENT", "shortcutDimension2Code": ""}
    ],
    "currencies": [{"code": code, "amountDecimalPlaces": places} for code, places in (("USD", "2:2"), ("JPY", "0:0"))],
    "companyInformation": [{"country": "DE"}],
    "countriesRegions": [{"id": f"c-{code}", "code": code} for code in ("DE", "DK", "FR")],
    "paymentTerms": [{"id": "pt-14", "code": "14 DAYS", "dueDateCalculation": "14D", "discountPercent": 0}],
    "dimensions": [{"id": "d-1", "code": "PROJECT"}],
    "dimensionValues": [{"code": "P-1", "dimensionId": "d-1"}],
    "accounts": [
        {
            "id": f"a-{number}",
            "number": number,
            "displayName": "Sales",
            "accountType": "Posting",
            "directPosting": True,
            "blocked": False,
        }
        for number in ("6110", "6910")
    ],
}


@dataclass
class _Trouble:
    method: str
    error: HubError
    moment: Moment


@dataclass
class _Remote:
    """What both fakes share: faults by method, a counter, steps."""

    steps: Steps
    calls: list[str] = field(default_factory=list[str])
    on_answer: Callable[[], None] = lambda: None
    _troubles: list[_Trouble] = field(default_factory=list[_Trouble])
    _actions: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict[str, Callable[[], Awaitable[None]]])

    def fail_next(self, method: str, error: HubError, moment: Moment = "before") -> None:
        """Let the next call of a method fail, before or after its work is done."""
        self._troubles.append(_Trouble(method, error, moment))

    def do_at_next(self, method: str, action: Callable[[], Awaitable[None]]) -> None:
        """Let something happen when a method is called next, or (`create_invoice.sent`) while its request is out."""
        self._actions[method] = action

    async def _act(self, moment: str) -> None:
        if (action := self._actions.pop(moment, None)) is not None:
            await action()

    async def _enter(self, method: str) -> None:
        self.steps.step()
        self.calls.append(method)
        await self._act(method)
        self._strike(method, "before")

    def _leave(self, method: str) -> None:
        self._strike(method, "after")
        self.on_answer()
        self.steps.step()

    def _strike(self, method: str, moment: Moment) -> None:
        for trouble in self._troubles:
            if trouble.method == method and trouble.moment == moment:
                self._troubles.remove(trouble)
                raise trouble.error


class FakeStripe(_Remote):
    """Invoices by id, their metadata, and the writes."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(steps)
        self.invoices: dict[str, Invoice] = {}
        self.products: dict[str, Product] = {}
        self.tax_rates: dict[str, TaxRate] = {}
        self.customers: dict[str, StripeCustomer] = {}
        self.credit_notes: dict[str, CreditNote] = {}
        self.writes: list[dict[str, str]] = []
        self.customer_writes: list[tuple[str, dict[str, str]]] = []

    def put(self, invoice: Invoice) -> Invoice:
        self.invoices[invoice.id] = invoice
        return invoice

    def change(self, invoice_id: str, **changes: Any) -> None:
        self.put(self.invoices[invoice_id].model_copy(update=changes))

    async def fetch_invoice(self, invoice_id: str) -> Invoice | None:
        await self._enter("fetch_invoice")
        found = self.invoices.get(invoice_id)
        self._leave("fetch_invoice")
        return found

    async def fetch_product(self, product_id: str) -> Product | None:
        return self.products.get(product_id)

    async def fetch_price(self, price_id: str) -> Price | None:
        del price_id

    async def fetch_tax_rate(self, tax_rate_id: str) -> TaxRate | None:
        return self.tax_rates.get(tax_rate_id)

    def credit(self, number: str, amount: int, invoice_id: str = "in_1") -> None:
        """Issue a credit note, in minor units; a negative amount voids it."""
        before = self.invoices[invoice_id].pre_payment_credit_notes_amount or 0
        self.change(invoice_id, pre_payment_credit_notes_amount=before + amount)
        status = "issued" if amount > 0 else "void"
        self.credit_notes[number] = CreditNote(id=f"cn_{number}", number=number, status=status)

    async def list_credit_notes(self, invoice_id: str) -> tuple[CreditNote, ...]:
        await self._enter("list_credit_notes")
        del invoice_id
        return tuple(self.credit_notes.values())

    async def fetch_customer(self, customer_id: str) -> StripeCustomer | None:
        await self._enter("fetch_customer")
        found = self.customers.get(customer_id)
        self._leave("fetch_customer")
        return found

    def put_customer(self, **fields: Any) -> StripeCustomer:
        """Add a Stripe customer, or change one."""
        key = fields.get("id", "cus_1")
        known = self.customers.get(key)
        self.customers[key] = StripeCustomer.model_validate(
            {"id": key} | (known.model_dump() if known else {}) | fields
        )
        return self.customers[key]

    async def update_customer_metadata(
        self, customer_id: str, changes: Mapping[str, str], *, idempotency_key: str
    ) -> MetadataWritten:
        assert idempotency_key.startswith("hub:")
        await self._enter("update_customer_metadata")
        if customer_id not in self.customers:
            raise Refused("It does not exist.", code="stripe.customer.missing")
        self.customer_writes.append((customer_id, dict(changes)))
        changed = self.put_customer(id=customer_id, metadata={**self.customers[customer_id].metadata, **changes})
        self._leave("update_customer_metadata")
        return MetadataWritten(changed.metadata, "req_1")

    async def update_invoice_metadata(
        self, invoice_id: str, changes: Mapping[str, str], *, idempotency_key: str
    ) -> MetadataWritten:
        assert idempotency_key.startswith("hub:")
        await self._enter("update_invoice_metadata")
        if invoice_id not in self.invoices:
            raise Refused("It does not exist.", code="stripe.invoice.missing")
        kept = {key: value for key, value in {**self.invoices[invoice_id].metadata, **changes}.items() if value}
        if len(kept) > MAX_KEYS:
            raise Refused("There is no room.", code="stripe.metadata.too_many_keys", fix="Delete some.")
        self.writes.append(dict(changes))
        self.change(invoice_id, metadata=kept)
        self._leave("update_invoice_metadata")
        return MetadataWritten(self.invoices[invoice_id].metadata, "req_1")


class FakeBc(_Remote):
    """Customers and sales invoices of one company. `tax` is what Business Central adds to a document."""

    def __init__(self, steps: Steps, clock: FakeClock) -> None:
        super().__init__(steps)
        self.clock = clock
        self.customers: list[Customer] = []
        self.invoices: list[SalesInvoice] = []
        self.kinds: dict[str, DocumentKind] = {}
        self.dimensions: dict[str, dict[str, str]] = {}
        self.created: list[str] = []
        """External document numbers of all drafts ever made, also of those deleted since."""
        self.dimensions_refused: tuple[str, ...] = ()
        """Dimensions that keep another value than they are given."""
        self.document_patches: list[dict[str, Any]] = []
        """What documents and their lines were changed by."""
        self.released: list[str] = []
        self.hides_drafts = False
        self.tax = Decimal(0)
        self.gross_prices = False
        """Whether its customers' cards say that prices include tax."""
        self.vat: tuple[str, Decimal] = ("", Decimal(0))
        self.included: Decimal | None = None
        """The tax in prices that include it; None: by `vat`."""
        """Identifier and percentage of every line."""
        self.alter: Callable[[SalesInvoice], SalesInvoice] = _leave
        """What Business Central, or what runs in it, makes of a document by itself."""
        self.answer_next: Callable[[SalesInvoice], SalesInvoice] | None = None
        """What the next creation of a document answers, instead of what was made."""
        self.lines_kept: int | None = None
        """How many lines of the next document are made, before the request fails as it was told to."""
        self.refuses_patches = False
        self._late: list[tuple[datetime, Callable[[], None]]] = []
        self._delay: timedelta | None = None
        self._numbers = itertools.count(1)
        self.patches: list[dict[str, Any]] = []
        """What customers were changed by."""
        self.listed: list[int] = []
        """How many customers each list had."""
        self._noticed: dict[str, tuple[Customer, datetime]] = {}
        """Customers as they were listed last, and when they were seen to have changed."""

    def commit_late(self, delay: timedelta) -> None:
        """Let the next write give no answer, and be carried out only after a while, also if its sender dies."""
        self._delay = delay

    def add_invoice(self, invoice: SalesInvoice, kind: DocumentKind = "invoice") -> SalesInvoice:
        self.invoices.append(invoice)
        self.kinds[invoice.id] = kind
        self.created.append(invoice.external_document_number)
        return invoice

    def edit_invoice(self, id: str, **changes: Any) -> None:  # noqa: A002
        """Change a document as a person would: its etag changes too."""
        self.invoices = [
            one.model_copy(update={"etag": f"{one.etag}+", **changes}) if one.id == id else one for one in self.invoices
        ]

    def delete_by_hand(self, id: str) -> None:  # noqa: A002
        self.invoices = [one for one in self.invoices if one.id != id]

    async def fetch_list(self, entity: str, select: Iterable[str]) -> tuple[dict[str, Any], ...]:
        """Return the lists of master data; neither a step nor counted, for they are read once in a while."""
        del select
        return tuple(LISTS.get(entity, ()))

    async def find_rows(self, entity: str, field: str, value: str, select: Iterable[str]) -> tuple[dict[str, Any], ...]:
        """Return accounts; as with lists."""
        del select
        return tuple(row for row in LISTS.get(entity, ()) if str(row[field]).casefold() == value.casefold())

    async def fetch_customer(self, id: str) -> Customer | None:  # noqa: A002
        await self._look("fetch_customer")
        found = next((one for one in self.customers if one.id == id), None)
        self._leave("fetch_customer")
        return found

    async def fetch_customers(self, ids: Sequence[str]) -> tuple[Customer, ...]:
        await self._look("fetch_customers")
        found = tuple(one for one in self.customers if one.id in ids)
        self._leave("fetch_customers")
        return found

    async def list_customers(self, changed_since: datetime | None = None) -> AsyncIterator[CustomerPage]:
        await self._look("list_customers")
        for one in self.customers:
            if self._noticed.get(one.id, (None,))[0] != one:
                self._noticed[one.id] = (one, self.clock.now())
        stamped = [one.model_copy(update={"last_modified": self._noticed[one.id][1]}) for one in self.customers]
        rows = tuple(one for one in stamped if changed_since is None or self._noticed[one.id][1] > changed_since)
        self.listed.append(len(rows))
        self._leave("list_customers")
        yield CustomerPage(rows, self.clock.now())

    async def create_customer(
        self, payload: Mapping[str, Any], *, before_send: Callable[[], Awaitable[None]]
    ) -> Answer[Customer]:
        number = next(self._numbers)
        made = Customer.model_validate({"id": f"cust-{number}", "number": f"C{number:05d}", **payload})
        return await self._write("create_customer", made, before_send, lambda: self.customers.append(made))

    async def update_customer(
        self,
        id: str,  # noqa: A002
        payload: Mapping[str, Any],
        *,
        etag: str,
    ) -> Customer | Literal["changed", "gone"]:
        await self._look("update_customer")
        known = next((one for one in self.customers if one.id == id), None)
        if known is None:
            return "gone"
        if known.etag != etag:
            return "changed"
        self.patches.append(dict(payload))
        changed = self.edit_customer(id, **payload)
        self._leave("update_customer")
        return changed

    def edit_customer(self, id: str, **changes: Any) -> Customer:  # noqa: A002
        """Change a customer, as the hub or a person would: its etag changes too."""
        known = next(one for one in self.customers if one.id == id)
        whole = known.model_dump(by_alias=True) | changes | {"@odata.etag": f"{known.etag}+"}
        changed = Customer.model_validate(whole)
        self.customers = [changed if one.id == id else one for one in self.customers]
        return changed

    async def find_invoices(
        self, external_document_number: str, *, kind: DocumentKind = "invoice"
    ) -> tuple[SalesInvoice, ...]:
        await self._look("find_invoices")
        wanted = external_document_number.strip().upper()
        found = tuple(
            one for one in self._list_visible() if one.external_document_number == wanted and self.kinds[one.id] == kind
        )
        self._leave("find_invoices")
        return found

    async def fetch_invoice(
        self,
        id: str,  # noqa: A002
        *,
        kind: DocumentKind = "invoice",
        with_lines: bool = False,
    ) -> SalesInvoice | None:
        await self._look("fetch_invoice")
        found = next((one for one in self._list_visible() if one.id == id and self.kinds[id] == kind), None)
        self._leave("fetch_invoice")
        return found

    async def create_invoice(
        self,
        payload: Mapping[str, Any],
        *,
        kind: DocumentKind = "invoice",
        before_send: Callable[[], Awaitable[None]],
    ) -> Answer[SalesInvoice]:
        made = self.alter(self._build_invoice(payload, self.lines_kept))

        def commit() -> None:
            self.lines_kept = None
            self.add_invoice(made, kind)

        answer = await self._write("create_invoice", made, before_send, commit)
        said, self.answer_next = self.answer_next or _leave, None
        return answer.model_copy(update={"value": said(made)})

    async def update_invoice(
        self,
        id: str,  # noqa: A002
        fields: Mapping[str, Any],
        *,
        etag: str,
        kind: DocumentKind = "invoice",
    ) -> SalesInvoice | Literal["changed", "gone"]:
        assert self.kinds[id] == kind
        await self._look("update_invoice")
        found = next((one for one in self.invoices if one.id == id), None)
        if found is None:
            return "gone"
        if found.etag != etag:
            return "changed"
        if self.refuses_patches:
            raise Refused("A rule forbids it.", code="bc.rule.violated", fix="Ask its maker.")
        self.document_patches.append(dict(fields))
        changed = self._change_document(found, fields)
        self._leave("update_invoice")
        return changed

    async def update_invoice_line(
        self,
        id: str,  # noqa: A002
        fields: Mapping[str, Any],
        *,
        etag: str,
        kind: DocumentKind = "invoice",
    ) -> Literal["written", "changed", "gone"]:
        del etag, kind
        await self._look("update_invoice_line")
        owner = next(one for one in self.invoices if any(line.id == id for line in one.lines))
        self.document_patches.append(dict(fields))
        wire = owner.model_dump(by_alias=True)["lines"]
        lines = [line | dict(fields) if line["id"] == id else line for line in wire]
        self._change_document(owner, {"salesInvoiceLines": lines})
        self._leave("update_invoice_line")
        return "written"

    def _change_document(self, found: SalesInvoice, fields: Mapping[str, Any]) -> SalesInvoice:
        """Change a document as a request does, and count its total anew where its lines are changed."""
        wire = found.shown | {"salesInvoiceLines": found.model_dump(by_alias=True)["lines"]} | dict(fields)
        if "salesInvoiceLines" in fields:
            net = sum((_count(line) for line in fields["salesInvoiceLines"]), start=Decimal(0))
            wire |= {"totalAmountExcludingTax": net, "totalAmountIncludingTax": net + found.total_tax_amount}
        changed = SalesInvoice.model_validate(wire | {"@odata.etag": f"{found.etag}*"})
        self.invoices = [changed if one.id == found.id else one for one in self.invoices]
        return changed

    async def delete_invoice(
        self,
        id: str,  # noqa: A002
        *,
        etag: str,
        kind: DocumentKind = "invoice",
    ) -> Literal["deleted", "changed", "gone"]:
        assert self.kinds.get(id, kind) == kind
        await self._look("delete_invoice")
        found = next((one for one in self.invoices if one.id == id), None)
        ending: Literal["deleted", "changed", "gone"] = "gone"
        if found is not None:
            ending = "deleted" if found.etag == etag else "changed"
        if ending == "deleted":
            self.delete_by_hand(id)
        self._leave("delete_invoice")
        return ending

    async def set_dimensions(
        self,
        id: str,  # noqa: A002
        wanted: Mapping[str, str],
        *,
        kind: DocumentKind = "invoice",
    ) -> tuple[str, ...]:
        assert self.kinds[id] == kind
        await self._look("set_dimensions")
        self.dimensions.setdefault(id, {}).update(wanted)
        self._leave("set_dimensions")
        return self.dimensions_refused

    async def release_slot(self, name: str) -> None:
        self.released.append(name)

    def _list_visible(self) -> Sequence[SalesInvoice]:
        return [one for one in self.invoices if not (self.hides_drafts and one.status == "Draft")]

    async def _look(self, method: str) -> None:
        self._commit_due()
        await self._enter(method)

    def _commit_due(self) -> None:
        due = [late for late in self._late if late[0] <= self.clock.now()]
        for late in due:
            self._late.remove(late)
            late[1]()

    def finish_late(self) -> None:
        """Let everything that is still under way be done."""
        for _, commit in self._late:
            commit()
        self._late.clear()

    async def _write(
        self, method: str, made: Any, before_send: Callable[[], Awaitable[None]], commit: Callable[[], None]
    ) -> Answer[Any]:
        await self._look(method)
        await before_send()
        # From here on the request is on its way: a process that dies does not call it back.
        await self._act(method + ".sent")
        self._strike(method + ".sent", "before")
        delay, self._delay = self._delay, None
        try:
            self.steps.step()
        except Died:
            if delay is not None:
                self._late.append((self.clock.now() + delay, commit))
            raise
        if delay is not None:
            self._late.append((self.clock.now() + delay, commit))
            raise InDoubt("No answer.", code="bc.write.in_doubt", context={"limiter_slot": f"slot-{method}"})
        commit()
        self._leave(method)
        return Answer(value=made, status=201, request_id="bc-1", body={"id": made.id, "number": made.number})

    def _build_invoice(self, payload: Mapping[str, Any], lines_kept: int | None = None) -> SalesInvoice:
        number = next(self._numbers)
        lines = (payload.get("salesInvoiceLines") or payload["salesCreditMemoLines"])[:lines_kept]
        priced = [line for line in lines if line["lineType"] != "Comment"]
        net = booked = sum((_count(line) for line in priced), start=Decimal(0))
        percent = self.vat[1]
        tax = round_half_up(net * percent / (100 + percent if self.gross_prices else 100), 2)
        if self.gross_prices:
            tax = tax if self.included is None else self.included
            net -= tax
        tax += self.tax
        header = {name: value for name, value in payload.items() if not name.endswith("Lines")}
        return SalesInvoice.model_validate(
            header
            | {
                "id": f"draft-{number}",
                "pricesIncludeTax": self.gross_prices,
                "salesInvoiceLines": [
                    {
                        **line,
                        "id": f"line-{number}-{at}",
                        "sequence": at,
                        "taxCode": self.vat[0],
                        "taxPercent": self.vat[1],
                        # All tax on the first line: what counts is that lines add up to the total.
                        "netAmountIncludingTax": _count(line) + (net + tax - booked if at == 0 else 0),
                    }
                    for at, line in enumerate(lines)
                ],
                "@odata.etag": f"etag-{number}",
                "number": f"S-INV{1000 + number}",
                "externalDocumentNumber": payload["externalDocumentNumber"],
                "customerId": payload["customerId"],
                "currencyCode": payload["currencyCode"],
                "status": "Draft",
                "totalAmountExcludingTax": net,
                "totalTaxAmount": tax,
                "totalAmountIncludingTax": net + tax,
            }
        )


def _leave(document: SalesInvoice) -> SalesInvoice:
    return document


def _count(line: Mapping[str, Any]) -> Decimal:
    """What a line comes to, without tax."""
    return line.get("quantity", 0) * line.get("unitPrice", 0) - line.get("discountAmount", 0)


class FakeListing:
    """Gives the world's remote systems to duties; Stripe lists by the creation of drafts, newest first."""

    def __init__(self, stripe: FakeStripe, bc: FakeBc) -> None:
        self.fake = stripe
        self.bc = bc
        self.windows: list[tuple[datetime, datetime]] = []
        self._good: int | None = None

    def fail_after(self, lists: int | None) -> None:
        """Answer so many lists from the beginning on, and fail each after them; None: never fail."""
        self._good = lists

    def stripe(self, _snapshot: Snapshot) -> "FakeListing":
        return self

    def business_central(self, _snapshot: Snapshot, *, live: bool) -> FakeBc:
        assert not live
        return self.bc

    async def list_invoices(self, *, created_gte: int, created_lt: int) -> AsyncGenerator[Invoice]:
        begin, end = (datetime.fromtimestamp(at, tz=UTC) for at in (created_gte, created_lt))
        self.windows.append((begin, end))
        if self._good is not None and len(self.windows) > self._good:
            raise RetrySoon("Reset.", code="stripe.connection.failed")
        for invoice in sorted(self.fake.invoices.values(), key=lambda one: -one.created):
            if created_gte <= invoice.created < created_lt:
                yield invoice
