import pytest

from tests.simulators.business_central.books import PLAIN, Books


async def names(books: Books, query: str) -> list[str]:
    return [row["displayName"] for row in await books.rows(f"customers?$filter={query}")]


@pytest.fixture
async def people(books: Books) -> Books:
    for name, city, limit in (("Anna", "Bonn", 10), ("Otto", "Köln", 20.5), ("O'Neil & Co", "Bonn", 30)):
        await books.customer(displayName=name, city=city, creditLimit=limit)
    return books


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("displayName eq 'Anna'", ["Anna"]),
        ("displayName eq 'O''Neil %26 Co'", ["O'Neil & Co"]),
        ("creditLimit gt 10 and creditLimit le 20.5", ["Otto"]),
        ("startswith(displayName,'O')", ["Otto", "O'Neil & Co"]),
        ("endswith(displayName,'a') and city eq 'Bonn'", ["Anna"]),
        ("contains(displayName,'tt')", ["Otto"]),
        ("startswith(tolower(displayName),'ot')", ["Otto"]),
        ("tolower(displayName) eq 'anna'", ["Anna"]),
        ("displayName eq 'anna'", []),
        ("not (city eq 'Bonn') and creditLimit ne 0", ["Otto"]),
        ("creditLimit ge 10 and (displayName eq 'Anna' or displayName eq 'Otto')", ["Anna", "Otto"]),
        ("displayName eq 'An*'", ["Anna"]),
        ("blocked eq 'All'", ["Blocked Ltd."]),
        ("creditLimit lt 20 and creditLimit gt 0", ["Anna"]),
        ("taxLiable eq true", []),
    ],
)
async def test_filters(people: Books, query: str, found: list[str]) -> None:
    assert await names(people, query) == found


async def test_codes_are_compared_upper_case(books: Books) -> None:
    assert [row["number"] for row in await books.rows("items?$filter=number eq ' svc-100'")] == ["SVC-100"]


async def test_dates_and_times_are_compared(books: Books) -> None:
    early = await books.invoice(invoiceDate="2026-01-31")
    await books.control("POST", "clock", {"advance_seconds": 10})
    late = await books.invoice(invoiceDate="2026-02-28")
    assert [row["id"] for row in await books.rows("salesInvoices?$filter=invoiceDate ge 2026-02-01")] == [late["id"]]
    stamp = early["lastModifiedDateTime"]
    assert [row["id"] for row in await books.rows(f"salesInvoices?$filter=lastModifiedDateTime gt {stamp}")] == [
        late["id"]
    ]
    assert len(await books.rows("salesInvoices?$filter=lastModifiedDateTime gt 2020-01-01T00:00:00Z")) == 2


async def test_guids_are_compared_unquoted(books: Books) -> None:
    customer = await books.customer()
    assert len(await books.rows(f"customers?$filter=id eq {customer['id'].upper()}")) == 1
    error = await books.refused("GET", f"customers?$filter=id eq '{customer['id']}'")
    assert "incompatible types" in error[2]


async def test_or_over_two_fields_is_refused(books: Books) -> None:
    error = await books.refused("GET", "customers?$filter=displayName eq 'A' or city eq 'B'")
    assert error[:2] == (400, "BadRequest")
    assert error[2] == "The 'OR' operator is not supported on distinct fields on an OData filter."


async def test_lambdas_are_silently_ignored(books: Books) -> None:
    await books.invoice(PLAIN)
    query = "salesInvoices?$filter=salesInvoiceLines/any(l: l/quantity gt 1000)"
    assert len(await books.rows(query)) == 1


async def test_a_literal_longer_than_its_field_is_an_error(books: Books) -> None:
    error = await books.refused("GET", f"salesInvoices?$filter=externalDocumentNumber eq '{'x' * 36}'")
    assert error[1] == "Application_FilterErrorException"


@pytest.mark.parametrize("query", ["displayName eq", "displayName like 'x'", "(city eq 'a'", "city eq 'a", "eq 'a'"])
async def test_malformed_filters_answer_not_found_codes(books: Books, query: str) -> None:
    error = await books.refused("GET", f"customers?$filter={query}")
    assert error[0] == 400
    assert error[1] in {"BadRequest_NotFound", "BadRequest"}


async def test_unknown_properties_are_refused_everywhere(books: Books) -> None:
    wanted = "Could not find a property named 'nick' on type 'Microsoft.NAV.customer'."
    for query in ("$filter=nick eq 'a'", "$select=nick", "$orderby=nick", "$expand=nick"):
        assert (await books.refused("GET", f"customers?{query}"))[2] == wanted


async def test_enum_literals_are_quoted_and_encoded(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    assert len(await books.rows("salesInvoices?$filter=status eq 'Draft'")) == 1
    await books.control("POST", "document", {"id": invoice["id"], "action": "request_approval"})
    assert len(await books.rows("salesInvoices?$filter=status eq 'In_x0020_Review'")) == 1
    assert (await books.refused("GET", "salesInvoices?$filter=status eq 'In Review'"))[0] == 400


async def test_select_orderby_top_and_count(people: Books) -> None:
    answer = await people.ok("GET", "customers?$select=displayName&$orderby=creditLimit desc&$top=2&$count=true")
    assert answer["@odata.count"] == 7
    assert [row["displayName"] for row in answer["value"]] == ["O'Neil & Co", "Otto"]
    assert set(answer["value"][0]) == {"@odata.etag", "displayName"}
    assert answer["@odata.context"].endswith("/customers(displayName)")


async def test_expand_takes_options_of_its_own(books: Books) -> None:
    await books.invoice(PLAIN, PLAIN | {"quantity": 2})
    query = "$expand=salesInvoiceLines($select=sequence;$filter=quantity gt 1),customer($select=number)"
    row = (await books.rows(f"salesInvoices?{query}"))[0]
    assert [line["sequence"] for line in row["salesInvoiceLines"]] == [20000]
    assert row["customer"]["number"] == "10000"


async def test_a_navigation_to_one_record_is_followed_by_path(books: Books) -> None:
    invoice = await books.invoice()
    assert (await books.ok("GET", f"salesInvoices({invoice['id']})/customer"))["number"] == "10000"
    assert (await books.refused("GET", f"salesInvoices({invoice['id']})/currency"))[0] == 404


@pytest.mark.parametrize("extra", ["", "&$orderby=displayName desc", "&$filter=contains(displayName,'o')"])
async def test_pages_follow_the_next_link_until_it_is_absent(people: Books, extra: str) -> None:
    everything = [row["id"] for row in await people.rows(f"customers?$select=id{extra}")]
    found: list[str] = []
    url, pages = f"customers?$select=id{extra}", 0
    while url:
        answer = await people.ok("GET", url, Prefer="odata.maxpagesize=2")
        found += [row["id"] for row in answer["value"]]
        url = answer.get("@odata.nextLink", "").removeprefix("http://testserver")
        pages += 1
    assert found == everything
    assert pages == -(-len(everything) // 2)


async def test_top_is_kept_across_pages(people: Books) -> None:
    first = await people.ok("GET", "customers?$top=3", Prefer="odata.maxpagesize=2")
    second = await people.ok(
        "GET", first["@odata.nextLink"].removeprefix("http://testserver"), Prefer="odata.maxpagesize=2"
    )
    assert (len(first["value"]), len(second["value"]), "@odata.nextLink" in second) == (2, 1, False)


async def test_a_page_that_is_too_large_is_refused(books: Books) -> None:
    assert (await books.refused("GET", "customers", Prefer="odata.maxpagesize=20001"))[0] == 413


async def test_hidden_rows_are_not_refused_but_absent(books: Books) -> None:
    draft, posted = await books.invoice(PLAIN), await books.invoice(PLAIN)
    await books.post(posted)
    await books.control("POST", "permissions", {"hide_drafts": True})
    assert [row["id"] for row in await books.rows("salesInvoices")] == [posted["id"]]
    assert (await books.refused("GET", f"salesInvoices({draft['id']})"))[0] == 404
    await books.control("POST", "permissions", {"hide_drafts": False})
    await books.control("POST", "permissions", {"hide_posted": True, "user": "demo-client"})
    assert [row["id"] for row in await books.rows("salesInvoices")] == [draft["id"]]


async def test_the_replica_lags_and_the_primary_does_not(books: Books) -> None:
    await books.control("POST", "replica", {"lag_seconds": 30})
    invoice = await books.invoice(PLAIN, externalDocumentNumber="LAG")
    query = "salesInvoices?$filter=externalDocumentNumber eq 'LAG'"
    assert await books.rows(query, Data_Access_Intent="ReadOnly") == []
    assert len(await books.rows(query)) == 1
    assert (await books.refused("GET", f"salesInvoices({invoice['id']})", Data_Access_Intent="ReadOnly"))[0] == 404
    await books.control("POST", "clock", {"advance_seconds": 31})
    assert len(await books.rows(query, Data_Access_Intent="ReadOnly")) == 1
    error = await books.refused("POST", "salesInvoices", {}, Data_Access_Intent="ReadOnly")
    assert error[:2] == (400, "BadRequest")
