from tests.simulators.business_central.books import PLAIN, Books

ACTION = "Microsoft.NAV."


async def test_posting_keeps_the_id_and_changes_the_number(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    answer = await books.call("POST", f"salesInvoices({invoice['id']})/{ACTION}post")
    assert (answer.status_code, answer.content) == (204, b"")
    posted = await books.read(invoice)
    assert posted["id"] == invoice["id"]
    assert posted["number"].startswith("PS-INV")
    assert (posted["status"], posted["remainingAmount"]) == ("Open", 125)


async def test_posting_recomputes_vat_with_the_remainder_carried(books: Books) -> None:
    invoice = await books.invoice(PLAIN | {"unitPrice": 10.02}, PLAIN | {"unitPrice": -5.01})
    assert [line["netTaxAmount"] for line in invoice["salesInvoiceLines"]] == [2.51, -1.26]
    posted = await books.post(invoice)
    assert posted["totalTaxAmount"] == 1.25
    assert [line["netTaxAmount"] for line in posted["salesInvoiceLines"]] == [2.5, -1.25]


async def test_posting_mends_what_a_deleted_line_left_behind(books: Books) -> None:
    invoice = await books.invoice(*[PLAIN | {"unitPrice": 0.33}] * 3)
    await books.ok("DELETE", f"salesInvoiceLines({invoice['salesInvoiceLines'][1]['id']})")
    assert (await books.read(invoice))["totalTaxAmount"] == 0.16
    assert (await books.post(invoice))["totalTaxAmount"] == 0.17


async def test_an_invoice_is_posted_once_and_with_lines(books: Books) -> None:
    empty = await books.invoice()
    path = f"salesInvoices({empty['id']})/{ACTION}post"
    assert (await books.refused("POST", path))[2] == "Please add at least one line item to the invoice."
    invoice = await books.invoice(PLAIN)
    await books.post(invoice)
    error = await books.refused("POST", f"salesInvoices({invoice['id']})/{ACTION}post")
    assert error[2] == "The action can be applied to a draft invoice only."


async def test_posting_checks_the_customer_again(books: Books) -> None:
    customer = await books.customer()
    invoice = await books.invoice(PLAIN, customerNumber=customer["number"])
    await books.ok("PATCH", f"customers({customer['id']})", {"blocked": "Invoice"})
    assert "blocked" in (await books.refused("POST", f"salesInvoices({invoice['id']})/{ACTION}post"))[2]


async def test_posting_outside_the_allowed_period_fails(books: Books) -> None:
    invoice = await books.invoice(PLAIN, postingDate="2026-01-15")
    await books.seed(setup={"allow_posting_from": "2026-02-01"})
    assert "allowed posting dates" in (await books.refused("POST", f"salesInvoices({invoice['id']})/{ACTION}post"))[2]


async def test_a_posted_invoice_takes_only_a_few_changes(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    await books.post(invoice)
    path = f"salesInvoices({invoice['id']})"
    gone = "The invoice has been posted and can no longer be modified."
    assert (await books.refused("PATCH", path, {"externalDocumentNumber": "X"}))[2] == gone
    assert (await books.refused("PATCH", path, {}))[2] == gone
    line = invoice["salesInvoiceLines"][0]["id"]
    assert (await books.refused("PATCH", f"salesInvoiceLines({line})", {"quantity": 2}))[2] == gone
    assert (await books.refused("DELETE", f"salesInvoiceLines({line})"))[2] == gone
    assert (await books.refused("POST", f"{path}/salesInvoiceLines", PLAIN))[2] == gone
    assert (await books.ok("PATCH", path, {"dueDate": "2027-01-01"}))["dueDate"] == "2027-01-01"


async def test_deleting_a_posted_invoice_needs_the_setup(books: Books) -> None:
    invoice = await books.invoice(PLAIN, postingDate="2026-01-15")
    await books.post(invoice)
    path = f"salesInvoices({invoice['id']})"
    assert "Allow Document Deletion Before" in (await books.refused("DELETE", path))[2]
    await books.seed(setup={"allow_deletion_before": "2026-02-01"})
    await books.ok("DELETE", path)


async def test_release_review_and_payment_show_in_the_status(books: Books) -> None:
    invoice = await books.invoice(PLAIN)

    async def after(action: str) -> str:
        return (await books.control("POST", "document", {"id": invoice["id"], "action": action}))["status"]

    assert await after("request_approval") == "In_x0020_Review"
    assert await after("release") == "Open"
    error = await books.refused("PATCH", f"salesInvoices({invoice['id']})", {"externalDocumentNumber": "X"})
    assert error[2].startswith("Status must be equal to 'Open'")
    assert await after("reopen") == "Draft"
    await books.post(invoice)
    assert await after("pay") == "Paid"
    assert (await books.read(invoice))["remainingAmount"] == 0


async def test_cancel_posts_a_credit_memo(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    path = f"salesInvoices({invoice['id']})/{ACTION}cancel"
    assert (await books.refused("POST", path))[2] == "The action can be applied to a posted invoice only."
    posted = await books.post(invoice)
    await books.ok("POST", path)
    after = await books.read(invoice)
    assert (after["status"], after["remainingAmount"]) == ("Canceled", 0)
    memo = (await books.rows(f"salesCreditMemos?$filter=invoiceNumber eq '{posted['number']}'"))[0]
    assert memo["totalAmountIncludingTax"] == 125
    assert "already been canceled" in (await books.refused("POST", path))[2]


async def test_a_corrective_credit_memo_must_be_searched(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    posted = await books.post(invoice)
    answer = await books.call("POST", f"salesInvoices({invoice['id']})/{ACTION}makeCorrectiveCreditMemo")
    assert (answer.status_code, answer.content) == (204, b"")
    memos = await books.rows(
        f"salesCreditMemos?$filter=invoiceNumber eq '{posted['number']}'&$expand=salesCreditMemoLines"
    )
    assert [memo["status"] for memo in memos] == ["Draft"]
    assert memos[0]["salesCreditMemoLines"][0]["netAmount"] == 100


async def test_sending_needs_an_address(books: Books) -> None:
    customer = await books.customer()
    invoice = await books.invoice(PLAIN, customerNumber=customer["number"])
    assert (
        "send-to email is empty"
        in (await books.refused("POST", f"salesInvoices({invoice['id']})/{ACTION}postAndSend"))[2]
    )
    # The mail comes after the commit, so the invoice is posted all the same.
    assert (await books.read(invoice))["status"] == "Open"


async def test_unknown_actions_do_not_exist(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    assert (await books.refused("POST", f"salesInvoices({invoice['id']})/{ACTION}explode"))[0] == 404
