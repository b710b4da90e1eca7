from typing import Any

from simulators.business_central.default_seed import COMPANY_ID
from tests.simulators.business_central.books import PLAIN, ROOT, Books, Json

BASE = f"companies({COMPANY_ID})"


def operation(key: str, method: str, path: str, body: Any = None, **headers: str) -> Json:
    return {"id": key, "method": method, "url": f"{BASE}/{path}", "headers": headers, "body": body}


async def run(books: Books, *operations: Json, **headers: str) -> list[Json]:
    return (await books.ok("POST", f"{ROOT}/$batch", {"requests": list(operations)}, **headers))["responses"]


def three(customer: Json) -> list[Json]:
    return [
        operation("1", "PATCH", f"customers({customer['id']})", {"city": "Bonn"}, **{"If-Match": "*"}),
        operation("2", "POST", "salesInvoices", {"customerNumber": "nobody"}),
        operation("3", "POST", "salesInvoices", {"customerNumber": "10000", "salesInvoiceLines": [PLAIN]}),
    ]


async def test_a_batch_stops_at_its_first_failure(books: Books) -> None:
    customer = await books.customer()
    responses = await run(books, *three(customer))
    assert [(entry["id"], entry["status"]) for entry in responses] == [("1", 200), ("2", 400)]
    assert "CorrelationId" in responses[1]["body"]["error"]["message"]
    assert (await books.ok("GET", f"customers({customer['id']})"))["city"] == "Bonn"


async def test_continue_on_error_runs_all(books: Books) -> None:
    customer = await books.customer()
    responses = await run(books, *three(customer), Prefer="odata.continue-on-error")
    assert [entry["status"] for entry in responses] == [200, 400, 201]


async def test_a_snapshot_is_rolled_back_while_its_answers_still_say_200(books: Books) -> None:
    customer = await books.customer()
    writes = (await books.control("GET", "state"))["writes"]
    responses = await run(books, *three(customer), Isolation="snapshot")
    assert [entry["status"] for entry in responses] == [200, 400]
    assert (await books.ok("GET", f"customers({customer['id']})"))["city"] == ""
    assert (await books.control("GET", "state"))["writes"] == writes


async def test_a_snapshot_without_failure_stays(books: Books) -> None:
    customer = await books.customer()
    good = [entry for entry in three(customer) if entry["id"] != "2"]
    assert [entry["status"] for entry in await run(books, *good, Isolation="snapshot")] == [200, 201]
    assert len(await books.rows("salesInvoices")) == 1


async def test_posting_commits_even_inside_a_snapshot(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    post = operation("1", "POST", f"salesInvoices({invoice['id']})/Microsoft.NAV.post")
    fail = operation("2", "GET", "salesInvoicez")
    await run(books, post, fail, Isolation="snapshot")
    assert (await books.read(invoice))["status"] == "Open"


async def test_numbers_drawn_in_a_rolled_back_snapshot_are_free_again(books: Books) -> None:
    make = operation("1", "POST", "salesInvoices", {"customerNumber": "10000"})
    await run(books, make, operation("2", "GET", "salesInvoicez"), Isolation="snapshot")
    assert await books.rows("salesInvoices") == []
    assert (await books.invoice())["number"] == "S-INV102001"


async def test_a_hundred_operations_are_the_most(books: Books) -> None:
    many = [operation(str(at), "GET", "paymentTerms?$top=1") for at in range(101)]
    assert len(await run(books, *many[:100])) == 100
    assert (await books.refused("POST", f"{ROOT}/$batch", {"requests": many}))[0] == 400


async def test_the_company_may_stand_in_a_header(books: Books) -> None:
    inner = {"id": "1", "method": "GET", "url": "paymentTerms", "headers": {"Company": "CRONUS International Ltd."}}
    assert (await run(books, inner))[0]["status"] == 200


async def test_lines_deleted_in_a_rolled_back_snapshot_are_reached_again(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    line = invoice["salesInvoiceLines"][0]["id"]
    delete = operation("1", "DELETE", f"salesInvoiceLines({line})", **{"If-Match": "*"})
    await run(books, delete, operation("2", "GET", "salesInvoicez"), Isolation="snapshot")
    assert (await books.ok("GET", f"salesInvoiceLines({line})"))["documentId"] == invoice["id"]
