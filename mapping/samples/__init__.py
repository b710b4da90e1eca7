"""Built-in Stripe invoices, with customer, products and prices: mappings are tried on them before they are saved.

Taxes on top, discounts, currencies without and with three decimals, a paid subscription, shipping and custom fields,
text of every kind, a negative total. All names are invented.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from schemas.stripe_objects import Customer, Invoice, Price, Product


@dataclass(frozen=True)
class Sample:
    """An invoice, and what belongs to it, by id."""

    name: str
    invoice: Invoice
    customer: Customer
    products: Mapping[str, Product]
    prices: Mapping[str, Price]


@cache
def load_samples() -> tuple[Sample, ...]:
    """Load all samples, in the order of their names."""
    found = [one for one in files("mapping.samples").iterdir() if one.name.endswith(".json")]
    return tuple(
        _read(one.name.removesuffix(".json"), one.read_text(encoding="utf-8"))
        for one in sorted(found, key=lambda one: one.name)
    )


def _read(name: str, text: str) -> Sample:
    raw = json.loads(text)
    return Sample(
        name,
        Invoice.model_validate(raw["invoice"]),
        Customer.model_validate(raw["customer"]),
        {key: Product.model_validate(one) for key, one in raw["products"].items()},
        {key: Price.model_validate(one) for key, one in raw["prices"].items()},
    )
