"""Ordinary invoices of real books, from Stripe's simulator to Business Central's: dates, terms, tax, rounding, ends."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.messages import InvoiceResult
from tests.relay import Relay

RULES = [{"percent": 25, "code": "STANDARD"}, {"percent": 7, "code": "REDUCED"}, {"percent": 0, "code": "ZERO"}]
REVERSE = {"reason": "reverse_charge", "code": "ZERO", "text": "Reverse charge: VAT is due by the recipient."}


async def find_draft(shop: Relay, invoice: Mapping[str, Any]) -> dict[str, Any]:
    (draft,) = await shop.find_drafts(invoice)
    return draft


async def list_lines(shop: Relay, result: InvoiceResult) -> list[dict[str, Any]]:
    assert result.document is not None, result.reason
    return (await shop.bc("GET", f"salesInvoices({result.document.id})/salesInvoiceLines"))["value"]


async def add_discount_terms(shop: Relay) -> None:
    gift = {"dueDateCalculation": "30D", "discountDateCalculation": "10D", "discountPercent": 2}
    await shop.seed(paymentTerms=[{"code": "2/10N30", "displayName": "Net 30 days, 2 % in 10", **gift}])


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())


async def test_an_invoice_is_dated_when_it_takes_effect(shop: Relay) -> None:
    draft = await shop.draft(effective_at=at(2026, 10, 31, 12), due_date=at(2026, 11, 30, 12), days_until_due=None)
    await shop.line(draft, tax=await shop.rate("25"))
    invoice = await shop.finalize(draft)
    assert (await shop.bring(invoice)).outcome == "synced"

    made = await find_draft(shop, invoice)
    assert (made["invoiceDate"], made["postingDate"], made["dueDate"]) == ("2026-10-31", "2026-10-31", "2026-11-30")
    (terms,) = [one for one in (await shop.bc("GET", "paymentTerms"))["value"] if one["id"] == made["paymentTermsId"]]
    assert terms["code"] == "30 DAYS"


@pytest.mark.parametrize(("days", "code"), [(30, "30 DAYS"), (14, "14 DAYS"), (21, "")])
async def test_no_cash_discount_is_given_that_stripe_did_not_give(shop: Relay, days: int, code: str) -> None:
    """Neither by the draft's terms nor by the customer's own."""
    await add_discount_terms(shop)
    invoice = await shop.invoice(tax=await shop.rate("25"), days_until_due=days)
    result = await shop.bring(invoice)
    assert result.outcome == "synced", result.reason

    terms = {one["id"]: one["code"] for one in (await shop.bc("GET", "paymentTerms"))["value"]}
    made = await find_draft(shop, invoice)
    assert terms.get(made["paymentTermsId"], "") == code
    customer = await shop.bc("GET", f"customers({made['customerId']})")
    assert terms.get(customer["paymentTermsId"]) != "2/10N30"


async def test_a_customers_own_discount_is_not_given_either(shop: Relay) -> None:
    await add_discount_terms(shop)
    customer = await shop.add_customer()
    first = await shop.invoice(customer, tax=await shop.rate("25"))
    assert (await shop.bring(first)).outcome == "synced"
    terms = {one["code"]: one["id"] for one in (await shop.bc("GET", "paymentTerms"))["value"]}
    card = (await find_draft(shop, first))["customerId"]
    await shop.bc("PATCH", f"customers({card})", {"paymentTermsId": terms["2/10N30"]})

    at_once = await shop.invoice(
        customer, tax=await shop.rate("25"), collection_method="charge_automatically", days_until_due=None
    )
    assert (await shop.bring(at_once)).outcome == "synced"
    made = await find_draft(shop, at_once)
    assert made["paymentTermsId"] == "00000000-0000-0000-0000-000000000000"
    assert made["dueDate"] == made["invoiceDate"]


async def test_twenty_lines_with_two_taxes_each_need_thirteen_cents(shop: Relay) -> None:
    await shop.seed(
        taxGroups=[{"code": "QC"}],
        vat=[
            {"business": area, "product": "QC", "percent": "14.975", "identifier": "QC"}
            for area in ("DOMESTIC", "EU", "EXPORT")
        ],
    )
    await shop.set(invoices__tax={"zero_code": "ZERO", "rules": [{"percent": "14.975", "code": "QC"}]})
    federal, province = await shop.rate("5"), await shop.rate("9.975")
    draft = await shop.draft()
    for _ in range(20):
        await shop.line(draft, 510, tax=federal, **{"tax_rates[1]": province})
    invoice = await shop.finalize(draft)
    result = await shop.bring(invoice)

    assert (await find_draft(shop, invoice))["totalAmountIncludingTax"] == pytest.approx(117.40)
    *_, rounding = await list_lines(shop, result)
    assert (rounding["description"], Decimal(str(rounding["unitPrice"]))) == ("Rounding", Decimal("0.13"))


async def test_a_rate_that_business_central_lacks_is_no_rounding(shop: Relay) -> None:
    rate = await shop.rate("25.5")
    first, second = [await shop.invoice(amount=980, tax=rate) for _ in range(2)]
    assert (await shop.bring(first)).outcome == "failed"
    result = await shop.bring(second)
    assert [await shop.find_drafts(one) for one in (first, second)] == [[], []]
    assert (result.outcome, result.code) == ("failed", "invoice.total.unreachable")
    assert "Business Central adds 25 %" in result.reason
    assert "where Stripe has 25.5 %, 2.50 EUR" in result.reason


async def test_eighty_of_a_hundred_are_taxed(shop: Relay) -> None:
    await shop.set(invoices__tax={"zero_code": "ZERO", "rules": [{"percent": "25", "code": "STANDARD"}]})
    invoice = await shop.invoice(tax=await shop.rate("25", effective_percentage="20"))
    result = await shop.bring(invoice)

    assert (await find_draft(shop, invoice))["totalAmountIncludingTax"] == 120
    lines = await list_lines(shop, result)
    assert [(line["unitPrice"], line["taxPercent"]) for line in lines] == [(80, 25), (20, 0)]


@pytest.mark.parametrize("exempt", ["reverse", "none"])
async def test_a_reverse_charge_of_the_customers_bears_its_text(shop: Relay, exempt: str) -> None:
    await shop.set(invoices__tax={"zero_code": "ZERO", "rules": [REVERSE, *RULES]})
    customer = await shop.add_customer(tax_exempt=exempt)
    result = await shop.bring(await shop.invoice(customer))

    texts = [line["description"] for line in await list_lines(shop, result) if line["lineType"] == "Comment"]
    assert texts == ([REVERSE["text"]] if exempt == "reverse" else [])


async def test_what_posting_will_round_is_told_before_and_comes_true(shop: Relay) -> None:
    await shop.seed(
        currencies=[{"code": "CHF", "amountRoundingPrecision": 0.05}],
        setup={"invoice_rounding": True},
    )
    invoice = await shop.invoice(amount=1_594, tax=await shop.rate("25"), currency="chf")
    result = await shop.bring(invoice)
    assert (result.outcome, result.code) == ("synced", "invoice.total.rounded_when_posted")
    assert "rounds it to 19.95 CHF, 0.02 CHF more than in Stripe" in (await shop.metadata(invoice))["bc_note"]

    made = await find_draft(shop, invoice)
    assert made["totalAmountIncludingTax"] == pytest.approx(19.93)
    await shop.bc("POST", f"salesInvoices({made['id']})/Microsoft.NAV.post")
    assert (await find_draft(shop, invoice))["totalAmountIncludingTax"] == pytest.approx(19.95)


async def test_an_invoice_that_failed_and_was_written_off_is_drafted_once_it_is_mended(shop: Relay) -> None:
    await shop.set(invoices__lines=None)
    invoice = await shop.invoice(tax=await shop.rate("25"))
    assert (await shop.bring(invoice)).outcome == "failed"
    await shop.stripe("POST", f"invoices/{invoice['id']}/mark_uncollectible")
    assert (await shop.replay(invoice)).outcome == "failed"

    await shop.set(invoices__lines={"type": "Account", "number": "6110"})
    result = await shop.replay(invoice)
    assert (result.outcome, result.code) == ("attention", "invoice.uncollectible")
    assert (await find_draft(shop, invoice))["totalAmountIncludingTax"] == 125
    assert "enter the loss" in (await shop.metadata(invoice))["bc_error"]


async def test_an_invoice_without_lines_is_left_alone(shop: Relay) -> None:
    invoice = await shop.finalize(await shop.draft())
    result = await shop.bring(invoice)

    assert (result.outcome, result.code) == ("skipped", "invoice.left_alone.empty")
    assert (await shop.metadata(invoice))["bc_status"] == "skipped"


async def test_null_metadata_are_as_absent(shop: Relay) -> None:
    await shop.control("stripe", "POST", "settings", null_metadata=True)
    try:
        invoice = await shop.invoice(tax=await shop.rate("25"))
        assert (await shop.bring(invoice)).outcome == "synced"
    finally:
        await shop.control("stripe", "POST", "settings", null_metadata=False)
    await find_draft(shop, invoice)


async def test_a_credit_memo_is_made_where_terms_grant_discounts(shop: Relay) -> None:
    await add_discount_terms(shop)
    draft = await shop.draft(collection_method="charge_automatically", days_until_due=None)
    rate = await shop.rate("25")
    await shop.line(draft, -10_000, tax=rate)
    await shop.line(draft, 2_000, tax=rate)
    invoice = await shop.finalize(draft)
    result = await shop.bring(invoice)

    assert result.outcome == "synced", result.reason
    assert (await find_draft(shop, invoice))["totalAmountIncludingTax"] == 100


async def test_german_books_have_an_account_for_each_rate_and_reason(shop: Relay) -> None:
    numbers = ("8400", "8300", "8336", "8310", "8410")
    card = {"category": "Income", "taxGroupCode": "STANDARD"}
    await shop.seed(accounts=[{"number": one, "displayName": f"Erlöse {one}", **card} for one in numbers])
    books = await shop.stripe("POST", "products", name="Buch")
    price = await shop.stripe("POST", "prices", product=books["id"], unit_amount="1000", currency="eur")
    rules = [
        REVERSE | {"account": "8336"},
        {"percent": 25, "code": "STANDARD"},
        {"percent": 7, "code": "REDUCED", "account": "8300", "accounts": {"8410": "8310"}},
    ]
    await shop.set(
        invoices__lines={"type": "Account", "number": "8400"},
        invoices__products__table={books["id"]: {"type": "Account", "number": "8410"}},
        invoices__tax={"zero_code": "ZERO", "rules": rules},
    )
    full, reduced = await shop.rate("25"), await shop.rate("7")
    draft = await shop.draft()
    for rate, form in (
        (full, {}),
        (reduced, {}),
        (full, {"pricing[price]": price["id"]}),
        (reduced, {"pricing[price]": price["id"]}),
    ):
        await shop.line(draft, 1_000, tax=rate, **form)
    result = await shop.bring(await shop.finalize(draft))
    assert result.outcome == "synced", result.reason
    booked = {(line["lineObjectNumber"], line["taxPercent"]) for line in await list_lines(shop, result)}
    assert booked == {("8400", 25), ("8300", 7), ("8410", 25), ("8310", 7)}

    exempt = await shop.bring(await shop.invoice(await shop.add_customer(tax_exempt="reverse"), tax=full))
    assert exempt.outcome == "synced", exempt.reason
    assert [line["lineObjectNumber"] for line in await list_lines(shop, exempt) if line["quantity"]] == ["8336"]
