"""New customers in companies with Microsoft's own set-up, whichever way their fields are validated (BC facts 20)."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hub.cli.replay import build_planner
from schemas.messages import StripeEventReceived
from tests.advice.advice import BOOKS
from tests.pipeline.hub_harness import Simulators, run_simulators
from tests.relay import Relay, open_relay

CUSTOMERS = {
    "DE": ("eu_vat", "DE123456789", "10115", "Berlin"),
    "NL": ("eu_vat", "NL123456789B12", "1012 AB", "Amsterdam"),
    "GB": ("gb_vat", "GB980780684", "W1 3AL", "London"),
    "NO": ("no_vat", "987654321MVA", "2000", "Lillestrøm"),
    "FR": ("eu_vat", "FRAB123456789", "75001", "Paris"),
    "CH": ("ch_vat", "CHE-123.456.789 MWST", "8000", "Zürich"),
    "GR": ("eu_vat", "EL123456789", "10431", "Athens"),
    "BE": ("eu_vat", "BE0123456789", "1000", "Bruxelles"),
    "SE": ("eu_vat", "SE556677889901", "11120", "Stockholm"),
    "HU": ("hu_tin", "12345678-1-23", "1051", "Budapest"),
}

NO_NUMBER = {"tax_id_data[0][type]": None, "tax_id_data[0][value]": None}


@pytest.fixture(scope="module")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    with run_simulators(tmp_path_factory.mktemp("customers")) as both:
        yield both


@pytest_asyncio.fixture(params=["body", "page"])
async def shop(
    simulators: Simulators, redis_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncGenerator[Relay]:
    """A Danish company; fields are validated in the order of the body, or of the page."""
    company = {"as_shipped": "DK"}
    async with open_relay(simulators, redis_url, tmp_path, company=company, settings=BOOKS) as relay:
        await relay.control("bc", "POST", "answers", order=request.param)
        yield relay
        await relay.control("bc", "POST", "answers", order="body")


async def add(shop: Relay, country: str, **form: Any) -> str:
    kind, value, code, city = CUSTOMERS[country]
    address = {
        "address[country]": country,
        "address[postal_code]": code,
        "address[city]": city,
        "address[line1]": "Main Street 1",
    }
    return await shop.add_customer(**(address | {"tax_id_data[0][type]": kind, "tax_id_data[0][value]": value} | form))


async def draft(shop: Relay, customer: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Draft an invoice without VAT for a customer; returns its card, and the notes."""
    result = await shop.bring(await shop.invoice(customer, tax=await shop.rate("0")))
    assert result.outcome == "synced", result.reason
    assert result.document is not None
    dump = await shop.dump()
    (document,) = [one for one in dump["salesInvoices"] if one["id"] == result.document.id]
    (card,) = [one for one in dump["customers"] if one["id"] == document["customerId"]]
    for name, side in (("country", "sellToCountry"), ("city", "sellToCity")):
        assert document[side] == card[name]
    return card, result.notes


@pytest.mark.parametrize(
    ("country", "code", "number", "post_code"),
    [
        ("DE", "DE", "DE123456789", "10115"),
        ("NL", "NL", "NL123456789B12", "1012 AB"),
        ("GB", "GB", "GB980780684", "W1 3AL"),
        ("NO", "NO", "NO 987 654 321 MVA", ""),
        ("FR", "FR", "", "75001"),
        ("CH", "CH", "CHE-123.456.789MWST", ""),
        ("GR", "EL", "EL123456789", "10431"),
        ("BE", "BE", "BE123456789", ""),
        ("SE", "SE", "SE556677889901", "11120"),
        ("HU", "HU", "", ""),
    ],
)
async def test_a_customer_of_any_country_is_made_and_billed(
    shop: Relay, country: str, code: str, number: str, post_code: str
) -> None:
    """A number that fits no format is left out; a post code that is a Danish one too can't be kept, and is told."""
    card, notes = await draft(shop, await add(shop, country))

    assert (card["country"], card["city"], card["taxRegistrationNumber"]) == (code, CUSTOMERS[country][3], number)
    assert card["postalCode"] == post_code
    # Chosen by the customer's own country, and not by the one that its post code has in Denmark.
    assert card["taxAreaDisplayName"] == ("Export customers" if country in {"NO", "GB", "CH"} else "Eu customers")
    told = " ".join(notes)
    assert bool(post_code) != ("postal code" in told)
    assert bool(number) or f"The tax number {CUSTOMERS[country][1]} was left out" in told


async def test_what_the_companys_own_list_calls_a_town_does_not_replace_the_customers(shop: Relay) -> None:
    card, notes = await draft(
        shop,
        await add(shop, "NO", **{"address[country]": "DK", "address[city]": "Kbh. F", "tax_id_data[0][type]": "eu_vat",
                                 "tax_id_data[0][value]": "DK12345678"}),
    )  # fmt: skip

    assert (card["country"], card["postalCode"], card["city"]) == ("DK", "2000", "Kbh. F")
    assert notes == ()


async def test_a_number_without_an_address_tells_the_country(shop: Relay) -> None:
    nowhere = {f"address[{name}]": None for name in ("country", "postal_code", "city", "line1")}
    card, notes = await draft(shop, await add(shop, "DE", **nowhere))

    assert (card["country"], card["taxRegistrationNumber"]) == ("DE", "DE123456789")
    assert any("DE was taken from its tax number" in note for note in notes)


async def test_northern_ireland_is_ni(shop: Relay) -> None:
    card, _ = await draft(shop, await add(shop, "GB", **{"tax_id_data[0][value]": "XI123456789"}))

    assert (card["country"], card["taxRegistrationNumber"]) == ("NI", "XI123456789")


async def test_a_companys_own_formats_count(shop: Relay) -> None:
    """What the refusal lists is tried once; what fits none of it is left out."""
    await shop.seed(vatFormats={"NO": "#########MVA", "SE": "SE-####"})
    norwegian, _ = await draft(shop, await add(shop, "NO"))
    swedish, notes = await draft(shop, await add(shop, "SE"))

    assert (norwegian["taxRegistrationNumber"], swedish["taxRegistrationNumber"]) == ("987654321MVA", "")
    assert any("The tax number SE556677889901 was left out" in note for note in notes)


async def test_a_refused_field_costs_that_field_alone(shop: Relay) -> None:
    """Whatever rule of an extension names it."""
    fault = {"kind": "status", "status": 400, "code": "Application_DialogException", "count": 1,
             "text": "Phone No. must not contain letters in Customer No.=''.",
             "match": {"method": "POST", "path_regex": "customers$", "body_regex": "phoneNumber"}}  # fmt: skip
    await shop.control("bc", "POST", "faults", **fault)
    card, notes = await draft(shop, await add(shop, "DE", phone="+49 30 123456"))

    assert (card["phoneNumber"], card["country"]) == ("", "DE")
    assert any("The phone number +49 30 123456 was left out" in note for note in notes)


async def test_an_answer_that_is_anothers_is_no_answer(shop: Relay) -> None:
    """The customer is looked for, and is there once."""
    await shop.control("bc", "POST", "faults", kind="foreign", count=1,
                       match={"method": "POST", "path_regex": "customers$"})  # fmt: skip
    card, _ = await draft(shop, await add(shop, "DE"))

    assert card["number"] != "10000"
    assert len((await shop.dump())["customers"]) == 2


@pytest.mark.parametrize("fault", [{"kind": "foreign"}, {"kind": "stale"}])
async def test_one_answer_to_a_change_is_not_believed(shop: Relay, fault: dict[str, Any]) -> None:
    """The post code's own write is answered with another customer, or with this one as it was before."""
    await shop.control("bc", "POST", "faults", count=1, match={"method": "PATCH", "path_regex": "customers"}, **fault)
    card, notes = await draft(shop, await add(shop, "DE"))

    assert (card["displayName"][:5], card["country"], card["postalCode"]) == ("Kunde", "DE", "10115")
    assert notes == ()


async def test_an_answer_with_another_name_is_read_again(shop: Relay) -> None:
    await shop.control("bc", "POST", "faults", kind="foreign", count=1, changes={"displayName": "Somebody Else"},
                       match={"method": "POST", "path_regex": "customers$"})  # fmt: skip
    card, notes = await draft(shop, await add(shop, "DE"))

    assert card["displayName"].startswith("Kunde")
    assert notes == ()
    assert len((await shop.dump())["customers"]) == 2


@pytest.mark.parametrize("email", ["a..b@x.example", "Anna <anna@x.example>", "a@b@c.example", "x" * 90 + "@x.example"])
async def test_odd_texts_never_stop_an_invoice(shop: Relay, email: str) -> None:
    mark = "Ünïcode 公司 " * 12
    card, _ = await draft(shop, await add(shop, "DE", name=mark, email=email, phone="ring +4930 12 ext 7"))

    assert card["email"] in {"", email}
    assert len(card["displayName"]) <= 100


async def test_a_country_without_a_template_costs_one_customer_until_it_has_one(shop: Relay) -> None:
    """Learned by the first draft, told of the next, tried again by the replay of a person."""
    kiwi = {"address[country]": "NZ", **NO_NUMBER}
    first = await shop.invoice(await add(shop, "DE", **kiwi), tax=await shop.rate("0"))
    assert (await shop.bring(first)).code == "bc.customer.posting_group"

    invoices = [await shop.invoice(await add(shop, "DE", **kiwi), tax=await shop.rate("0")) for _ in range(3)]
    results = [await shop.bring(one) for one in invoices]
    assert {one.code for one in results} == {"contact.country.unbillable"}
    assert "the last new one of country NZ got no posting groups" in results[0].reason
    assert "Add a template for NZ" in results[0].reason
    assert len((await shop.dump())["customers"]) == 2

    again = await shop.replay(invoices[0], occurred_at=shop.clock.now())
    assert again.code == "bc.customer.posting_group"
    assert (await shop.bring(invoices[1])).code == "contact.country.unbillable"

    template = {"code": "EXPORT", "countries": ["NZ"], "genBusPostingGroup": "EXPORT", "vatBusPostingGroup": "EXPORT",
                "customerPostingGroup": "EXPORT", "paymentTermsCode": ""}  # fmt: skip
    await shop.seed(templates=[template])
    assert (await shop.replay(invoices[1], occurred_at=shop.clock.now())).outcome == "synced"
    assert (await shop.bring(invoices[2])).outcome == "synced"
    assert len((await shop.dump())["customers"]) == 5


async def test_the_settings_name_a_country_for_customers_without_one(shop: Relay) -> None:
    nowhere = {f"address[{name}]": None for name in ("country", "postal_code", "city", "line1")}
    invoices = [
        await shop.invoice(await add(shop, "DE", **nowhere, **NO_NUMBER), tax=await shop.rate("0")) for _ in range(2)
    ]
    assert (await shop.bring(invoices[0])).code == "bc.customer.posting_group"
    refused = await shop.bring(invoices[1])
    assert refused.code == "contact.country.unbillable"
    assert "customers.new.without_country" in refused.reason

    await shop.set(customers__new__without_country="DK")
    result = await shop.replay(invoices[1])
    assert result.outcome == "synced", result.reason
    assert any("it got DK, as the settings say" in note for note in result.notes)


@pytest.mark.parametrize("home", [("CH", "8001", "Zürich"), ("DE", "10115", "Berlin")])
@pytest.mark.parametrize("order", ["body", "page"])
async def test_a_customer_at_home_keeps_its_country_in_other_companies(
    simulators: Simulators, redis_url: str, tmp_path: Path, home: tuple[str, str, str], order: str
) -> None:
    """The list that Microsoft ships for Switzerland has its codes in no country, so each empties the customer's."""
    company, code, city = home
    async with open_relay(simulators, redis_url, tmp_path, company={"as_shipped": company}, settings=BOOKS) as relay:
        await relay.control("bc", "POST", "answers", order=order)
        address = {"address[country]": company, "address[postal_code]": code, "address[city]": city}
        card, notes = await draft(relay, await add(relay, "DE", **address, **NO_NUMBER))
        await relay.control("bc", "POST", "answers", order="body")

    assert (card["country"], card["postalCode"], card["city"]) == (company, code, city)
    assert card["taxAreaDisplayName"] == "Domestic customers"
    assert notes == ()


@pytest.mark.parametrize(("country", "post_code"), [("NL", "1012 AB"), ("NO", ""), ("DK", "2000")])
async def test_a_customer_that_moves_abroad_is_followed(shop: Relay, country: str, post_code: str) -> None:
    """Country, place and tax number change at once, and each of them is judged by another."""
    kept = ["country", "city", "postalCode", "addressLine1", "taxRegistrationNumber"]
    await shop.set(customers__keep_in_step=kept)
    customer = await add(shop, "DE")
    card, _ = await draft(shop, customer)
    kind, value, code, city = CUSTOMERS.get(country, ("eu_vat", "DK12345678", "2000", "Frederiksberg"))
    (old,) = (await shop.stripe("GET", f"customers/{customer}/tax_ids"))["data"]
    await shop.stripe("DELETE", f"customers/{customer}/tax_ids/{old['id']}")
    await shop.stripe("POST", f"customers/{customer}/tax_ids", type=kind, value=value)
    address = {"address[country]": country, "address[postal_code]": code, "address[city]": city}
    await shop.stripe("POST", f"customers/{customer}", **address)
    await shop.carry(
        StripeEventReceived(
            connection=shop.connection.id, cause="webhook", object_id=customer, event_type="customer.updated",
            event_id="evt_moved", occurred_at=shop.clock.now(),
        )
    )  # fmt: skip

    (moved,) = [one for one in (await shop.dump())["customers"] if one["id"] == card["id"]]
    assert (moved["country"], moved["city"], moved["postalCode"]) == (country, city, post_code)
    assert moved["taxRegistrationNumber"] == {"NO": "NO 987 654 321 MVA"}.get(country, value)


@pytest.mark.parametrize("settings", ["sell_to", "ship_to"])
async def test_the_address_of_a_document_is_the_invoices(shop: Relay, settings: str) -> None:
    """A foreign post code that is a Danish one too changes country and town there as well."""
    customer = await add(shop, "DE")
    place = {"country": "NO", "postal_code": "2000", "city": "Lillestrøm", "line1": "Storgata 1"}
    shipped: dict[str, Any] = {f"shipping_details[address][{name}]": value for name, value in place.items()}
    if settings == "sell_to":
        customer, shipped = await add(shop, "NO"), {}
        await shop.set(invoices__header__sell_to_address="invoice")
    else:
        shipped["shipping_details[name]"] = "Lager"
    result = await shop.bring(await shop.invoice(customer, tax=await shop.rate("0"), **shipped))

    assert result.outcome == "synced", result.reason
    assert result.document is not None
    (document,) = [one for one in (await shop.dump())["salesInvoices"] if one["id"] == result.document.id]
    side = "sellTo" if settings == "sell_to" else "shipTo"
    assert (document[f"{side}Country"], document[f"{side}City"]) == ("NO", "Lillestrøm")
    assert document[f"{side}PostCode"] == "" or document[f"{side}Country"] == "NO"


@pytest.mark.parametrize("country", CUSTOMERS)
async def test_preview_shows_the_customer_that_is_then_made(shop: Relay, country: str) -> None:
    """The same fields and notes; what only Business Central's list of post codes knows comes with the draft."""
    customer = await add(shop, country)
    invoice = await shop.invoice(customer, tax=await shop.rate("0"))
    snapshot = await shop.snapshot()
    found = await shop.foundation.clients.stripe(snapshot).fetch_invoice(invoice["id"])
    assert found is not None
    shown = await build_planner(shop.foundation, snapshot).preview(found)
    assert shown.new is not None
    result = await shop.bring(invoice)

    assert result.outcome == "synced", result.reason
    (card,) = [one for one in (await shop.dump())["customers"] if one["number"] != "10000"]
    written = {name: card[name] for name in shown.new.payload}
    assert written | {"postalCode": ""} == shown.new.payload | {"postalCode": ""}
    assert set(shown.new.notes) <= set(result.notes)
    assert all("postal code" in note for note in set(result.notes) - {*shown.new.notes, *shown.notes})
