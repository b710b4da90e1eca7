"""Gathers what the mapping looks at besides the invoice: Business Central's lists, and Stripe's products and taxes.

Kept in the process for ten minutes, so that a backlog costs no requests for it. Where something is missing, or a person
asks who may have changed it just before, it is read anew: the caller says how old it may be.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from hub.directory import Snapshot
from hub.kept import Kept
from mapping.countries import read_countries
from mapping.materials import BookObject, Books, ListName, Materials, ObjectKey, PaymentTerm
from mapping.needs import list_needs
from mapping.targets import list_object_keys
from schemas.errors import RetrySoon
from schemas.stripe_objects import Customer, Invoice, Price, Product, TaxRate

T = TypeVar("T")
Row = Mapping[str, Any]

USUAL_AGE = 600.0
"""How old, in seconds, what is gathered may be: lists change seldom."""
RECENT_AGE = 30.0
"""Where something refuses the invoice: it may have been mended since. Not less, or each refusal would cost requests."""
FRESH_AGE = 2.0
"""Where a person asks. Not nothing, so that a replay of thousands still reads each list but once in a while."""
_CODE = ("id", "code")
_COUNTRY = ("id", "code", "displayName")


class StripeCatalog(Protocol):
    """Reads what invoices refer to. None: it does not exist."""

    async def fetch_product(self, product_id: str) -> Product | None:
        """Return a product."""
        ...

    async def fetch_price(self, price_id: str) -> Price | None:
        """Return a price."""
        ...

    async def fetch_tax_rate(self, tax_rate_id: str) -> TaxRate | None:
        """Return a tax rate."""
        ...

    async def fetch_customer(self, customer_id: str) -> Customer | None:
        """Return a customer as it is now."""
        ...


class BcLists(Protocol):
    """Reads lists of a company."""

    async def fetch_list(self, entity: str, select: Iterable[str]) -> tuple[dict[str, Any], ...]:
        """Return all rows of an entity set."""
        ...

    async def find_rows(self, entity: str, field: str, value: str, select: Iterable[str]) -> tuple[dict[str, Any], ...]:
        """Return the rows whose field equals the value, without regard to case."""
        ...


@dataclass(frozen=True)
class _Source:
    """Where a reading comes from, and how old it may be."""

    snapshot: Snapshot
    stripe: StripeCatalog
    bc: BcLists
    max_age: float


@dataclass
class MaterialsGatherer:
    """Gathers for any connection; what is read belongs to a company or a Stripe account, and is kept by it."""

    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._rows = Kept[tuple[str, str], tuple[Row, ...]](now=self.now)
        self._objects = Kept[tuple[str, ObjectKey], tuple[BookObject, ...]](now=self.now)
        self._products = Kept[tuple[str, str], Product | None](now=self.now)
        self._prices = Kept[tuple[str, str], Price | None](now=self.now)
        self._rates = Kept[tuple[str, str], TaxRate | None](now=self.now)

    async def gather(
        self,
        snapshot: Snapshot,
        invoice: Invoice,
        stripe: StripeCatalog,
        bc: BcLists,
        *,
        max_age: float = USUAL_AGE,
    ) -> Materials:
        """Gather what the mapping of the invoice looks at, nothing of it older than `max_age` seconds.

        Raises:
            HubError: a system does not answer or refuses.
        """
        source = _Source(snapshot, stripe, bc, max_age)
        needs, settings = list_needs(invoice, snapshot.settings), snapshot.settings.invoices
        account = snapshot.connection.id
        products = await _read_all(needs.products, account, self._products, stripe.fetch_product, source.max_age)
        prices = await _read_all(needs.prices, account, self._prices, stripe.fetch_price, source.max_age)
        rates = await _read_all(needs.tax_rates, account, self._rates, stripe.fetch_tax_rate, source.max_age)
        customer = await stripe.fetch_customer(invoice.customer) if needs.customer and invoice.customer else None
        return Materials(
            books=await self.gather_books(snapshot, bc, needs.lists, max_age=max_age),
            products=products,
            prices=prices,
            tax_rates=rates,
            objects=await self._find_objects(source, list_object_keys(invoice, settings, products, prices)),
            customer=customer,
        )

    async def gather_books(
        self, snapshot: Snapshot, bc: BcLists, lists: frozenset[ListName], *, max_age: float = USUAL_AGE
    ) -> Books:
        """Gather currencies, and these lists of the company, nothing of it older than `max_age` seconds."""

        async def read(entity: str, select: tuple[str, ...]) -> tuple[Row, ...]:
            key = (snapshot.connection.company_key, entity)
            return await self._rows.get(key, lambda: bc.fetch_list(entity, select), max_age=max_age)

        async def read_codes(name: ListName, entity: str) -> dict[str, str]:
            rows = await read(entity, _CODE) if name in lists else ()
            return {str(row["code"]): str(row["id"]) for row in rows}

        with _reading():
            setup, currencies = await read("generalLedgerSetup", _SETUP), await read("currencies", _CURRENCY)
            countries = await read("countriesRegions", _COUNTRY) if "countries" in lists else ()
            company = await read("companyInformation", ("country",)) if "company" in lists else ()
            return Books(
                local_currency=_get_local_currency(setup),
                decimals=_read_decimals(currencies, setup),
                invoice_precisions=_read_precisions(currencies, setup),
                payment_terms=_read_terms(await read("paymentTerms", _TERMS)) if "payment_terms" in lists else {},
                countries=frozenset(str(row["code"]) for row in countries),
                country_names={str(row["code"]): str(row.get("displayName", "")) for row in countries},
                tax_codes=await read_codes("tax_codes", "taxGroups"),
                tax_areas=await read_codes("tax_areas", "taxAreas"),
                dimensions=await self._gather_dimensions(read) if "dimensions" in lists else {},
                shortcut_dimensions=_read_shortcuts(setup),
                shipment_methods=await read_codes("shipment_methods", "shipmentMethods"),
                payment_methods=await read_codes("payment_methods", "paymentMethods"),
                country=min(read_countries(str(company[0]["country"])), default="") if company else "",
            )

    async def _gather_dimensions(
        self, read: Callable[[str, tuple[str, ...]], Awaitable[tuple[Row, ...]]]
    ) -> dict[str, frozenset[str]]:
        codes = {str(row["id"]): str(row["code"]) for row in await read("dimensions", _CODE)}
        values: dict[str, set[str]] = {code: set() for code in codes.values()}
        for row in await read("dimensionValues", ("code", "dimensionId")):
            if (dimension := codes.get(str(row["dimensionId"]))) is not None:
                values[dimension].add(str(row["code"]))
        return {code: frozenset(members) for code, members in values.items()}

    async def _find_objects(
        self, source: _Source, keys: Iterable[ObjectKey]
    ) -> dict[ObjectKey, tuple[BookObject, ...]]:
        company = source.snapshot.connection.company_key

        async def find(key: ObjectKey) -> tuple[BookObject, ...]:
            return await self._objects.get((company, key), lambda: _look_up(source.bc, key), max_age=source.max_age)

        wanted = list(keys)
        found = dict(zip(wanted, await asyncio.gather(*(find(key) for key in wanted)), strict=True))
        # What was found by its name or GTIN is booked by its number.
        by_number = {ObjectKey(one.type, "number", one.number): (one,) for each in found.values() for one in each}
        return by_number | found


@contextmanager
def _reading() -> Generator[None]:
    """Read rows that have what was asked for.

    Raises:
        RetrySoon: one has not, so this is no answer of Business Central's.
    """
    try:
        yield
    except KeyError as error:
        raise RetrySoon("Business Central's answer can't be read.", code="bc.answer.unreadable") from error


# Where not two (ISO 4217).
_USUAL_DECIMALS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}
_SETUP = ("localCurrencyCode", "shortcutDimension1Code", "shortcutDimension2Code")
_CURRENCY = ("code", "amountDecimalPlaces", "amountRoundingPrecision")
_DAYS = {"D": 1, "W": 7}
_MOST_DIGITS = 4
_TERMS = ("id", "code", "dueDateCalculation", "discountPercent")
_ITEM = ("id", "number", "displayName", "blocked", "baseUnitOfMeasureCode", "taxGroupCode")
_ACCOUNT = ("id", "number", "displayName", "accountType", "directPosting", "blocked")


async def _read_all(
    ids: Iterable[str],
    account: str,
    kept: Kept[tuple[str, str], T | None],
    fetch: Callable[[str], Awaitable[T | None]],
    max_age: float,
) -> dict[str, T]:
    """Read those that exist."""

    async def read(one: str) -> T | None:
        return await kept.get((account, one), lambda: fetch(one), max_age=max_age)

    wanted = sorted(ids)
    values = await asyncio.gather(*(read(one) for one in wanted))
    return {one: value for one, value in zip(wanted, values, strict=True) if value is not None}


async def _look_up(bc: BcLists, key: ObjectKey) -> tuple[BookObject, ...]:
    entity, select = ("items", _ITEM) if key.type == "Item" else ("accounts", _ACCOUNT)
    read = _read_item if key.type == "Item" else _read_account
    with _reading():
        return tuple(read(row) for row in await bc.find_rows(entity, key.field, key.value, select))


def _read_item(row: Row) -> BookObject:
    return BookObject(
        type="Item",
        id=row["id"],
        number=row["number"],
        name=row["displayName"],
        unusable="is blocked" if row["blocked"] else "",
        unit=row["baseUnitOfMeasureCode"],
        tax_code=row["taxGroupCode"],
    )


def _read_account(row: Row) -> BookObject:
    if row["blocked"]:
        unusable = "is blocked"
    elif row["accountType"] != "Posting":
        unusable = "is a heading or total"
    else:
        unusable = "" if row["directPosting"] else "allows no direct posting"
    return BookObject("Account", row["id"], row["number"], row["displayName"], unusable)


def _get_local_currency(setup: Sequence[Row]) -> str:
    return str(setup[0]["localCurrencyCode"]) if setup else ""


def _read_shortcuts(setup: Sequence[Row]) -> tuple[str, ...]:
    row = setup[0] if setup else {}
    return tuple(str(row.get(name, "")) for name in _SETUP[1:])


def _read_decimals(currencies: Iterable[Row], setup: Sequence[Row]) -> dict[str, int]:
    """Read how many decimals amounts have: `2:2` is at least two and at most two; blank means the currency's usual.

    The local currency need not be in the list, and its own decimals are in a set-up that the API does not show.
    """
    places = {str(row["code"]): str(row["amountDecimalPlaces"]) for row in currencies}
    local = _get_local_currency(setup)
    places.setdefault(local, "")
    return {code: _read_places(text, code) for code, text in places.items() if code}


def _read_precisions(currencies: Iterable[Row], setup: Sequence[Row]) -> dict[str, Decimal]:
    """Read what totals are rounded to when they are posted; of the local currency, that is in a set-up of its own."""
    local = _get_local_currency(setup)
    found = {str(row["code"]): _read_precision(row.get("amountRoundingPrecision")) for row in currencies}
    return {code: precision for code, precision in found.items() if precision > 0 and code != local}


def _read_precision(value: object) -> Decimal:
    return Decimal(value) if isinstance(value, int | Decimal) else Decimal(0)


def _read_places(text: str, code: str) -> int:
    most = text.rpartition(":")[2].strip()
    return int(most) if most.isdecimal() and len(most) == 1 else _USUAL_DECIMALS.get(code, 2)


def _read_terms(rows: Iterable[Row]) -> dict[str, PaymentTerm]:
    return {
        str(row["code"]): PaymentTerm(
            id=row["id"],
            code=row["code"],
            due_days=_read_days(str(row["dueDateCalculation"])),
            has_discount=bool(row["discountPercent"]),
        )
        for row in rows
    }


def _read_days(formula: str) -> int | None:
    """Read `30D` or `2W`; other formulas (end of month and the like) are no number of days."""
    text = formula.strip().strip("<>").upper()
    number, unit = text[:-1], text[-1:]
    is_number = number.isdecimal() and len(number) <= _MOST_DIGITS
    return int(number) * _DAYS[unit] if unit in _DAYS and is_number else None
