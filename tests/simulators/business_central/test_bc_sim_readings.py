"""The switches for what is open about Business Central's answers, and answers that are stale or another record's."""

from typing import Any

import pytest

from simulators.business_central.default_seed import COMPANY_ID
from tests.simulators.business_central.books import PLAIN, ROOT, Books

DEEP = {"customerNumber": "10000", "salesInvoiceLines": [PLAIN]}
EXPANDED = "salesInvoices?$expand=salesInvoiceLines"


async def test_the_answer_to_a_deep_insert_may_show_the_header_from_before_its_lines(books: Books) -> None:
    await books.control("POST", "answers", {"totals": "header"})
    made = await books.ok("POST", EXPANDED, DEEP)
    assert (made["totalAmountIncludingTax"], made["remainingAmount"], made["status"]) == (0, 0, "Draft")
    assert made["salesInvoiceLines"][0]["netAmountIncludingTax"] == 125
    fresh = await books.read(made)
    assert (fresh["number"], fresh["totalAmountIncludingTax"]) == (made["number"], 125)
    stale = await books.refused("PATCH", f"salesInvoices({made['id']})", {}, If_Match=made["@odata.etag"])
    assert stale[1] == "Request_EntityChanged"


@pytest.mark.parametrize(("mode", "shown"), [("after", [125]), ("none", []), ("blank", [0])])
async def test_nested_lines_may_be_answered_too_early(books: Books, mode: str, shown: list[int]) -> None:
    await books.control("POST", "answers", {"lines": mode})
    made = await books.ok("POST", EXPANDED, DEEP)
    assert [line["netAmountIncludingTax"] for line in made["salesInvoiceLines"]] == shown
    assert made["totalAmountIncludingTax"] == 125
    assert (await books.read(made))["salesInvoiceLines"][0]["netAmountIncludingTax"] == 125


async def test_fields_are_validated_in_the_order_of_the_body_or_of_the_page(books: Books) -> None:
    line = {"unitPrice": 5, "quantity": 2, "lineObjectNumber": "6110", "lineType": "Account"}
    body = {"salesInvoiceLines": [line], "customerNumber": "10000"}
    assert "Standard Text" in (await books.refused("POST", "salesInvoices", body))[2]
    await books.control("POST", "answers", {"order": "page"})
    assert (await books.ok("POST", "salesInvoices", body))["totalAmountExcludingTax"] == 10


@pytest.mark.parametrize(("mode", "left"), [("whole", []), ("parts", [1])])
async def test_a_refused_line_may_leave_the_header_and_the_lines_before_it(
    books: Books, mode: str, left: list[int]
) -> None:
    await books.control("POST", "answers", {"deep_insert": mode})
    lines = [PLAIN, PLAIN | {"lineObjectNumber": "6190"}]
    body = {"customerNumber": "10000", "externalDocumentNumber": "R-1", "salesInvoiceLines": lines}
    assert "Blocked" in (await books.refused("POST", "salesInvoices", body))[2]
    found = await books.rows(f"{EXPANDED}&$filter=externalDocumentNumber eq 'R-1'")
    assert [len(document["salesInvoiceLines"]) for document in found] == left


async def test_an_error_may_have_another_status(books: Books) -> None:
    given = {"statuses": {"BadRequest_InvalidToken": 428, "Request_EntityChanged": 412}}
    await books.control("POST", "answers", given)
    customer = await books.customer()
    assert (await books.call("PATCH", f"customers({customer['id']})", {"city": "Bonn"})).status_code == 428
    path = f"customers({customer['id']})"
    assert (await books.refused("PATCH", path, {"city": "Bonn"}, If_Match='W/"old"'))[0] == 412
    inner = {"id": "1", "method": "PATCH", "url": f"companies({COMPANY_ID})/{path}", "body": {}}
    batch = await books.ok("POST", f"{ROOT}/$batch", {"requests": [inner]})
    assert batch["responses"][0]["status"] == 428


async def test_decimals_may_come_with_the_digits_of_the_binary_number(books: Books) -> None:
    await books.control("POST", "answers", {"decimals": "binary"})
    answer = await books.call("POST", EXPANDED, {**DEEP, "salesInvoiceLines": [PLAIN | {"unitPrice": 19.99}]})
    assert '"totalAmountExcludingTax":19.989999999999998,' in answer.text
    assert '"unitPrice":19.989999999999998,' in answer.text
    assert answer.json()["salesInvoiceLines"][0]["quantity"] == 1


async def test_a_201_may_come_without_a_location(books: Books) -> None:
    assert (await books.call("POST", "salesInvoices", DEEP)).headers["Location"]
    await books.control("POST", "answers", {"location": False})
    assert "Location" not in (await books.call("POST", "salesInvoices", DEEP)).headers


async def test_the_switches_are_shown_checked_and_put_back(books: Books) -> None:
    built_in = await books.control("GET", "answers")
    for wrong in ({"totals": "never"}, {"speed": 1}, {"statuses": {"Unknown": 200}}, {"order": "page", "lines": 1}):
        assert (await books.http.post("/_sim/answers", json=wrong)).status_code == 400
    assert await books.control("GET", "answers") == built_in
    changed = await books.control("POST", "answers", {"totals": "header"})
    assert changed == built_in | {"totals": "header"}
    assert await books.control("DELETE", "answers") == built_in


async def _strike(books: Books, kind: str, **rule: Any) -> None:
    await books.control("POST", "faults", {"kind": kind, "count": 1, **rule})


async def test_a_stale_answer_shows_the_record_before_its_last_change(books: Books) -> None:
    customer = await books.customer(city="Bonn")
    path = f"customers({customer['id']})"
    await _strike(books, "stale", match={"method": "PATCH"})
    assert (await books.ok("PATCH", path, {"city": "Köln"}))["city"] == "Bonn"
    assert (await books.ok("GET", path))["city"] == "Köln"
    await _strike(books, "stale", match={"method": "GET"})
    assert (await books.ok("GET", path))["city"] == "Bonn"
    await _strike(books, "stale", match={"method": "GET"})
    assert (await books.rows("customers?$filter=city eq 'Köln'"))[0]["city"] == "Bonn"
    await _strike(books, "stale", match={"method": "POST"})
    assert (await books.ok("POST", EXPANDED, DEEP))["totalAmountIncludingTax"] == 0


async def test_a_foreign_answer_shows_another_record_or_says_something_else(books: Books) -> None:
    first = await books.ok("POST", "salesInvoices", DEEP | {"externalDocumentNumber": "A"})
    await _strike(books, "foreign", match={"method": "POST", "path_regex": "salesInvoices$"})
    second = await books.ok("POST", "salesInvoices", DEEP | {"externalDocumentNumber": "B"})
    assert (second["id"], second["externalDocumentNumber"]) == (first["id"], "A")
    assert len(await books.rows("salesInvoices?$filter=externalDocumentNumber eq 'B'")) == 1
    await _strike(books, "foreign", changes={"status": "Paid", "customerNumber": "20000"})
    told = await books.ok("GET", f"salesInvoices({first['id']})")
    assert (told["status"], told["customerNumber"], told["externalDocumentNumber"]) == ("Paid", "20000", "A")
    assert (await books.ok("GET", f"salesInvoices({first['id']})"))["status"] == "Draft"


async def test_a_rule_of_an_extension_refuses_with_its_own_words(books: Books) -> None:
    rule = {
        "kind": "status",
        "status": 400,
        "code": "Application_DialogException",
        "text": "Kunden skal godkendes af økonomi.",
        "match": {"method": "POST", "path_regex": "customers$", "body_regex": '"country": ?"SE"'},
    }
    await books.control("POST", "faults", rule)
    error = await books.refused("POST", "customers", {"displayName": "X", "country": "SE"})
    assert error == (400, "Application_DialogException", "Kunden skal godkendes af økonomi.")
    assert (await books.customer(country="DE"))["country"] == "DE"
