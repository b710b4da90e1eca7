"""Every status, code and transport error has one meaning, and a write is never retried on a guess."""

import ssl
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.business_central.errors import Call, RawAnswer, classify_failure, parse_retry_after
from connectors.business_central.refusals import LONGEST_SENTENCE, REST, SENTENCES, STATED, UNKNOWN_IN
from schemas.errors import Blocked, HubError, InDoubt, Refused, RetryLater, RetrySoon
from tests.unit.business_central.fakes import CORRELATION, build_error

READ = Call("GET", "invoice")
BY_ID = Call("GET", "invoice", by_id=True)
WRITE = Call("POST", "invoice")
DELETE = Call("DELETE", "invoice", by_id=True)
COMPANY = Call("GET", "company", by_id=True)


def answer(status: int, code: str = "", message: str = "", headers: dict[str, str] | None = None) -> RawAnswer:
    response = build_error(status, code, message, headers)
    return RawAnswer(status, dict(response.headers), response.content)


def wrap(cause: Exception) -> Exception:
    error = httpx.ConnectError("wrapped")
    error.__cause__ = cause
    return error


@dataclass(frozen=True)
class Row:
    call: Call
    failure: RawAnswer | Exception
    kind: type[HubError]
    code: str


ROWS = [
    # credentials, permissions, company, tenant
    Row(READ, answer(401), Blocked, "bc.credentials.refused"),
    Row(WRITE, answer(401, "Authentication_InvalidCredentials"), Blocked, "bc.credentials.refused"),
    Row(READ, answer(400, "Authentication_InvalidCredentials"), Blocked, "bc.credentials.refused"),
    Row(WRITE, answer(403), Blocked, "bc.credentials.forbidden"),
    Row(READ, answer(401, "Authorization_RequestDenied"), Blocked, "bc.credentials.forbidden"),
    Row(READ, answer(404, "Internal_CompanyNotFound"), Blocked, "bc.company.not_found"),
    Row(WRITE, answer(400, "Internal_CompanyNotFound"), Blocked, "bc.company.not_found"),
    Row(READ, answer(404), Blocked, "bc.company.not_found"),
    Row(WRITE, answer(404, "NoEnvironment"), Blocked, "bc.company.not_found"),
    Row(WRITE, answer(404, "BadRequest_ResourceNotFound"), Blocked, "bc.company.not_found"),
    Row(COMPANY, answer(404, "Internal_RecordNotFound"), Blocked, "bc.company.not_found"),
    Row(READ, answer(503, "Internal_TenantUnavailable"), Blocked, "bc.tenant.unavailable"),
    Row(
        READ,
        answer(503, "Internal_TenantUnavailable", headers={"Retry-After": "9"}),
        RetryLater,
        "bc.server.unavailable",
    ),
    Row(WRITE, answer(400, "Internal_TenantUnavailable"), Blocked, "bc.tenant.unavailable"),
    Row(WRITE, answer(503, "Internal_TenantUnavailable"), InDoubt, "bc.invoice.in_doubt"),
    # records that are not there
    Row(BY_ID, answer(404), Refused, "bc.invoice.not_found"),
    Row(BY_ID, answer(404, "Internal_RecordNotFound"), Refused, "bc.invoice.not_found"),
    Row(DELETE, answer(404, "BadRequest_NotFound"), Refused, "bc.invoice.not_found"),
    # load and locks
    Row(READ, answer(429), RetryLater, "bc.limit.reached"),
    Row(WRITE, answer(429), RetryLater, "bc.limit.reached"),
    Row(READ, answer(408), RetryLater, "bc.server.unavailable"),
    Row(WRITE, answer(408), InDoubt, "bc.invoice.in_doubt"),
    *(Row(READ, answer(status), RetryLater, "bc.server.unavailable") for status in (500, 501, 502, 503, 504, 599)),
    *(Row(WRITE, answer(status), InDoubt, "bc.invoice.in_doubt") for status in (500, 501, 502, 503, 504, 599)),
    *(Row(DELETE, answer(status), InDoubt, "bc.invoice.in_doubt") for status in (500, 502, 503, 504)),
    Row(WRITE, answer(500, "Application_DialogException", "x"), InDoubt, "bc.invoice.in_doubt"),
    Row(DELETE, answer(409, "Request_EntityChanged"), RetrySoon, "bc.record.changed"),
    Row(DELETE, answer(400, "Request_EntityChanged"), RetrySoon, "bc.record.changed"),
    Row(DELETE, answer(412), RetrySoon, "bc.record.changed"),
    Row(WRITE, answer(409), RetrySoon, "bc.record.changed"),
    Row(
        WRITE,
        answer(400, "Application_DialogException", "The record in table Customer was locked by another user."),
        RetrySoon,
        "bc.record.locked",
    ),
    Row(WRITE, answer(409, "Internal_ServerError", "deadlock victim"), RetrySoon, "bc.record.locked"),
    Row(
        WRITE,
        answer(
            400,
            "Application_DialogException",
            "We can't save your changes right now, because a record in table 'No. Series Line' is being updated in a "
            "transaction done by another session.",
        ),
        RetrySoon,
        "bc.record.locked",
    ),
    Row(
        WRITE,
        answer(400, "Unknown", "An attempt was made to change an old version of a Customer record."),
        RetrySoon,
        "bc.record.changed",
    ),
    # the address
    Row(READ, answer(302), Blocked, "bc.connection.address"),
    Row(WRITE, answer(307), Blocked, "bc.connection.address"),
    # a success that can't be read
    Row(READ, RawAnswer(200, {}, b"<html>"), RetrySoon, "bc.answer.unreadable"),
    Row(WRITE, RawAnswer(201, {}, b""), InDoubt, "bc.invoice.in_doubt"),
    # before anything was sent
    *(
        Row(call, failure, RetrySoon, "bc.connection.failed")
        for call in (READ, WRITE, DELETE)
        for failure in (
            httpx.ConnectError("x"),
            httpx.ConnectTimeout("x"),
            httpx.PoolTimeout("x"),
            httpx.ProxyError("x"),
        )
    ),
    Row(WRITE, wrap(ssl.SSLCertVerificationError("self-signed")), Blocked, "bc.connection.untrusted"),
    Row(WRITE, httpx.UnsupportedProtocol("x"), Blocked, "bc.connection.address"),
    Row(WRITE, httpx.InvalidURL("x"), Blocked, "bc.connection.address"),
    # after something may have been sent
    *(
        Row(call, failure, InDoubt, "bc.invoice.in_doubt")
        for call in (WRITE, DELETE)
        for failure in (
            TimeoutError(),
            httpx.ReadTimeout("x"),
            httpx.WriteTimeout("x"),
            httpx.ReadError("x"),
            httpx.WriteError("x"),
            httpx.CloseError("x"),
            httpx.RemoteProtocolError("x"),
            httpx.LocalProtocolError("x"),
            httpx.DecodingError("x"),
            ConnectionResetError(),
            ValueError("nobody thought of it"),
        )
    ),
    *(Row(READ, failure, RetryLater, "bc.answer.timeout") for failure in (TimeoutError(), httpx.ReadTimeout("x"))),
    *(
        Row(READ, failure, RetrySoon, "bc.connection.broken")
        for failure in (httpx.ReadError("x"), httpx.RemoteProtocolError("x"), ConnectionResetError())
    ),
    Row(READ, ValueError("x"), RetrySoon, "bc.connection.unknown"),
    # other refusals by status
    *(Row(WRITE, answer(status), Refused, "bc.request.refused") for status in (400, 405, 413, 415, 422)),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.call.method}-{row.failure!r:.60}")
def test_each_failure_has_its_kind_and_code(row: Row) -> None:
    error = classify_failure(row.call, row.failure)
    assert (type(error), error.code) == (row.kind, row.code)


_VAT = "The entered VAT Registration number {}is not in agreement with the format specified for Country/Region Code {}."
_ACCEPTED = "\\The following formats are acceptable: {}"


def relation(field: str, table: str, value: str) -> str:
    return (
        f"The field {field} of table Customer contains a value ({value}) "
        f"that cannot be found in the related table ({table})."
    )


# From the labels of Microsoft's base application (microsoft/BCApps), filled in as it fills them in.
DIALOGS = [
    (
        "bc.tax_number.format",
        _VAT.format("for Customer C1 ", "NO") + _ACCEPTED.format("NO ### ### ### MVA, ### ### ###"),
    ),
    ("bc.tax_number.format", _VAT.format("", "") + _ACCEPTED.format("DK########")),
    ("bc.tax_number.format", "The entered VAT registration number is incorrect (checksum error)."),
    ("bc.tax_number.format", "The VAT registration number is not valid. Try entering the number again."),
    ("bc.tax_number.format", "You must specify the country that issued the VAT registration number. Choose it."),
    ("bc.tax_number.format", "XAXX is not a valid RFC No."),
    (
        "bc.tax_number.taken",
        "This VAT registration number has already been entered for the following customers:\\ 10000",
    ),
    ("bc.phone.format", "Phone No. must not contain letters in Customer No.='C1'."),
    ("bc.phone.format", "You cannot enter letters in this field."),
    ("bc.email.format", 'The email address "ap@" is not valid.'),
    ("bc.post_code.refused", relation("Post Code", "Post Code", "0000")),
    ("bc.post_code.refused", "Post Code 2000 FREDERIKSBERG already exists."),
    ("bc.salesperson.blocked", "You cannot create this document because Salesperson PS is blocked due to privacy."),
    ("bc.salesperson.blocked", "Privacy Blocked must not be true for Salesperson PS."),
    ("bc.resource.blocked", "You cannot create this line because resource LIFT is blocked due to privacy."),
    ("bc.resource.unknown", "The Resource does not exist. Identification fields and values: No.='LIFT'"),
    (
        "bc.customer.privacy_blocked",
        "You cannot create this type of document when Customer 10000 is blocked for privacy.",
    ),
    ("bc.customer.privacy_blocked", "Privacy Blocked must not be true for customer 10000."),
    ("bc.customer.blocked", "You cannot post this type of document when Customer 10000 is blocked with type Invoice"),
    ("bc.customer.unknown", "You must select an existing customer."),
    ("bc.customer.unknown", "The Customer does not exist. Identification fields and values: No.='10000'"),
    ("bc.customer.credit_limit", "The customer's credit limit has been exceeded."),
    ("bc.item.unknown", "You must select an existing item."),
    ("bc.item.blocked", "Item Variant RED for Item BIKE is blocked."),
    (
        "bc.posting_setup.account_missing",
        "Sales VAT Account must have a value in VAT Posting Setup: VAT Bus. Posting Group=EU. It cannot be empty.",
    ),
    ("bc.posting_setup.blocked", "Blocked must be equal to 'No' in VAT Posting Setup: VAT Bus. Posting Group=EU."),
    ("bc.salesperson.unknown", relation("Salesperson Code", "Salesperson/Purchaser", "XX")),
    ("bc.posting_setup.missing", "The General Posting Setup does not exist. Identification fields: Gen. Bus.='EU'"),
    ("bc.account.not_postable", "Gen. Prod. Posting Group is not set for the Sales G/L account with no. 6110."),
    ("bc.dimension.missing", "Select a Dimension Value Code for the Dimension Code AREA for Customer 10000."),
    ("bc.dimension.missing", "The AREA dimension is the default dimension, and it must have a value. You can set it."),
    ("bc.dimension.missing", "The Dimension Code AREA with Dimension Value Code 30 is required for Customer 10000."),
    (
        "bc.dimension.wrong",
        "The Dimension Value Code must be 30 for Dimension Code AREA for Customer 10000. Currently it's 70.",
    ),
    ("bc.dimension.wrong", "Dimension Code AREA must be blank for Customer 10000."),
    ("bc.dimension.wrong", "Dimension value AREA, 30 is not allowed for Customer, 10000."),
    (
        "bc.dimension.wrong",
        "A dimension used in Sales Invoice 1, 2, 3 has caused an error. Select a value.",
    ),
    ("bc.dimension.blocked", "Dimension AREA is blocked."),
    ("bc.dimension.blocked", "Dimension Value AREA - 30 is blocked."),
    ("bc.dimension.blocked", "Dimensions AREA and SALES can't be used concurrently."),
    ("bc.dimension.blocked", "The combination of dimensions used in Sales Invoice 1 is blocked. Dimensions A and B"),
    ("bc.dimension.unknown", "Dimension Value AREA - 99 is missing."),
    ("bc.dimension.unknown", "99 is not an available Dimension Value for that dimension."),
    ("bc.dimension.unknown", 'The "code" does not match to a Dimension.'),
    ("bc.dimension.unknown", 'The "valueCode" does not match to a Dimension Value.'),
    (
        "bc.posting_date.not_allowed",
        "Posting Date is not within your range of allowed posting dates in Sales Header Document Type='Invoice'.",
    ),
    ("bc.posting_date.not_allowed", "The Posting Date is not within your range of allowed posting dates."),
    ("bc.posting_date.not_allowed", "The setup of allowed posting dates is incorrect. The date must not be after it."),
    ("bc.accounting_period.missing", "Posting date 01/01/27 is not within an open accounting period."),
    ("bc.number_series.exhausted", "You cannot assign numbers greater than S-INV9 from the number series S-INV."),
    ("bc.number_series.date", "You cannot assign new numbers from the number series S-INV on a date before 01/01/27."),
    ("bc.number_series.date", "You cannot assign new numbers from the number series S-INV on 12/31/26."),
    ("bc.number_series.missing", "You cannot assign new numbers from the number series S-INV."),
    ("bc.number_series.missing", "It is not possible to assign numbers automatically. Please activate Default Nos."),
    ("bc.number_series.missing", "Invoice Nos. must have a value in Sales & Receivables Setup: Primary Key=."),
    ("bc.number_series.missing", "The No. Series does not exist. Identification fields and values: Code='X'"),
    ("bc.document_number.mandatory", "External Document No. must have a value in Sales Header: No.=S-INV1."),
    ("bc.document_number.taken", "Sales Invoice 2026-17 already exists for this customer."),
    ("bc.unit_of_measure.missing", "Base Unit of Measure must have a value in Item: No.=BIKE. It cannot be zero."),
    ("bc.unit_of_measure.unknown", "The Unit of Measure with Code BOX does not exist."),
    ("bc.price.missing", "Unit Price must have a value in Sales Line: Line No.=10000. It cannot be zero or empty."),
    ("bc.currency.unknown", "The currency values do not match to a specific Currency."),
    ("bc.contact.mismatch", "Contact CT1 Ann is not related to customer 10000."),
    ("bc.contact.mismatch", "Contact CT1 Ann is related to a different company than customer 10000."),
    (
        "bc.responsibility_center.refused",
        "Your identification is set up to process from Responsibility Center EAST only.",
    ),
    ("bc.invoice.released", "You must cancel the approval process if you wish to change the Currency Code."),
    ("bc.invoice.released", "The document's status must be Open. To change the status, use the Reopen action."),
    ("bc.invoice.released", "Job Queue Status must be equal to ' ' in Sales Header. Current value is 'Scheduled'."),
    ("bc.licence.missing", "Your license does not allow you to insert into the table."),
    ("bc.licence.missing", "Your trial period has expired."),
    (
        "bc.permission.missing",
        "Sorry, the current permissions prevented the action. (TableData 36 Sales Header Insert: Base Application)",
    ),
    ("bc.permission.missing", "You do not have the following permissions on TableData Contact: Insert."),
    ("bc.setup.missing", "The Sales & Receivables Setup does not exist. Identification fields: Primary Key=''"),
    ("bc.country.unknown", relation("Country/Region Code", "Country/Region", "GR")),
    ("bc.payment_terms.unknown", 'The "paymentTermsId" does not match to a Payment Terms.'),
    ("bc.payment_method.unknown", 'The "paymentMethodId" does not match to a Payment Method.'),
    ("bc.shipment_method.unknown", 'The "shipmentMethodId" does not match to a Shipment Method.'),
    ("bc.location.unknown", relation("Location Code", "Location", "EAST")),
    ("bc.text.too_long", "Registration Number must not have the length more than 20 symbols in Customer No.='C1'."),
    ("bc.value.unknown", 'The "disputeStatusId" does not match to a Dispute Status.'),
    ("bc.value.unknown", "The dispute status values do not match to a specific Dispute Status."),
    ("bc.field.missing", 'The blank "displayName" is not allowed.'),
    ("bc.field.missing", "The Code field must not be blank."),
    ("bc.record.exists", "The dimension set line already exists. Check existing dimension set lines and the default."),
    ("bc.value.malformed", "The value 'x' is not a member of 'Blocked'. Members: ,Ship,Invoice,All"),
    ("bc.value.malformed", "The value in the Line Discount % field must be between 0 and 100."),
    ("bc.invoice.posted", "You cannot delete posted sales documents that are posted after 01/01/26."),
]
_FIELD_TESTS = [
    ("bc.posting_setup.account_missing", "Sales Account must have a value in General Posting Setup: Gen. Bus.=EU"),
    (
        "bc.posting_setup.account_missing",
        "Invoice Rounding Account must have a value in Customer Posting Group: Code=EU",
    ),
    ("bc.posting_setup.blocked", "Blocked must be equal to 'No'  in VAT Posting Setup: VAT Bus.=EU. It is 'Yes'."),
    ("bc.account.not_postable", "Account Type must be equal to 'Posting'  in G/L Account: No.=6000. It is 'Heading'."),
    ("bc.resource.blocked", "Blocked must be equal to 'No'  in Resource: No.=LIFT. Current value is 'Yes'."),
    ("bc.field.missing", "Reason Code must have a value in Sales Header: No.=S-INV1. It cannot be zero or empty."),
]
MICROSOFT = [
    *(("Application_DialogException", sentence, code) for code, sentence in DIALOGS),
    *(("Application_FieldValidationException", sentence, code) for code, sentence in _FIELD_TESTS),
]

FACTS: list[tuple[str, dict[str, str]]] = [
    (
        _VAT.format("for Customer C1 ", "NO") + _ACCEPTED.format("NO ### ### ### MVA, ### ### ###"),
        {"field": "VAT Registration No.", "country": "NO", "formats": "NO ### ### ### MVA, ### ### ###"},
    ),
    (
        relation("Salesperson Code", "Salesperson/Purchaser", "ZZ"),
        {"field": "Salesperson Code", "table": "Customer", "value": "ZZ"},
    ),
    ("Phone No. must not contain letters in Customer No.='C1'.", {"field": "Phone No."}),
    ("Gen. Bus. Posting Group must have a value in Customer: No.=C1.", {"field": "Gen. Bus. Posting Group"}),
    ('The "paymentTermsId" does not match to a Payment Terms.', {"field": "paymentTermsId"}),
    ("Select a Dimension Value Code for the Dimension Code AREA for Customer 1.", {"value": "AREA"}),
    ("'x' is not a valid GUID for 'paymentTermsId'.", {"field": "paymentTermsId"}),
    ("Our partner's rule says no.", {}),
]


# What Business Central really says, and what it means. Each row of the table is hit at least once.
SAID = [
    (
        "Application_DialogException",
        "You cannot create this type of document when Customer C00120 is blocked with type All.",
        "bc.customer.blocked",
    ),
    (
        "Application_FieldValidationException",
        "Gen. Bus. Posting Group must have a value in Customer: No.=C00120. It cannot be zero or empty.",
        "bc.customer.posting_group",
    ),
    (
        "Application_FieldValidationException",
        "Gen. Prod. Posting Group must have a value in Item: No.=1896-S. It cannot be zero or empty.",
        "bc.posting_group.missing",
    ),
    (
        "Application_DialogException",
        "The VAT Posting Setup does not exist. Identification fields and values: VAT Bus. Posting Group='DOMESTIC'",
        "bc.posting_setup.missing",
    ),
    ("Application_DialogException", 'A "customerNumber" or a "customerId" must be provided.', "bc.customer.missing"),
    ("Application_DialogException", 'The "customerId" does not match to a Customer.', "bc.customer.unknown"),
    (
        "Application_DialogException",
        "There is no Currency Exchange Rate within the filter. Filters: Currency Code: EUR",
        "bc.currency.rate_missing",
    ),
    ("Application_DialogException", 'The "currencyCode" does not match to a Currency.', "bc.currency.unknown"),
    (
        "Application_DialogException",
        (
            "You may not enter numbers manually. If you want to enter numbers manually, please activate Manual Nos. in "
            "No. Series CUST."
        ),
        "bc.customer.number_series",
    ),
    (
        "Internal_EntityWithSameKeyExists",
        "The Customer already exists. Identification fields and values: No.='C00120'",
        "bc.record.exists",
    ),
    (
        "Application_FieldValidationException",
        "Direct Posting must be equal to 'Yes'  in G/L Account: No.=1000. Current value is 'No'.",
        "bc.account.not_postable",
    ),
    (
        "Application_FieldValidationException",
        "Blocked must be equal to 'No'  in G/L Account: No.=6110. Current value is 'Yes'.",
        "bc.account.blocked",
    ),
    (
        "Application_FieldValidationException",
        "Blocked must be equal to 'No'  in Item: No.=SVC-100. Current value is 'Yes'.",
        "bc.item.blocked",
    ),
    (
        "Internal_RecordNotFound",
        "The G/L Account does not exist. Identification fields and values: No.='9999'",
        "bc.account.unknown",
    ),
    (
        "Internal_InvalidTableRelation",
        (
            "The field No. of table Sales Line contains a value (9999) that cannot be found in the related table "
            "(G/L Account)."
        ),
        "bc.account.unknown",
    ),
    ("Application_DialogException", "Account does not exist.", "bc.account.unknown"),
    ("Application_DialogException", "The sell-to customer cannot be found.", "bc.customer.unknown"),
    (
        "Application_DialogException",
        "You cannot sell Item SVC-100 because the Sales Blocked check box is selected.",
        "bc.item.blocked",
    ),
    (
        "Application_FieldValidationException",
        "Status must be equal to 'Open'  in Sales Header: No.=S-INV1. Current value is 'Released'.",
        "bc.invoice.released",
    ),
    (
        "Internal_InvalidTableRelation",
        (
            "The field Unit of Measure Code of table Sales Line contains a value (X) that cannot be found in the "
            "related table (Item Unit of Measure)."
        ),
        "bc.unit_of_measure.unknown",
    ),
    (
        "Internal_RecordNotFound",
        "The Item does not exist. Identification fields and values: No.='X'",
        "bc.item.unknown",
    ),
    (
        "Internal_InvalidTableRelation",
        (
            "The field VAT Prod. Posting Group of table Sales Line contains a value (V9) that cannot be found in the "
            "related table (VAT Product Posting Group)."
        ),
        "bc.tax_code.unknown",
    ),
    (
        "Application_DialogException",
        "The invoice has been posted and can no longer be modified.",
        "bc.invoice.posted",
    ),
    (
        "Application_StringExceededLength",
        "The length of the string is 41, but it must be less than or equal to 35 characters. Value: x",
        "bc.text.too_long",
    ),
    (
        "Internal_InvalidTableRelation",
        (
            "The field Salesperson Code of table Customer contains a value (ZZ) that cannot be found in the related "
            "table (Salesperson/Purchaser)."
        ),
        "bc.salesperson.unknown",
    ),
    ("Application_FieldValidationException", "Some Field must have a value.", "bc.field.missing"),
    ("BadRequest_RequiredParamNotProvided", "displayName must not be blank.", "bc.field.missing"),
    ("Application_CallbackNotAllowed", "Confirm is not allowed.", "bc.dialog.needed"),
    ("Application_EvaluateException", "The value can't be evaluated.", "bc.value.malformed"),
    ("Application_InvalidGUID", "x", "bc.value.malformed"),
    ("Application_FilterErrorException", "x", "bc.filter.refused"),
    ("BadRequest", "Control 'number' is read-only.", "bc.request.field_not_writable"),
    (
        "BadRequest",
        "Could not find a property named 'x' on type 'Microsoft.NAV.salesInvoice'.",
        "bc.request.field_not_writable",
    ),
    ("BadRequest_InvalidOperation", "x", "bc.request.field_not_writable"),
    ("BadRequest_InvalidToken", "Could not validate the client concurrency token.", "bc.request.version_missing"),
    ("BadRequest_MethodNotAllowed", "'POST' requests are not allowed.", "bc.request.not_offered"),
    ("BadRequest_MethodNotImplemented", "x", "bc.request.not_offered"),
    ("Internal_DataNotFoundFilter", "x", "bc.value.unknown"),
    ("Application_DialogException", "Our partner's rule says no.", "bc.rule.violated"),
    ("Unknown", "'Foo' is not an option. The existing options are: ,Ship,Invoice,All", "bc.value.malformed"),
    ("Unknown", "No.", "bc.request.refused"),
    *MICROSOFT,
]


@pytest.mark.parametrize(("provider_code", "sentence", "code"), SAID, ids=lambda text: text[:40])
def test_each_refusal_has_plain_words_and_a_fix(provider_code: str, sentence: str, code: str) -> None:
    error = classify_failure(WRITE, answer(400, provider_code, sentence))
    assert isinstance(error, Refused)
    assert error.code == code
    assert error.fix
    assert " ".join(sentence.split()) in error.message
    assert CORRELATION not in error.message


def test_the_sentences_above_hit_every_code_of_the_tables() -> None:
    rows = {row.code for row in (*STATED, *SENTENCES, *REST)} | set(UNKNOWN_IN.values())
    assert {code for _, _, code in SAID} == rows


@pytest.mark.parametrize(("sentence", "facts"), FACTS, ids=lambda one: str(one)[:40])
def test_what_business_central_names_is_in_the_context(sentence: str, facts: dict[str, str]) -> None:
    error = classify_failure(WRITE, answer(400, "Application_DialogException", sentence))
    assert {name: error.context.get(name) for name in facts} == facts


def test_what_a_text_says_that_is_too_long_does_not_matter() -> None:
    quoted = "The length of the string is 120, but it must be less than or equal to 100 characters. Value: Your license"
    error = classify_failure(WRITE, answer(400, "Application_StringExceededLength", quoted + ", deadlock, is blocked"))
    assert (type(error), error.code) == (Refused, "bc.text.too_long")


@pytest.mark.parametrize(
    "unit", ["posting group must have a value ", "customer ", " ", "dimension ", "CorrelationId: ", "item is "]
)
def test_a_text_of_any_length_is_looked_at_to_a_bound(unit: str) -> None:
    """100 KB of what patterns begin with took 25 s."""
    sentence = unit * (1_000_000 // len(unit))
    started = time.process_time()
    error = classify_failure(WRITE, answer(400, "Application_DialogException", sentence))
    assert time.process_time() - started < 1
    assert len(error.message) < LONGEST_SENTENCE


def test_the_correlation_id_is_found_behind_a_long_sentence() -> None:
    error = classify_failure(WRITE, answer(400, "Application_DialogException", "x" * 100_000))
    assert error.context["correlation_id"] == CORRELATION


def test_the_ids_of_the_request_are_kept_for_the_log() -> None:
    headers = {"request-id": "req-1", "x-ms-correlation-id": "other"}
    error = classify_failure(WRITE, answer(400, "Application_DialogException", "No.", headers))
    assert error.context == {
        "method": "POST",
        "subject": "invoice",
        "status": "400",
        "provider_code": "Application_DialogException",
        "request_id": "req-1",
        "correlation_id": CORRELATION,
    }


def test_an_error_page_of_a_gateway_does_not_reach_the_reader() -> None:
    error = classify_failure(WRITE, RawAnswer(400, {}, b"<html>Traceback at 0x7f secret</html>"))
    assert "Traceback" not in error.message
    assert error.code == "bc.request.refused"


def test_an_error_that_is_one_of_ours_stays_as_it_is() -> None:
    ours = Blocked("x", code="bc.sign_in.expired")
    assert classify_failure(READ, ours) is ours


NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("7", timedelta(seconds=7)),
        ("Mon, 02 Mar 2026 09:00:30 GMT", timedelta(seconds=30)),
        ("Mon, 02 Mar 2026 09:00:30 -0000", timedelta(seconds=30)),
        ("Mon, 02 Mar 2026 08:00:00 GMT", timedelta(0)),
        ("99999999999999999999", timedelta(hours=24)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(hours=24)),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, wait: timedelta | None) -> None:
    assert parse_retry_after({"retry-after": text}, now=NOW) == wait


def test_no_retry_after_is_none() -> None:
    assert parse_retry_after({}) is None


@pytest.mark.parametrize("call", [READ, WRITE])
def test_a_wait_that_business_central_names_is_passed_on(call: Call) -> None:
    error = classify_failure(call, answer(503, headers={"Retry-After": "120"}))
    assert isinstance(error, RetryLater)
    assert error.retry_after == timedelta(seconds=120)


METHODS: st.SearchStrategy[Literal["GET", "POST", "DELETE"]] = st.sampled_from(("GET", "POST", "DELETE"))
CALLS = st.builds(Call, METHODS, st.sampled_from(("invoice", "customer", "company")), st.booleans())
ANSWERS = st.builds(
    RawAnswer,
    st.integers(200, 599),
    st.dictionaries(st.sampled_from(("retry-after", "request-id")), st.text(max_size=20)),
    st.binary(max_size=40) | st.sampled_from((b'{"error": 1}', b'{"error": {"code": 1, "message": []}}', b"[]", b"1")),
)


@given(call=CALLS, failure=ANSWERS)
def test_any_answer_at_all_has_a_defined_kind(call: Call, failure: RawAnswer) -> None:
    error = classify_failure(call, failure)
    assert error.kind != "unexpected"
    assert error.code.startswith("bc.")
    if call.writes and (failure.status >= 500 or failure.status < 300):
        assert isinstance(error, InDoubt)


def test_no_read_is_ever_in_doubt() -> None:
    for row in ROWS:
        assert not isinstance(classify_failure(replace(row.call, method="GET"), row.failure), InDoubt)
