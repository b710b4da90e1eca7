"""The cases of `tests/cases/*.yaml`: a Stripe invoice in, the Business Central draft out, as an accountant reads it."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from mapping.mapping_checks import check_templates
from mapping.materials import BookObject, Materials, PaymentTerm
from mapping.sales_documents import CustomerView, build_document
from mapping.taxes import VatFact, VatKey
from schemas.errors import Refused
from schemas.settings import Settings
from schemas.stripe_objects import Customer, Invoice, Price, Product
from tests.builders import build_books, build_invoice, build_line, build_materials, build_rate, load_sample_invoice

CASES = Path(__file__).parents[2] / "cases"
AREA = "area-of-the-customer"


def load_cases() -> list[Any]:
    """Load all cases, each named by its file and its own name."""
    return [
        pytest.param(case, id=f"{path.stem}: {case['name']}")
        for path in sorted(CASES.glob("*.yaml"))
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("case", load_cases())
def test_case(case: dict[str, Any]) -> None:
    assert tell(case) == case["draft"]


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    names = [case.id for case in load_cases()]

    assert len(names) >= 40
    assert len(set(names)) == len(names)


def tell(case: dict[str, Any]) -> dict[str, Any]:
    """Map the case's invoice and tell the draft, or the refusal, in plain values."""
    settings = read_settings(case)
    assert check_templates(settings) == ()
    gross = case.get("customer", {}).get("prices_include_tax", False)
    view = CustomerView("the customer", gross, AREA, read_learned(case))
    try:
        mapped = build_document(read_invoice(case["invoice"]), settings, read_materials(case), view)
    except Refused as error:
        return {"refused": error.code, "says": error.message, "fix": error.fix}
    told: dict[str, Any] = {"kind": mapped.kind, "total": str(mapped.total)}
    told["header"] = {name: value for name, value in mapped.payload.items() if not name.endswith("Lines")}
    told["lines"] = [
        {name: str(value) if isinstance(value, Decimal) else value for name, value in line.fields.items()}
        for line in mapped.lines
    ]
    return told | ({"notes": list(mapped.notes)} if mapped.notes else {})


def read_settings(case: dict[str, Any]) -> Settings:
    """Read the settings of a case, which come over those that all have."""
    return Settings.model_validate(DEFAULTS | case.get("settings", {}))


def read_learned(case: dict[str, Any]) -> dict[VatKey, VatFact]:
    """Read what VAT Business Central has shown for the case's customer."""
    return {
        VatKey(AREA, one["type"], one["number"], one.get("tax_code", "")): VatFact(
            one["identifier"], Decimal(one["percent"])
        )
        for one in case.get("customer", {}).get("known_vat", ())
    }


def read_materials(case: dict[str, Any]) -> Materials:
    """Read what rules look at besides the invoice."""
    rates = [build_rate(percent, **more) for percent, more in case.get("rates", {}).items()]
    terms = {
        code: PaymentTerm(f"pt-{code}", code, one["days"], has_discount=bool(one.get("discount")))
        for code, one in case.get("payment_terms", {}).items()
    }
    objects = [BookObject("Account", f"a-{number}", number, name) for number, name in case.get("accounts", {}).items()]
    codes = {code: f"tg-{code}" for code in case.get("tax_codes", ())}
    precisions = {code: Decimal(one) for code, one in case.get("invoice_precisions", {}).items()}
    decimals = build_books().decimals | case.get("decimals", {})
    given = {"decimals": decimals, "payment_terms": terms, "tax_codes": codes, "invoice_precisions": precisions}
    lists = {name: one for name, one in given.items() if one}
    materials = build_materials(
        *objects,
        books=build_books(**lists),
        products={one["id"]: Product.model_validate(one) for one in case.get("products", ())},
        prices={one["id"]: Price.model_validate(one) for one in case.get("prices", ())},
        customer=Customer.model_validate(case["stripe_customer"]) if "stripe_customer" in case else None,
    )
    return replace(materials, tax_rates=dict(materials.tax_rates) | {rate.id: rate for rate in rates})


DEFAULTS: dict[str, Any] = {
    "invoices": {
        "lines": {"type": "Account", "number": "6110"},
        "rounding": {"account": "6910"},
        "tax": {
            "zero_code": "ZERO",
            "rules": [
                {"percent": "25", "code": "STANDARD"},
                {"percent": "7", "code": "REDUCED"},
                {"percent": "0", "code": "ZERO"},
            ],
        },
    }
}


def read_invoice(given: dict[str, Any]) -> Invoice:
    """Read an invoice as the cases write it: a recorded sample, or lines with what matters of them."""
    rest = {name: value for name, value in given.items() if name not in {"sample", "lines"}}
    if "sample" in given:
        return Invoice.model_validate(load_sample_invoice(given["sample"]).model_dump() | rest)
    currency = given.get("currency", "eur")
    return build_invoice(lines=[read_line(line, currency) for line in given["lines"]], **rest)


def read_line(given: dict[str, Any], currency: str) -> Any:
    """Read a line. Its `taxes` are written as `read_tax` reads them."""
    line = dict(given)
    taxes = [read_tax(text) for text in line.pop("taxes", ())]
    details = {"product": line.pop("product", None), "price": line.pop("price", None)}
    unit = line.pop("unit", "" if "quantity" not in line else None)
    built = build_line(line.pop("amount"), quantity=line.pop("quantity", None), unit=unit, taxes=taxes, **line)
    pricing = built.pricing.model_dump() if built.pricing else {}
    return built.model_validate(
        built.model_dump() | {"currency": currency, "pricing": pricing | {"price_details": details}}
    )


def read_tax(text: str) -> dict[str, Any]:
    """Read `25 % on top 250` (2.50), `25 % inside 200` (in the amount), or `19 % on top 0 reverse_charge`.

    `8.25 % on top 660 of 8000` is taken of 80.00 only.
    """
    words = text.split()
    inside = words[2] == "inside"
    amount, *rest = words[3 if inside else 4 :]
    taxable = {"taxable_amount": int(rest[1])} if rest[:1] == ["of"] else {}
    reason = rest[2 if taxable else 0 :]
    return taxable | {
        "amount": int(amount),
        "tax_behavior": "inclusive" if inside else "exclusive",
        "tax_rate_details": {"tax_rate": f"txr_{words[0]}"},
        "taxability_reason": reason[0] if reason else "standard_rated",
    }
