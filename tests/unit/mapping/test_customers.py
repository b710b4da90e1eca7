"""What a new customer is made of."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mapping.customers import FirstInvoice, build_new_customer, list_customer_lists
from mapping.materials import Books, PaymentTerm
from mapping.parties import Party, read_party
from schemas.customer_settings import CustomerSettings
from schemas.errors import Refused
from schemas.settings import Settings
from schemas.stripe_objects import Address, Customer, Invoice, TaxId
from tests.builders import NOW, build_invoice, build_party, load_sample_invoice

BOOKS = Books(
    local_currency="EUR",
    decimals={"EUR": 2, "DKK": 2},
    payment_terms={
        "30 DAYS": PaymentTerm("terms-30", "30 DAYS", 30),
        "14 DAYS": PaymentTerm("terms-14", "14 DAYS", 14),
        "NET14": PaymentTerm("terms-net", "NET14", 14),
        "CM": PaymentTerm("terms-cm", "CM"),
    },
    countries=frozenset({"DE", "DK", "UK"}),
    tax_areas={"DOMESTIC": "area-de", "EU": "area-eu"},
    shipment_methods={"EXW": "ship-exw"},
    payment_methods={"BANK": "pay-bank"},
)
DAY = 86_400


def build(
    invoice: Invoice | None = None,
    *,
    new: dict[str, Any] | None = None,
    fields: dict[str, str] | None = None,
    party: Party | None = None,
    customer: Customer | None = None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    mapped = [{"field": field, "template": template} for field, template in (fields or {}).items()]
    settings = Settings.model_validate({"customers": {"new": new or {}}, "fields": {"customer": mapped}})
    chosen = invoice or build_invoice()
    made = build_new_customer(party or read_party(chosen, customer), settings, BOOKS, chosen, customer)
    return made.payload, made.notes


def refuse(**given: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        build(**given)
    assert "then replay" in caught.value.fix
    return caught.value


def test_a_new_customer_has_what_stripe_knows() -> None:
    payload, notes = build(load_sample_invoice("01"))

    assert payload == {
        "type": "Company",
        "displayName": "Müller & Söhne „Möbel“ GmbH",
        "email": "rechnung@mueller-soehne.example",
        "phoneNumber": "+49 89 5550100",
        "taxRegistrationNumber": "DE123456789",
        "country": "DE",
        "addressLine1": "Fährgasse 7",
        "addressLine2": "2. OG, links",
        "city": "München",
        "postalCode": "80331",
        "paymentTermsId": "terms-14",
    }
    assert notes == ()


def test_a_new_customer_without_name_is_called_by_its_email() -> None:
    assert build(build_invoice(customer_name=" \t"))[0]["displayName"] == "billing@acme.example"


def test_what_is_too_long_is_cut_or_left_out_and_told() -> None:
    invoice = build_invoice(
        customer_name="n" * 120,
        customer_email="e" * 80 + "@acme.example",
        customer_phone="12345 call Bob 678",
        customer_address={"line1": "word " * 30, "line2": "Back yard", "city": "c" * 31, "country": "DE"},
    )
    payload, notes = build(invoice)

    assert payload == {
        "type": "Company",
        "displayName": "n" * 99 + "…",
        "phoneNumber": "12345 / 678",
        "country": "DE",
        "addressLine1": " ".join(["word"] * 20),
        "addressLine2": " ".join(["word"] * 10)[:49].rstrip() + "…",
        "city": "c" * 29 + "…",
    }
    assert "The e-mail address is longer than 80 characters and was left out." in notes
    assert "The second address line was cut to 50 characters." in notes


def test_a_street_of_two_lines_goes_on_in_the_second() -> None:
    address = {"line1": "Main Street 1\nBack yard", "line2": "Door 3", "country": "DE"}
    payload, _ = build(build_invoice(customer_address=address))
    assert (payload["addressLine1"], payload["addressLine2"]) == ("Main Street 1", "Back yard, Door 3")


def test_the_tax_number_is_that_of_the_customers_country() -> None:
    ids = (TaxId(type="eu_vat", value="ATU12345678"), TaxId(type="eu_vat", value="DE123456789"))
    assert build(party=build_party(tax_ids=ids, address=Address(country="DE")))[0]["taxRegistrationNumber"] == (
        "DE123456789"
    )
    unknown = build(party=build_party(tax_ids=ids))[0]
    assert (unknown["country"], unknown["taxRegistrationNumber"]) == ("DE", "DE123456789")


@pytest.mark.parametrize(
    ("party", "type_"),
    [
        (build_party(name="Anna Berg"), "Person"),
        (build_party(name="Acme GmbH"), "Company"),
        (build_party(name="Acme", business_name="Acme"), "Company"),
        (build_party(name="Anna Berg", tax_ids=(TaxId(type="eu_vat", value="DE1"),)), "Company"),
    ],
)
def test_a_person_is_told_from_a_company_where_it_is_asked_for(party: Party, type_: str) -> None:
    assert build(party=party, new={"type": "detect"})[0]["type"] == type_
    assert build(party=party, new={"type": "person"})[0]["type"] == "Person"


def test_defaults_apply_and_a_country_may_have_its_own() -> None:
    new = {
        "defaults": {"tax_area": "domestic", "shipment_method": "EXW", "payment_method": "BANK", "salesperson": "JO"},
        "by_country": {"DK": {"tax_area": "EU", "currency": "invoice", "tax_liable": True}},
    }
    german = build(party=build_party(address=Address(country="DE")), new=new)[0]
    danish = build(build_invoice(currency="dkk", customer_address={"country": "DK"}), new=new)[0]

    assert (german["taxAreaId"], german["shipmentMethodId"], german["salespersonCode"]) == ("area-de", "ship-exw", "JO")
    assert "currencyCode" not in german
    assert (danish["taxAreaId"], danish["paymentMethodId"], danish["currencyCode"]) == ("area-eu", "pay-bank", "DKK")
    assert danish["taxLiable"] is True


def test_the_local_currency_is_left_blank() -> None:
    assert "currencyCode" not in build(new={"defaults": {"currency": "invoice"}})[0]


@pytest.mark.parametrize(
    ("days", "new", "terms"),
    [
        (14, {}, "terms-14"),
        (7, {"defaults": {"payment_terms": "CM"}}, "terms-cm"),
        (14, {"payment_terms_from_invoice": False, "defaults": {"payment_terms": "30 DAYS"}}, "terms-30"),
        (None, {"defaults": {"payment_terms": "30 DAYS"}}, "terms-30"),
        (7, {}, None),
    ],
)
def test_payment_terms_are_the_first_invoices_else_the_default(
    days: int | None, new: dict[str, Any], terms: str | None
) -> None:
    due = None if days is None else int(NOW.timestamp()) + days * DAY
    assert build(build_invoice(due_date=due), new=new)[0].get("paymentTermsId") == terms


def test_terms_with_a_cash_discount_are_not_given_to_a_new_customer() -> None:
    """They sort first, so only the discount speaks against them."""
    invoice = build_invoice(due_date=int(NOW.timestamp()) + 30 * DAY)
    gift = {"2/10N30": PaymentTerm("terms-gift", "2/10N30", 30, has_discount=True)}
    fair = {code: one for code, one in BOOKS.payment_terms.items() if one.due_days != 30}

    def choose(terms: Mapping[str, PaymentTerm]) -> str | None:
        books = replace(BOOKS, payment_terms=gift | dict(terms))
        return build_new_customer(read_party(invoice), Settings(), books, invoice).payload.get("paymentTermsId")

    assert choose(BOOKS.payment_terms) == "terms-30"
    assert choose(fair) is None


def test_days_count_from_when_the_invoice_takes_effect() -> None:
    effective, due = NOW - timedelta(days=24), NOW + timedelta(days=6)
    invoice = build_invoice(effective_at=int(effective.timestamp()), due_date=int(due.timestamp()))
    assert FirstInvoice.read(invoice, "UTC").days == 30


def test_days_are_those_of_the_company() -> None:
    """Issued 23:30 in UTC is the next day in Copenhagen, so one day less is left."""
    late = NOW.replace(hour=23, minute=30)
    due = late.replace(hour=12, minute=0).timestamp() + 14 * DAY
    invoice = build_invoice(at=late, due_date=int(due))
    assert FirstInvoice.read(invoice, "UTC").days == 14
    assert FirstInvoice.read(invoice, "Europe/Copenhagen").days == 13


@pytest.mark.parametrize(
    ("number", "given"),
    [("id", "CUS_1"), ("metadata.debtor", "10 023"), ("{{ customer.metadata.debtor | remove: ' ' }}", "10023")],
)
def test_a_number_may_come_from_stripe(number: str, given: str) -> None:
    customer = Customer.model_validate({"id": "cus_1", "metadata": {"debtor": " 10 023 "}})
    assert build(new={"number": number}, customer=customer)[0]["number"] == given


def test_a_number_is_business_centrals_unless_said() -> None:
    assert "number" not in build()[0]


def test_the_users_own_mappings_come_over_the_rest() -> None:
    customer = Customer.model_validate({"id": "cus_1", "metadata": {"site": "https://acme.example"}})
    payload, notes = build(
        build_invoice(customer_name=None, customer_email=None),
        fields={"website": "{{ customer.metadata.site }}", "displayName": "{{ 'n' | append: customer.id }}"},
        customer=customer,
    )
    assert (payload["website"], payload["displayName"]) == ("https://acme.example", "ncus_1")
    assert notes == ()


def test_what_is_missing_or_unknown_is_refused_by_its_name() -> None:
    assert refuse(party=Party(id="cus_1")).code == "contact.name.missing"
    error = refuse(party=build_party(address=Address(country="NO")))
    assert (error.code, error.message) == (
        "contact.country.unknown",
        "The country NO of the Stripe customer Acme GmbH is not in Business Central.",
    )
    assert "customers.new.by_country.NO.country" in error.fix
    assert refuse(new={"defaults": {"currency": "USD"}}).code == "contact.currency.unknown"
    assert refuse(new={"defaults": {"tax_area": "MARS"}}).message == (
        "Business Central has no VAT business posting group MARS, which new customers are to get."
    )
    assert refuse(new={"number": "metadata.debtor"}).code == "contact.number.missing"
    assert refuse(new={"number": "id"}, party=build_party(id="cus_" + "x" * 20)).code == "contact.number.unusable"
    assert refuse(new={"number": "{{ 'x' | nothing }}"}).code == "contact.number.template"


def test_a_country_may_have_another_code_in_business_central() -> None:
    """Greece is EL and Northern Ireland NI in Microsoft's list; the settings come first, as UK does here."""
    british = build_party(address=Address(country="GB"), tax_ids=(TaxId(type="gb_vat", value="XI123456789"),))
    greek = build_party(address=Address(country="GR"), tax_ids=(TaxId(type="eu_vat", value="EL123456789"),))
    names = {"EL": "Greece", "NI": "Northern Ireland", "GB": "Great Britain", "UK": "United Kingdom", "EX": "Exports"}
    microsoft = replace(BOOKS, countries=frozenset(names), country_names=names)

    def choose(party: Party, by_country: dict[str, Any] | None = None, books: Books = microsoft) -> Any:
        settings = Settings.model_validate({"customers": {"new": {"by_country": by_country or {}}}})
        payload = build_new_customer(party, settings, books, build_invoice()).payload
        return payload["country"], payload.get("taxRegistrationNumber")

    assert choose(greek) == ("EL", "EL123456789")
    assert choose(british) == ("NI", "XI123456789")
    assert choose(british, {"GB": {"country": "UK"}}) == ("UK", "123-4567-89")
    assert choose(british, {"GB": {"country": "UK"}, "XI": {"country": "EX"}})[0] == "EX"
    assert choose(british, books=BOOKS) == ("UK", "123-4567-89")
    assert refuse(party=build_party(address=Address(country="GB")), new={"by_country": {"GB": {"country": "XX"}}})


def test_a_tax_number_comes_after_its_country() -> None:
    """Whichever of the two Business Central looks at first, it is checked against its own country (BC facts 20.1)."""
    party = build_party(address=Address(country="DE"), tax_ids=(TaxId(type="eu_vat", value="DE123456789"),))
    order = list(build(party=party)[0])

    assert order.index("country") < order.index("taxRegistrationNumber")


@pytest.mark.parametrize(
    ("kind", "value", "written", "noted"),
    [
        ("eu_vat", "DE123456789", "DE123456789", ""),
        ("eu_vat", "DE 123 456 789", "DE123456789", "was written as DE123456789"),
        ("de_stn", "12/345/67890", None, "12/345/67890 was left out"),
        ("de_stn", "123456789", None, "123456789 was left out"),
        ("eu_vat", "FRAB123456789", None, "FRAB123456789 was left out"),
    ],
)
def test_a_tax_number_has_a_form_that_business_central_takes(
    kind: str, value: str, written: str | None, noted: str
) -> None:
    """Else it is left out, with a note: it does not change what is sold, and would stop the invoice."""
    party = build_party(address=Address(country="DE"), tax_ids=(TaxId(type=kind, value=value),))
    payload, notes = build(party=party)

    assert payload.get("taxRegistrationNumber") == written
    assert noted in " ".join(notes)
    assert bool(noted) == bool(notes)


def test_a_number_that_fits_is_taken_before_one_that_does_not() -> None:
    ids = tuple(TaxId(type=kind, value=value) for kind, value in (("de_stn", "12/3"), ("eu_vat", "DE123456789")))
    payload, notes = build(party=build_party(address=Address(country="DE"), tax_ids=ids))

    assert (payload["taxRegistrationNumber"], notes) == ("DE123456789", ())


@pytest.mark.parametrize(
    ("party", "country", "noted"),
    [
        (build_party(tax_ids=(TaxId(type="eu_vat", value="DE123456789"),)), "DE", "DE was taken from its tax number"),
        (build_party(tax_ids=(TaxId(type="no_vat", value="987654321MVA"),)), "DK", "it got DK, as the settings say"),
        (build_party(), "DK", "it got DK, as the settings say"),
        (build_party(address=Address(country="DE")), "DE", ""),
    ],
)
def test_a_customer_without_a_country_gets_one(party: Party, country: str, noted: str) -> None:
    """Business Central gives one without it no posting groups. A number of a country that it lacks tells nothing."""
    payload, notes = build(party=party, new={"without_country": "dk"})

    assert payload["country"] == country
    assert noted in " ".join(notes)


def test_a_customer_stays_without_a_country_where_nothing_tells_it() -> None:
    assert "country" not in build(party=build_party())[0]


def test_only_the_lists_that_are_looked_at_are_needed() -> None:
    assert list_customer_lists(CustomerSettings()) == {"company", "countries", "payment_terms"}
    settings = CustomerSettings.model_validate(
        {"new": {"payment_terms_from_invoice": False, "by_country": {"DK": {"tax_area": "EU"}}}}
    )
    assert list_customer_lists(settings) == {"company", "countries", "tax_areas"}
