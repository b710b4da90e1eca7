"""What Stripe's own types allow to be null is read as absent."""

from types import NoneType
from typing import Any, get_args

import pytest
import stripe

from schemas.stripe_objects import (
    Address,
    CreditNote,
    Customer,
    CustomField,
    DiscountAmount,
    Invoice,
    Line,
    Period,
    PretaxCredit,
    Price,
    PriceDetails,
    Pricing,
    Product,
    Shipping,
    ShippingCost,
    ShippingTax,
    StatusTransitions,
    StripeObject,
    Tax,
    TaxId,
    TaxRate,
    TaxRateDetails,
)

_LINE = {"id": "il_1", "amount": 100, "currency": "eur"}
_RATE = {"id": "txr_1", "percentage": "25"}
_INVOICE = {
    "id": "in_1",
    "currency": "eur",
    "livemode": False,
    "created": 1,
    "total": 100,
    "subtotal": 100,
    "lines": {"data": [_LINE]},
}
# Our model, Stripe's type, and the least that makes one.
PAIRS: list[tuple[type[StripeObject], Any, dict[str, Any]]] = [
    (Invoice, stripe.Invoice, _INVOICE),
    (StatusTransitions, stripe.Invoice.StatusTransitions, {}),
    (ShippingCost, stripe.Invoice.ShippingCost, {"amount_total": 1}),
    (ShippingTax, stripe.Invoice.ShippingCost.Tax, {"amount": 1, "rate": _RATE}),
    (Shipping, stripe.Invoice.ShippingDetails, {}),
    (Address, stripe.Invoice.CustomerAddress, {}),
    (TaxId, stripe.Invoice.CustomerTaxId, {"type": "eu_vat"}),
    (CustomField, stripe.Invoice.CustomField, {"name": "PO", "value": "1"}),
    (Line, stripe.InvoiceLineItem, _LINE),
    (DiscountAmount, stripe.InvoiceLineItem.DiscountAmount, {"amount": 1}),
    (PretaxCredit, stripe.InvoiceLineItem.PretaxCreditAmount, {"amount": 1}),
    (Tax, stripe.InvoiceLineItem.Tax, {"amount": 1}),
    (TaxRateDetails, stripe.InvoiceLineItem.Tax.TaxRateDetails, {}),
    (Pricing, stripe.InvoiceLineItem.Pricing, {}),
    (PriceDetails, stripe.InvoiceLineItem.Pricing.PriceDetails, {}),
    (Period, stripe.InvoiceLineItem.Period, {"start": 1, "end": 2}),
    (TaxRate, stripe.TaxRate, _RATE),
    (Customer, stripe.Customer, {"id": "cus_1"}),
    (CreditNote, stripe.CreditNote, {"id": "cn_1"}),
    (Product, stripe.Product, {"id": "prod_1"}),
    (Price, stripe.Price, {"id": "price_1"}),
]


@pytest.mark.parametrize(
    ("model", "least", "name"),
    [
        pytest.param(model, least, name, id=f"{model.__name__}.{name}")
        for model, _, least in PAIRS
        for name, field in model.model_fields.items()
        if not field.is_required()
    ],
)
def test_null_is_read_as_absent(model: type[StripeObject], least: dict[str, Any], name: str) -> None:
    absent = model.model_validate({key: value for key, value in least.items() if key != name})

    assert model.model_validate(least | {name: None}) == absent


@pytest.mark.parametrize(("model", "theirs", "least"), [pytest.param(*pair, id=pair[0].__name__) for pair in PAIRS])
def test_nothing_is_required_that_stripe_may_leave_null(
    model: type[StripeObject], theirs: Any, least: dict[str, Any]
) -> None:
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    nullable = {name for name, kind in theirs.__annotations__.items() if NoneType in get_args(kind)}

    assert not required & nullable
    assert model.model_validate(least)


def test_null_metadata_of_rate_customer_line_and_invoice_are_empty() -> None:
    line = _LINE | {"metadata": None, "taxes": None, "pricing": None, "period": None}
    invoice = Invoice.model_validate(
        _INVOICE | {"metadata": None, "status_transitions": None, "lines": {"data": [line]}}
    )

    assert invoice.metadata == invoice.lines.data[0].metadata == {}
    assert Customer.model_validate({"id": "cus_1", "metadata": None, "deleted": None}).metadata == {}
    assert TaxRate.model_validate(_RATE | {"metadata": None, "inclusive": None}).inclusive is False


def test_what_is_not_known_keeps_its_null() -> None:
    """Templates may name it."""
    assert Customer.model_validate({"id": "cus_1", "balance": None}).model_dump()["balance"] is None
