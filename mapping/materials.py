"""What the rules look at besides the invoice: the company's lists, and what Stripe says of products, prices and taxes.

Gathered with I/O elsewhere (`hub/materials.py`), so that preview, dry run and production map from the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from schemas.errors import Refused
from schemas.stripe_objects import Customer, Price, Product, TaxRate

ObjectType = Literal["Account", "Item"]
ObjectField = Literal["number", "displayName", "gtin"]


@dataclass(frozen=True)
class PaymentTerm:
    """Payment terms of the company. `due_days` is None where the formula is more than a number of days."""

    id: str
    code: str
    due_days: int | None = None
    has_discount: bool = False
    """Whether they grant a cash discount, which Stripe's invoices never do."""


@dataclass(frozen=True)
class Books:
    """The lists of a Business Central company. Codes are in upper case, as Business Central stores them.

    A list that nobody needed is empty, so nothing can be checked by it.
    """

    local_currency: str
    decimals: Mapping[str, int]
    """Amount decimals by currency code, the local one included."""
    invoice_precisions: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    """What totals are rounded to when they are posted, by currency code, as far as Business Central tells."""
    payment_terms: Mapping[str, PaymentTerm] = field(default_factory=dict[str, PaymentTerm])
    countries: frozenset[str] = frozenset()
    country_names: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the company calls its countries, by code."""
    tax_codes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Ids by code: VAT product posting groups, or tax groups where sales tax applies."""
    tax_areas: Mapping[str, str] = field(default_factory=dict[str, str])
    """Ids by code: VAT business posting groups, or tax areas."""
    dimensions: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Codes of values by code of dimension."""
    shortcut_dimensions: tuple[str, ...] = ()
    """The two global dimensions, which a document's header holds."""
    shipment_methods: Mapping[str, str] = field(default_factory=dict[str, str])
    payment_methods: Mapping[str, str] = field(default_factory=dict[str, str])
    country: str = ""
    """The company's own: a customer without one is domestic."""

    @property
    def known_countries(self) -> Mapping[str, str]:
        """The names of all countries, by code; empty where nobody needed the list."""
        return {code: self.country_names.get(code, "") for code in self.countries}

    def find_terms(self, days: int) -> PaymentTerm | None:
        """Find the terms of so many days that grant no cash discount; of several, the first by code."""
        fitting = [one for one in self.payment_terms.values() if one.due_days == days and not one.has_discount]
        return min(fitting, key=lambda one: one.code, default=None)

    @property
    def grants_discounts(self) -> bool:
        """Whether any terms grant a cash discount, so that a customer's own may."""
        return any(one.has_discount for one in self.payment_terms.values())


@dataclass(frozen=True)
class BookObject:
    """A G/L account or an item, as far as a line needs to know it."""

    type: ObjectType
    id: str
    number: str
    name: str = ""
    unusable: str = ""
    """Why no line can be booked on it, for the reader: `is blocked`. Empty where it can."""
    unit: str = ""
    """Base unit of measure of an item."""
    tax_code: str = ""
    """An item's own VAT product posting group or tax group; accounts do not tell theirs."""


@dataclass(frozen=True)
class ObjectKey:
    """A look-up: the objects of this type whose field equals the value."""

    type: ObjectType
    field: ObjectField
    value: str


ListName = Literal[
    "company",
    "payment_terms",
    "countries",
    "tax_codes",
    "tax_areas",
    "dimensions",
    "shipment_methods",
    "payment_methods",
]


@dataclass(frozen=True)
class Needs:
    """What the rules will look at for one invoice, so that no more is gathered. Currencies always are."""

    lists: frozenset[ListName] = frozenset()
    products: frozenset[str] = frozenset()
    prices: frozenset[str] = frozenset()
    tax_rates: frozenset[str] = frozenset()
    customer: bool = False


@dataclass(frozen=True)
class Materials:
    """Everything gathered for one invoice."""

    books: Books
    products: Mapping[str, Product] = field(default_factory=dict[str, Product])
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    tax_rates: Mapping[str, TaxRate] = field(default_factory=dict[str, TaxRate])
    objects: Mapping[ObjectKey, tuple[BookObject, ...]] = field(default_factory=dict[ObjectKey, tuple[BookObject, ...]])
    customer: Customer | None = None
    """The Stripe customer as it is now; fetched only where the settings look at it."""

    def get_decimals(self, currency: str) -> int:
        """Return how many decimals Business Central keeps amounts of this currency to.

        Raises:
            Refused: the company has no such currency.
        """
        code = currency.upper()
        if code not in self.books.decimals:
            raise Refused(
                f"Business Central has no currency {code}.",
                code="invoice.currency.missing",
                fix=f"Create {code} under Currencies there, with an exchange rate; then replay.",
            )
        return self.books.decimals[code]
