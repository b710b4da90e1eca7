from tests.simulators.business_central.books import Books

ZERO = "00000000-0000-0000-0000-000000000000"


async def test_local_currency_is_written_blank_and_read_as_its_code(books: Books) -> None:
    for sent in ({"currencyCode": ""}, {"currencyCode": "EUR"}, {"currencyCode": "eur"}, {"currencyId": ZERO}, {}):
        customer = await books.customer(**sent)
        assert (customer["currencyCode"], customer["currencyId"]) == ("EUR", ZERO)


async def test_a_foreign_currency_is_found_by_code_or_id_and_both_must_agree(books: Books) -> None:
    usd = (await books.rows("currencies?$filter=code eq 'USD'"))[0]
    sek = (await books.rows("currencies?$filter=code eq 'SEK'"))[0]
    customer = await books.customer(currencyCode="USD")
    assert customer["currencyId"] == usd["id"]
    body = {"displayName": "X", "currencyId": sek["id"], "currencyCode": "USD"}
    assert "do not match" in (await books.refused("POST", "customers", body))[2]
    error = await books.refused("POST", "customers", {"displayName": "X", "currencyCode": "XXX"})
    assert error == (400, "Application_DialogException", 'The "currencyCode" does not match to a Currency.')


async def test_currency_code_is_cut_to_ten_characters_before_it_is_looked_up(books: Books) -> None:
    error = await books.refused("POST", "customers", {"displayName": "X", "currencyCode": "USD-TOO-LONG-TO-BE-ANY"})
    assert error[1] == "Application_DialogException"


async def test_read_only_and_unknown_properties_are_refused(books: Books) -> None:
    error = await books.refused("POST", "customers", {"displayName": "X", "balanceDue": 1})
    assert error == (400, "BadRequest", "Control 'balanceDue' is read-only.")
    error = await books.refused("POST", "customers", {"displayName": "X", "nickname": "Y"})
    assert error[2] == "Could not find a property named 'nickname' on type 'Microsoft.NAV.customer'."


async def test_text_that_is_too_long_is_never_cut(books: Books) -> None:
    error = await books.refused("POST", "customers", {"displayName": "x" * 101})
    assert error[1] == "Application_StringExceededLength"
    assert error[2].startswith("The length of the string is 101, but it must be less than or equal to 100 characters.")
    error = await books.refused("POST", "customers", {"displayName": "X", "taxRegistrationNumber": "1" * 21})
    assert error[1] == "Application_StringExceededLength"


async def test_code_fields_are_stored_upper_case_and_trimmed(books: Books) -> None:
    customer = await books.customer(country=" fr ", postalCode="ab1 2cd")
    assert (customer["country"], customer["postalCode"]) == ("FR", "AB1 2CD")


async def test_display_name_is_required(books: Books) -> None:
    assert (await books.refused("POST", "customers", {"country": "DE"}))[1] == "BadRequest_RequiredParamNotProvided"


async def test_a_country_must_be_known(books: Books) -> None:
    error = await books.refused("POST", "customers", {"displayName": "X", "country": "QQ"})
    assert error[:2] == (400, "Internal_InvalidTableRelation")
    assert "contains a value (QQ) that cannot be found in the related table (Country/Region)" in error[2]


async def test_enum_members_travel_encoded(books: Books) -> None:
    customer = await books.customer()
    assert customer["blocked"] == "_x0020_"
    assert (await books.refused("POST", "customers", {"displayName": "X", "blocked": " "}))[1] == "Unknown"


async def test_manual_numbers_need_a_series_that_allows_them(books: Books) -> None:
    error = await books.refused("POST", "customers", {"displayName": "X", "number": "C1"})
    assert error[2].startswith("You may not enter numbers manually.")
    await books.seed(series={"CUST": {"prefix": "C", "last": 500, "manual": True}})
    assert (await books.customer(number="my-1"))["number"] == "MY-1"
    error = await books.refused("POST", "customers", {"displayName": "X", "number": "MY-1"})
    assert error[1] == "Internal_EntityWithSameKeyExists"
    assert "No.='MY-1'" in error[2]


async def test_a_new_number_renames_the_customer_on_its_documents(books: Books) -> None:
    customer = await books.customer()
    invoice = await books.ok("POST", "salesInvoices", {"customerId": customer["id"]})
    await books.ok("PATCH", f"customers({customer['id']})", {"number": "NEW-1"})
    assert (await books.read(invoice))["customerNumber"] == "NEW-1"


async def test_the_template_of_the_country_gives_the_vat_group_unless_the_request_does(books: Books) -> None:
    areas = {row["code"]: row["id"] for row in await books.rows("taxAreas")}
    assert (await books.customer(country="DE"))["taxAreaId"] == areas["DOMESTIC"]
    assert (await books.customer(country="FR"))["taxAreaId"] == areas["EU"]
    assert (await books.customer(country="US"))["taxAreaId"] == areas["EXPORT"]
    chosen = await books.customer(country="DE", taxAreaId=areas["EXPORT"])
    assert chosen["taxAreaId"] == areas["EXPORT"]


async def test_without_a_template_posting_groups_are_missing_and_documents_fail(books: Books) -> None:
    await books.seed(templates=[])
    customer = await books.customer()
    error = await books.refused("POST", "salesInvoices", {"customerId": customer["id"]})
    assert error[1] == "Application_FieldValidationException"
    assert error[2].startswith("Gen. Bus. Posting Group must have a value in Customer")


async def test_a_new_country_clears_the_place_unless_it_follows_in_the_same_body(books: Books) -> None:
    customer = await books.customer(city="Berlin", postalCode="10115")
    moved = await books.ok("PATCH", f"customers({customer['id']})", {"country": "FR", "city": "Lyon"})
    assert (moved["city"], moved["postalCode"]) == ("Lyon", "")


async def test_a_customer_with_open_documents_cannot_be_deleted(books: Books) -> None:
    customer = await books.customer()
    invoice = await books.ok("POST", "salesInvoices", {"customerId": customer["id"]})
    assert "outstanding" in (await books.refused("DELETE", f"customers({customer['id']})"))[2]
    await books.ok("DELETE", f"salesInvoices({invoice['id']})")
    await books.ok("DELETE", f"customers({customer['id']})")
    assert (await books.refused("GET", f"customers({customer['id']})"))[0] == 404


async def test_changes_need_a_current_etag_or_a_star(books: Books) -> None:
    customer = await books.customer()
    path = f"customers({customer['id']})"
    answer = await books.call("PATCH", path, {"city": "Bonn"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest_InvalidToken")
    changed = await books.ok("PATCH", path, {"city": "Bonn"}, If_Match=customer["@odata.etag"])
    assert changed["@odata.etag"] != customer["@odata.etag"]
    stale = await books.refused("PATCH", path, {"city": "Köln"}, If_Match=customer["@odata.etag"])
    assert stale == (409, "Request_EntityChanged", "Another user has already changed the record.")
    assert (await books.refused("DELETE", path, If_Match=customer["@odata.etag"]))[0] == 409


async def test_the_same_body_twice_makes_two_customers(books: Books) -> None:
    first, second = await books.customer(email="a@example.com"), await books.customer(email="a@example.com")
    assert first["id"] != second["id"]
    assert len(await books.rows("customers?$filter=email eq 'a@example.com'")) == 2


async def test_an_id_that_leads_nowhere_is_refused(books: Books) -> None:
    error = await books.refused("POST", "customers", {"displayName": "X", "paymentTermsId": "1" * 8 + ZERO[8:]})
    assert error[2] == 'The "paymentTermsId" does not match to a Payment Terms.'
    error = await books.refused("POST", "customers", {"displayName": "X", "paymentTermsId": "not-a-guid"})
    assert error[1] == "Application_InvalidGUID"
