"""What the mapping looks at is read once in a while, and anew where something refuses the invoice."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from hub.learned import LearnedFacts
from hub.mapper import DocumentMapper
from hub.materials import FRESH_AGE, RECENT_AGE, USUAL_AGE, MaterialsGatherer
from mapping.materials import ListName, ObjectKey
from schemas.errors import Refused, RetryLater, RetrySoon
from schemas.invoice_settings import DimensionRule, InvoiceSettings, LineTarget, ProductPair, ProductSettings
from schemas.settings import Settings
from schemas.stripe_objects import Customer, Invoice, Line, Price, Product, TaxRate
from tests.builders import build_invoice, build_line, build_rate, build_snapshot, build_taxes

Rows = tuple[dict[str, Any], ...]
ACCOUNT = {"accountType": "Posting", "directPosting": True, "blocked": False}
SKU = InvoiceSettings(
    lines=LineTarget(type="Account", number="6110"),
    products=ProductSettings(pairs=(ProductPair(stripe="product.metadata.sku", bc="item.number"),)),
)


@dataclass
class FakeStripeCatalog:
    """Products, prices and tax rates by id; what was asked for."""

    products: dict[str, Product] = field(default_factory=dict[str, Product])
    asked: Counter[str] = field(default_factory=Counter[str])

    async def fetch_product(self, product_id: str) -> Product | None:
        self.asked[product_id] += 1
        return self.products.get(product_id)

    async def fetch_price(self, price_id: str) -> Price | None:
        self.asked[price_id] += 1
        return Price(id=price_id)

    async def fetch_tax_rate(self, tax_rate_id: str) -> TaxRate | None:
        self.asked[tax_rate_id] += 1
        return build_rate("25")

    async def fetch_customer(self, customer_id: str) -> Customer | None:
        self.asked[customer_id] += 1
        return Customer(id=customer_id, metadata={"department": "sales"})


@dataclass
class FakeBcLists:
    """A company's lists, and how often each was read."""

    lists: dict[str, list[dict[str, Any]]]
    asked: Counter[str] = field(default_factory=Counter[str])
    failure: Exception | None = None

    async def fetch_list(self, entity: str, select: Iterable[str]) -> Rows:
        self.asked[entity] += 1
        if self.failure is not None:
            raise self.failure
        return tuple({name: row[name] for name in select if name in row} for row in self.lists.get(entity, []))

    async def find_rows(self, entity: str, field: str, value: str, select: Iterable[str]) -> Rows:
        del select
        self.asked[f"{entity} {value}"] += 1
        return tuple(row for row in self.lists.get(entity, []) if row[field] == value)


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at


class NothingLearned:
    """A Redis in which no document has shown anything."""

    async def hget(self, _key: str, _field: str) -> None:
        return None


class Scene:
    """A gatherer and mapper with their systems."""

    def __init__(self) -> None:
        self.hands = Hands()
        self.stripe = FakeStripeCatalog()
        self.bc = FakeBcLists(
            {
                "generalLedgerSetup": [{"localCurrencyCode": "EUR", "shortcutDimension1Code": "DEPARTMENT"}],
                "currencies": [{"code": "USD", "amountDecimalPlaces": "2:2"}],
                "accounts": [{"id": "a-1", "number": "6110", "displayName": "Sales"} | ACCOUNT],
                "items": [],
            }
        )
        self.gatherer = MaterialsGatherer(now=self.hands.now)

    async def gather(
        self, invoice: Invoice, settings: InvoiceSettings = SKU, *, max_age: float = USUAL_AGE, **connection: Any
    ) -> Any:
        snapshot = build_snapshot(settings=Settings(invoices=settings), **connection)
        return await self.gatherer.gather(snapshot, invoice, self.stripe, self.bc, max_age=max_age)

    async def map(self, invoice: Invoice, *, is_fresh: bool = False) -> Any:
        # A trial asks the ledger nothing.
        mapper = DocumentMapper(self.gatherer, LearnedFacts(redis=NothingLearned()))
        snapshot = build_snapshot(settings=Settings(invoices=SKU))
        return await mapper.map(snapshot, invoice, self.stripe, self.bc, is_fresh=is_fresh)

    def forget(self) -> None:
        self.stripe.asked.clear()
        self.bc.asked.clear()

    @property
    def asked(self) -> Counter[str]:
        return self.stripe.asked + self.bc.asked


@pytest.fixture
def scene() -> Scene:
    return Scene()


def sell(product: str = "prod_1", **changes: Any) -> Line:
    details = {"price": f"price_of_{product}", "product": product}
    return build_line(pricing={"unit_amount_decimal": "10000", "price_details": details}, **changes)


async def test_a_backlog_reads_nothing_twice(scene: Scene) -> None:
    scene.stripe.products["prod_1"] = Product(id="prod_1", metadata={"sku": "svc-100"})
    invoices = [build_invoice(id=f"in_{at}", lines=[sell(taxes=build_taxes(2500))]) for at in range(20)]
    await asyncio.gather(*(scene.gather(one) for one in invoices))
    assert scene.asked == {
        "prod_1": 1,
        "txr_25": 1,
        "generalLedgerSetup": 1,
        "currencies": 1,
        "paymentTerms": 1,
        "accounts 6110": 1,
        "items SVC-100": 1,
    }
    scene.forget()
    scene.hands.at += USUAL_AGE - 1
    await scene.gather(invoices[0])
    assert not scene.asked
    scene.hands.at += 1
    await scene.gather(invoices[0])
    assert set(scene.asked.values()) == {1}


async def test_only_what_the_settings_look_at_is_read(scene: Scene) -> None:
    plain = InvoiceSettings(lines=LineTarget(type="Account", number="6110"))
    materials = await scene.gather(build_invoice(lines=[sell()]), plain)
    assert scene.asked == {"generalLedgerSetup": 1, "currencies": 1, "paymentTerms": 1, "accounts 6110": 1}
    assert (materials.products, materials.customer, materials.books.countries) == ({}, None, frozenset())


async def test_a_replay_reads_anew_but_a_thousand_of_them_not_a_thousand_times(scene: Scene) -> None:
    invoice = build_invoice()
    await scene.gather(invoice)
    scene.hands.at += FRESH_AGE
    scene.forget()
    await asyncio.gather(*(scene.gather(invoice, max_age=FRESH_AGE) for _ in range(100)))
    assert scene.asked == {"generalLedgerSetup": 1, "currencies": 1, "paymentTerms": 1, "accounts 6110": 1}


async def test_what_belongs_to_a_company_is_shared_and_what_belongs_to_an_account_is_not(scene: Scene) -> None:
    scene.stripe.products["prod_1"] = Product(id="prod_1")
    invoice = build_invoice(lines=[sell()])
    await scene.gather(invoice)
    await scene.gather(invoice, id="other", stripe_account="acct_2")
    assert scene.stripe.asked["prod_1"] == 2
    assert scene.bc.asked["currencies"] == 1
    await scene.gather(invoice, bc_company_id="11111111-1111-4111-a111-111111111111")
    assert scene.bc.asked["currencies"] == 2


async def test_the_stripe_customer_is_read_each_time_where_a_dimension_needs_it(scene: Scene) -> None:
    header = SKU.header.model_copy(update={"dimensions": (DimensionRule(dimension="AREA", metadata="department"),)})
    settings = SKU.model_copy(update={"header": header})
    await scene.gather(build_invoice(customer="cus_1"), settings)
    materials = await scene.gather(build_invoice(customer="cus_1"), settings)
    assert materials.customer.metadata == {"department": "sales"}
    assert scene.stripe.asked["cus_1"] == 2


@pytest.mark.parametrize(
    ("changes", "unusable"),
    [
        ({}, ""),
        ({"blocked": True}, "is blocked"),
        ({"accountType": "Begin_x002D_Total"}, "is a heading or total"),
        ({"directPosting": False}, "allows no direct posting"),
    ],
)
async def test_accounts_say_why_nothing_can_be_booked_on_them(
    scene: Scene, changes: dict[str, Any], unusable: str
) -> None:
    scene.bc.lists["accounts"][0] |= changes
    materials = await scene.gather(build_invoice())
    assert [one.unusable for one in materials.objects[ObjectKey("Account", "number", "6110")]] == [unusable]


@pytest.mark.parametrize(
    ("local", "currencies", "decimals"),
    [
        ("EUR", {"JPY": "0:0", "KWD": "3:3", "USD": ""}, {"EUR": 2, "JPY": 0, "KWD": 3, "USD": 2}),
        ("JPY", {"EUR": "2:2"}, {"JPY": 0, "EUR": 2}),
        ("ISK", {"ISK": "2:2"}, {"ISK": 2}),
        ("KWD", {"BHD": "", "CHF": "2:5"}, {"KWD": 3, "BHD": 3, "CHF": 5}),
    ],
)
async def test_decimals_are_the_currencys_own_or_the_usual_ones(
    scene: Scene, local: str, currencies: dict[str, str], decimals: dict[str, int]
) -> None:
    scene.bc.lists["generalLedgerSetup"][0]["localCurrencyCode"] = local
    scene.bc.lists["currencies"] = [
        {"code": code, "amountDecimalPlaces": places} for code, places in currencies.items()
    ]
    materials = await scene.gather(build_invoice())
    assert (materials.books.local_currency, materials.books.decimals) == (local, decimals)


async def test_lists_are_read_as_rules_want_them(scene: Scene) -> None:
    scene.bc.lists |= {
        "paymentTerms": [
            {"id": "1", "code": "30 DAYS", "dueDateCalculation": "30D", "discountPercent": 0},
            {"id": "2", "code": "CM", "dueDateCalculation": "CM+1D", "discountPercent": 0},
            {"id": "3", "code": "2W", "dueDateCalculation": "<2W>", "discountPercent": 0},
            {"id": "4", "code": "2/10N30", "dueDateCalculation": "30D", "discountPercent": Decimal("2.0")},
        ],
        "dimensions": [{"id": "d-1", "code": "DEPARTMENT"}, {"id": "d-2", "code": "AREA"}],
        "dimensionValues": [
            {"code": "SALES", "dimensionId": "d-1"},
            {"code": "30", "dimensionId": "d-2"},
            {"code": "LOST", "dimensionId": "gone"},
        ],
        "taxGroups": [{"id": "t-1", "code": "STANDARD"}],
    }
    lists: frozenset[ListName] = frozenset({"payment_terms", "dimensions", "tax_codes"})
    books = await scene.gatherer.gather_books(build_snapshot(), scene.bc, lists)
    assert {code: term.due_days for code, term in books.payment_terms.items()} == {
        "30 DAYS": 30,
        "CM": None,
        "2W": 14,
        "2/10N30": 30,
    }
    assert [code for code, term in books.payment_terms.items() if term.has_discount] == ["2/10N30"]
    assert books.dimensions == {"DEPARTMENT": frozenset({"SALES"}), "AREA": frozenset({"30"})}
    assert (books.tax_codes, books.shortcut_dimensions) == ({"STANDARD": "t-1"}, ("DEPARTMENT", ""))


async def test_an_outage_is_told_and_over_at_once_when_it_ends(scene: Scene) -> None:
    scene.bc.failure = RetryLater("Busy.", code="bc.busy")
    with pytest.raises(RetryLater):
        await scene.gather(build_invoice())
    scene.bc.failure = None
    await scene.gather(build_invoice())


async def test_a_refusal_looks_again_whether_it_was_mended(scene: Scene) -> None:
    scene.bc.lists["accounts"][0]["blocked"] = True
    with pytest.raises(Refused, match="is blocked"):
        await scene.map(build_invoice())
    scene.bc.lists["accounts"][0]["blocked"] = False
    scene.hands.at += RECENT_AGE
    assert (await scene.map(build_invoice())).total == 100


async def test_a_row_of_refusals_costs_no_request_each(scene: Scene) -> None:
    for _ in range(50):
        with pytest.raises(Refused, match="no currency GBP"):
            await scene.map(build_invoice(currency="gbp"))
    assert scene.bc.asked["currencies"] == 1
    scene.hands.at += RECENT_AGE
    with pytest.raises(Refused):
        await scene.map(build_invoice(currency="gbp"))
    assert scene.bc.asked["currencies"] == 2


async def test_a_person_who_mended_it_and_replays_is_not_told_the_old_state(scene: Scene) -> None:
    with pytest.raises(Refused):
        await scene.map(build_invoice(currency="gbp"))
    scene.bc.lists["currencies"].append({"code": "GBP", "amountDecimalPlaces": "2:2"})
    scene.hands.at += FRESH_AGE
    with pytest.raises(Refused):
        await scene.map(build_invoice(currency="gbp"))
    assert (await scene.map(build_invoice(currency="gbp"), is_fresh=True)).currency == "GBP"


@pytest.mark.parametrize("entity", ["currencies", "paymentTerms", "taxGroups", "countriesRegions", "dimensionValues"])
async def test_rows_without_what_was_asked_for_are_no_answer(scene: Scene, entity: str) -> None:
    """Not a defect, which would hold the connection."""
    scene.bc.lists = {**scene.bc.lists, "dimensions": [{"id": "d-1", "code": "AREA"}], entity: [{"other": "1"}]}
    lists: frozenset[ListName] = frozenset({"payment_terms", "dimensions", "tax_codes", "countries"})
    with pytest.raises(RetrySoon) as caught:
        await scene.gatherer.gather_books(build_snapshot(), scene.bc, lists)
    assert caught.value.code == "bc.answer.unreadable"


async def test_a_precision_that_is_no_number_is_none(scene: Scene) -> None:
    row = {"code": "CHF", "amountDecimalPlaces": "2:2", "amountRoundingPrecision": "x"}
    scene.bc.lists = {**scene.bc.lists, "currencies": [row]}
    books = await scene.gatherer.gather_books(build_snapshot(), scene.bc, frozenset())
    assert books.invoice_precisions == {}
