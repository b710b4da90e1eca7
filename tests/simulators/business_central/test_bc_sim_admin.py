import json
import re
from pathlib import Path

from tests.simulators.business_central.books import PLAIN, Books, in_memory

TENANT = "7f1c2c1e-93a4-4f0a-8d55-1b5a7c0f9e22"


async def test_state_counts_what_happened(books: Books) -> None:
    first = await books.invoice(PLAIN)
    await books.invoice(PLAIN)
    await books.post(first)
    await books.refused("POST", "salesInvoices", {})
    state = await books.control("GET", "state")
    assert (state["drafts"], state["posted"], state["customers"], state["writes"]) == (1, 1, 4, 3)
    assert state["requests"]["POST companies(id)/salesInvoices"] == 3
    assert state["statuses"]["201"] == 2


async def test_the_dump_shows_documents_with_their_lines(books: Books) -> None:
    await books.invoice(PLAIN)
    dump = await books.control("GET", "dump/CRONUS%20International%20Ltd.")
    assert len(dump["customers"]) == 4
    assert dump["salesInvoices"][0]["_posted"] is False
    assert dump["salesInvoices"][0]["salesInvoiceLines"][0]["netAmount"] == 100


async def test_a_seed_adds_companies_tenants_and_apps(books: Books) -> None:
    seed = {
        "apps": [{"tenant": TENANT, "client_id": "other", "client_secret": "s"}],
        "companies": [{"tenant": TENANT, "environment": "production", "name": "Yen Ltd.", "currency": "JPY"}],
    }
    made = (await books.control("POST", "seed", seed))["companies"]
    assert [company["name"] for company in made] == ["Yen Ltd."]
    headers = {"Authorization": f"Bearer {books.sim.tokens.issue(TENANT, 'other', 'other')}"}
    base = f"/v2.0/{TENANT}/production/api/v2.0/companies({made[0]['id']})"
    body = {"customerNumber": "10000", "salesInvoiceLines": [PLAIN | {"unitPrice": 100.5}]}
    invoice = (await books.http.post(f"{base}/salesInvoices", json=body, headers=headers)).json()
    assert (invoice["currencyCode"], invoice["totalAmountIncludingTax"]) == ("JPY", 126)
    assert (await books.control("GET", "state"))["drafts_by_company"][made[0]["id"]] == 1


async def test_a_seed_extends_a_company_and_refuses_what_it_does_not_know(books: Books) -> None:
    await books.seed(items=[{"number": "SVC-100", "unitPrice": 99}], salespeople=["AB"])
    assert (await books.rows("items?$filter=number eq 'SVC-100'"))[0]["unitPrice"] == 99
    answer = await books.http.post("/_sim/seed", json={"companies": [{"name": "X", "itemz": []}]})
    assert answer.status_code == 400
    assert "itemz" in answer.json()["error"]


async def test_revoked_tokens_are_401(books: Books) -> None:
    assert (await books.control("POST", "revoke", {"client_id": "demo-client"}))["revoked"] == 1
    assert (await books.refused("GET", "items"))[:2] == (401, "Authentication_InvalidCredentials")


async def test_an_outage_is_503_everywhere(books: Books) -> None:
    await books.control("POST", "outage", {"on": True})
    assert (await books.refused("GET", "items"))[0] == 503
    await books.control("POST", "outage", {"on": False})
    assert await books.rows("items")


async def test_ids_repeat_with_the_seed_of_the_generator(books: Books) -> None:
    await books.control("POST", "seed_rng", {"seed": 7})
    first = await books.customer()
    await books.control("POST", "seed_rng", {"seed": 7})
    answer = await books.call("GET", "items?$top=1")
    await books.control("POST", "seed_rng", {"seed": 7})
    again = await books.call("GET", "items?$top=1")
    assert answer.headers["request-id"] == again.headers["request-id"]
    assert first["id"] != again.headers["request-id"]


async def test_the_controls_answer_this_machine_only(books: Books) -> None:
    async with in_memory(books.sim, client="10.0.0.7") as http:
        assert (await http.get("/_sim/state")).status_code == 403


async def test_unknown_controls_and_bodies_are_told(books: Books) -> None:
    assert (await books.http.get("/_sim/nothing")).status_code == 404
    assert (await books.http.post("/_sim/limits", json={"speed": 1})).status_code == 400
    assert (await books.http.post("/_sim/faults", json={"kind": "meteor"})).status_code == 400


async def test_a_seed_changes_what_a_client_made_under_the_same_number(books: Books) -> None:
    made = await books.customer(email="anna@example.com")
    await books.seed(customers=[{"number": made["number"], "blocked": "All"}])
    found = await books.rows(f"customers?$filter=number eq '{made['number']}'")
    assert [(row["id"], row["displayName"], row["blocked"]) for row in found] == [
        (made["id"], made["displayName"], "All")
    ]


async def test_a_record_is_changed_by_its_number_or_code(books: Books) -> None:
    made = await books.customer()
    change = {"set": "customers", "number": made["number"], "changes": {"blocked": "All"}}
    assert (await books.control("POST", "record", change))["blocked"] == "All"
    assert "blocked with type All" in (await books.refused("POST", "salesInvoices", {"customerId": made["id"]}))[2]
    await books.control("POST", "record", change | {"changes": {"blocked": "_x0020_"}})
    await books.ok("POST", "salesInvoices", {"customerId": made["id"]})
    for set_name, key, changes in (
        ("items", {"number": "SVC-100"}, {"salesBlocked": True}),
        ("accounts", {"number": "6110"}, {"directPosting": False}),
        ("paymentTerms", {"code": "30 DAYS"}, {"discountPercent": 2}),
    ):
        await books.control("POST", "record", {"set": set_name, "changes": changes} | key)
    assert "cannot sell Item SVC-100" in (await _refuse_line(books, "Item", "SVC-100"))
    assert "Direct Posting must be equal to 'Yes'" in (await _refuse_line(books, "Account", "6110"))


async def _refuse_line(books: Books, kind: str, number: str) -> str:
    line = {"lineType": kind, "lineObjectNumber": number, "quantity": 1}
    return (await books.refused("POST", "salesInvoices", {"customerNumber": "10000", "salesInvoiceLines": [line]}))[2]


async def test_a_record_that_is_not_there_or_a_property_that_nobody_has_is_told(books: Books) -> None:
    for wrong in (
        {"set": "customers", "number": "99999", "changes": {"blocked": "All"}},
        {"set": "customers", "number": "10000", "changes": {"nickname": "X"}},
        {"set": "salesInvoices", "number": "10000", "changes": {}},
    ):
        assert (await books.http.post("/_sim/record", json=wrong)).status_code == 400, wrong
    assert len(await books.rows("customers")) == 4


async def test_the_guide_blocks_a_customer_with_a_line_that_works(books: Books) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "by-hand.md").read_text()
    found = re.search(r"/_sim/record -d '(.*)'; }", guide)
    assert found
    await books.customer()
    changed = await books.control("POST", "record", json.loads(found[1].replace("'$1'", "All")))
    assert (changed["number"], changed["blocked"]) == ("C10001", "All")
