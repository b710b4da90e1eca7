import pytest

from tests.simulators.business_central.books import COMPANY, ROOT, Books


@pytest.mark.parametrize(
    "path",
    "currencies paymentTerms paymentMethods taxGroups taxAreas unitsOfMeasure countriesRegions shipmentMethods "
    "accounts dimensions dimensionValues items companyInformation generalLedgerSetup".split(),
)
async def test_every_list_answers(books: Books, path: str) -> None:
    assert await books.rows(path)


async def test_the_local_currency_is_found_in_two_places(books: Books) -> None:
    assert (await books.rows("companyInformation"))[0]["currencyCode"] == "EUR"
    assert (await books.rows("generalLedgerSetup"))[0]["localCurrencyCode"] == "EUR"
    assert not await books.rows("currencies?$filter=code eq 'EUR'")


async def test_currencies_tell_their_decimals(books: Books) -> None:
    places = {row["code"]: row["amountDecimalPlaces"] for row in await books.rows("currencies")}
    assert (places["JPY"], places["USD"], places["KWD"]) == ("0:0", "2:2", "3:3")


async def test_accounts_and_dimensions_cannot_be_written(books: Books) -> None:
    error = await books.refused("POST", "accounts", {"number": "1"})
    assert error[:2] == (405, "BadRequest_MethodNotAllowed")
    assert (await books.refused("POST", "dimensions", {}))[0] == 405


async def test_a_code_is_unique_and_mandatory(books: Books) -> None:
    assert (await books.refused("POST", "paymentTerms", {"code": "cod"}))[1] == "Internal_EntityWithSameKeyExists"
    assert (await books.refused("POST", "paymentTerms", {}))[1] == "BadRequest_RequiredParamNotProvided"
    assert (await books.ok("POST", "paymentTerms", {"code": "7d", "dueDateCalculation": "7D"}))["code"] == "7D"


async def test_item_numbers_may_be_chosen_and_defaults_come_from_the_template(books: Books) -> None:
    item = await books.ok(
        "POST", "items", {"number": "new-1", "displayName": "New", "type": "Service", "unitPrice": 9.5}
    )
    assert (item["number"], item["taxGroupCode"], item["baseUnitOfMeasureCode"]) == ("NEW-1", "STANDARD", "PCS")
    assert (await books.refused("POST", "items", {"number": "NEW-1"}))[1] == "Internal_EntityWithSameKeyExists"
    assert "inventory" in (await books.refused("POST", "items", {"displayName": "X", "inventory": 3}))[2]


async def test_an_item_on_an_open_document_cannot_be_deleted(books: Books) -> None:
    await books.invoice({"lineType": "Item", "lineObjectNumber": "SVC-100", "quantity": 1})
    item = (await books.rows("items?$filter=number eq 'SVC-100'"))[0]
    assert "cannot delete Item" in (await books.refused("DELETE", f"items({item['id']})"))[2]


async def test_dimension_values_are_found_below_their_dimension(books: Books) -> None:
    dimension = (await books.rows("dimensions?$filter=code eq 'DEPARTMENT'&$expand=dimensionValues"))[0]
    assert [value["code"] for value in dimension["dimensionValues"]] == ["SALES", "PROD"]
    assert len(await books.rows(f"dimensions({dimension['id']})/dimensionValues")) == 2


async def test_companies_are_listed_and_chosen_by_path_or_query(books: Books) -> None:
    company = (await books.rows(f"{ROOT}/companies"))[0]
    assert company["name"] == "CRONUS International Ltd."
    assert await books.rows(f"{ROOT}/paymentTerms?company={company['id']}")
    missing = await books.refused("GET", f"{ROOT}/companies(11111111-1111-4111-a111-111111111111)/items")
    assert missing[:2] == (404, "Internal_CompanyNotFound")
    assert (await books.refused("POST", f"{ROOT}/companies", {}))[0] == 405


async def test_unknown_segments_and_keys_are_told_apart(books: Books) -> None:
    error = await books.refused("GET", "salesInvoicez")
    assert error == (404, "BadRequest_ResourceNotFound", "Resource not found for the segment 'salesInvoicez'.")
    assert (await books.refused("GET", "customers(17)"))[:2] == (400, "BadRequest_NotFound")
    assert (await books.refused("GET", "customers(11111111-1111-4111-a111-111111111111)"))[0] == 404


async def test_the_tenant_may_be_left_out_or_named_by_its_domain(books: Books) -> None:
    assert await books.rows("/v2.0/sandbox/api/v2.0/companies")
    assert await books.rows("/v2.0/cronus.onmicrosoft.com/sandbox/api/v2.0/companies")
    assert (await books.refused("GET", "/v2.0/production/api/v2.0/companies"))[0] == 404


async def test_a_body_that_is_no_json_is_refused(books: Books) -> None:
    answer = await books.call("GET", "customers?$top=1")
    headers = {"Authorization": answer.request.headers["Authorization"]}
    url = f"{COMPANY}/customers"
    wrong = await books.http.post(url, content="{", headers=headers | {"Content-Type": "application/json"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "BadRequest")
    wrong = await books.http.post(url, content="a=b", headers=headers | {"Content-Type": "text/plain"})
    assert wrong.status_code == 415
