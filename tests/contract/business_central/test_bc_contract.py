"""What the hub relies on in Business Central, asked of the simulator by the real client over real sockets."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
from redis.asyncio import Redis

from connectors.business_central.client import BusinessCentralClient
from connectors.business_central.limiter import LimiterPolicy, RedisLimiter
from connectors.business_central.models import SalesInvoice
from connectors.business_central.sign_in import (
    ClientCredentialsTokens,
    DelegatedTokens,
    begin_authorization_code,
    begin_device_code,
    complete_authorization_code,
    complete_device_code,
)
from connectors.business_central.transport import build_http_client
from hub.materials import MaterialsGatherer
from mapping.materials import ListName
from schemas.errors import Blocked, InDoubt, Refused, RetryLater, RetrySoon
from schemas.messages import DocumentKind
from tests.builders import build_snapshot
from tests.contract.business_central.conftest import BuildClient, Simulator

pytestmark = pytest.mark.usefixtures("simulator")
NO_INVOICE = "00000000-1111-4222-8333-444444444444"


async def nothing_first() -> None:
    """The plainest before_send."""


async def pick_customer(client: BusinessCentralClient, number: str = "10000") -> str:
    customer = await client.find_customer(number)
    assert customer is not None
    return customer.id


def build_payload(customer_id: str, external: str, **changes: Any) -> dict[str, Any]:
    line = {"lineType": "Account", "lineObjectNumber": "6110", "quantity": Decimal(3), "unitPrice": Decimal("0.33")}
    return {
        "externalDocumentNumber": external,
        "invoiceDate": "2026-03-02",
        "postingDate": "2026-03-02",
        "customerId": customer_id,
        "salesInvoiceLines": [line | {"description": "Café №1"}],
    } | changes


async def create(client: BusinessCentralClient, number: str, **changes: Any) -> SalesInvoice:
    payload = build_payload(await pick_customer(client), number, **changes)
    return (await client.create_invoice(payload, before_send=nothing_first)).value


async def test_companies_accounts_items_and_terms_are_read(build: BuildClient) -> None:
    client = build()
    assert "CRONUS International Ltd." in {company.name for company in await client.fetch_companies()}
    accounts = {account.number: account for account in await client.fetch_accounts()}
    assert (accounts["6110"].direct_posting, accounts["2310"].direct_posting) == (True, False)
    assert (accounts["6100"].account_type, accounts["6190"].blocked) == ("Heading", True)
    items = {item.number: item for item in await client.fetch_items()}
    assert (items["SVC-300"].type, items["1896-S"].unit_price) == ("Non-Inventory", Decimal("649.4"))
    assert {"code": "30 DAYS"}.items() <= (await client.fetch_list("paymentTerms", ("id", "code")))[0].items()


async def test_customers_are_listed_fetched_and_changed(client: BusinessCentralClient, simulator: Simulator) -> None:
    pages = [page async for page in client.list_customers()]
    (first,) = [one for page in pages for one in page.customers if one.number == "10000"]
    (second,) = [one for page in pages for one in page.customers if one.number == "20000"]
    assert {one.number for one in await client.fetch_customers([first.id, second.id, NO_INVOICE])} == {"10000", "20000"}
    whole = await client.fetch_customer(first.id)
    assert whole is not None
    assert pages[0].as_of is not None

    simulator.control("clock", {"advance_seconds": 2})
    moved = await client.update_customer(first.id, {"country": "DE", "postalCode": "80331"}, etag=whole.etag)
    assert not isinstance(moved, str)
    assert moved.postal_code == "80331"
    assert await client.update_customer(first.id, {"postalCode": "1"}, etag=whole.etag) == "changed"
    assert await client.update_customer(NO_INVOICE, {"postalCode": "1"}, etag="*") == "gone"
    changed = [page async for page in client.list_customers(pages[0].as_of + timedelta(seconds=1))]
    assert [one.number for page in changed for one in page.customers] == ["10000"]


async def test_a_customer_is_created_and_found_by_name_and_number(client: BusinessCentralClient) -> None:
    payload = {
        "displayName": "O'Neil & Søn #1 100% (+*)",
        "email": "a+b&c#1@neil.example",
        "phoneNumber": "+49 30 1234",
        "country": "DE",
    }
    made = (await client.create_customer(payload, before_send=nothing_first)).value
    assert (made.currency_code, made.blocked) == ("EUR", "")
    rows = await client.find_rows("customers", "displayName", "O'Neil & Søn #1 100% (+*)", ("id", "displayName"))
    assert [row["id"] for row in rows] == [made.id]
    assert await client.find_customer(made.number.lower()) == made
    assert await client.fetch_customer(made.id) == made
    assert await client.find_customer("NOBODY") is None


async def test_a_draft_is_created_with_lines_and_found_again(client: BusinessCentralClient, unique: str) -> None:
    number = f"in-{unique}"
    made = await create(client, number)
    assert made.status == "Draft"
    # VAT is rounded over all lines of an identifier: 25 % of 0.99 is 0.25.
    assert (made.total_amount_excluding_tax, made.total_tax_amount) == (Decimal("0.99"), Decimal("0.25"))
    assert made.total_amount_including_tax == Decimal("1.24")
    found = await client.find_invoices(number)
    assert [invoice.id for invoice in found] == [made.id]
    assert found[0].external_document_number == number.upper()
    whole = await client.fetch_invoice(made.id, with_lines=True)
    assert whole is not None
    assert [(line.description, line.unit_price) for line in whole.lines] == [("Café №1", Decimal("0.33"))]
    assert whole.lines == made.lines


async def test_many_look_ups_take_one_request(client: BusinessCentralClient, simulator: Simulator, unique: str) -> None:
    await create(client, f"A-{unique}")
    before = sum(simulator.look("state")["requests"].values())
    found = await asyncio.gather(*(client.find_invoices(f"{letter}-{unique}") for letter in "ABCDEFGH"))
    assert [len(each) for each in found] == [1] + [0] * 7
    assert sum(simulator.look("state")["requests"].values()) - before == 1


async def test_looking_sees_what_a_replica_does_not_know_yet(
    client: BusinessCentralClient, simulator: Simulator, unique: str
) -> None:
    simulator.control("replica", {"lag_seconds": 60})
    made = await create(client, f"R-{unique}")
    assert [invoice.id for invoice in await client.find_invoices(f"R-{unique}")] == [made.id]
    assert await client.fetch_invoice(made.id) is not None


async def test_a_draft_is_deleted_only_as_it_was(client: BusinessCentralClient, unique: str) -> None:
    made = await create(client, f"D-{unique}")
    assert await client.delete_invoice(made.id, etag='W/"JzE5OzE7MDA7Jw=="') == "changed"
    assert await client.delete_invoice(made.id, etag=made.etag) == "deleted"
    assert await client.delete_invoice(made.id, etag=made.etag) == "gone"
    assert await client.fetch_invoice(made.id) is None


async def test_what_does_not_exist_is_none(client: BusinessCentralClient) -> None:
    assert await client.fetch_invoice(NO_INVOICE) is None
    assert await client.fetch_customer(NO_INVOICE) is None


@pytest.mark.parametrize("changes", [{"environment": "nowhere"}, {"company_id": NO_INVOICE}])
async def test_a_missing_company_or_environment_is_not_a_missing_invoice(
    build: BuildClient, changes: dict[str, str]
) -> None:
    lost = build(**changes)
    for ask in (
        lost.fetch_invoice(NO_INVOICE),
        lost.find_invoices("X"),
        lost.create_invoice({}, before_send=nothing_first),
    ):
        with pytest.raises(Blocked) as caught:
            await ask
        assert caught.value.code == "bc.company.not_found"


def line(**changes: Any) -> dict[str, Any]:
    whole = {"lineType": "Account", "lineObjectNumber": "6110", "quantity": 1, "unitPrice": 1} | changes
    return {"salesInvoiceLines": [whole]}


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("40000", {}, "bc.customer.blocked"),
    ("10000", {"customerId": NO_INVOICE}, "bc.customer.unknown"),
    ("10000", {"currencyCode": "XXX"}, "bc.currency.unknown"),
    ("10000", {"externalDocumentNumber": "X" * 36}, "bc.text.too_long"),
    ("10000", {"number": "1"}, "bc.request.field_not_writable"),
    ("10000", {"nonsense": "1"}, "bc.request.field_not_writable"),
    ("10000", {"salesperson": "ZZ"}, "bc.salesperson.unknown"),
    ("10000", line(lineObjectNumber="9999"), "bc.account.unknown"),
    ("10000", line(lineObjectNumber="6100"), "bc.account.not_postable"),
    ("10000", line(lineObjectNumber="2310"), "bc.account.not_postable"),
    ("10000", line(lineObjectNumber="6190"), "bc.account.blocked"),
    ("10000", line(lineType="Item", lineObjectNumber="NONE"), "bc.item.unknown"),
    ("10000", line(lineType="Item", lineObjectNumber="SVC-900"), "bc.item.blocked"),
    ("10000", line(taxCode="NONE"), "bc.tax_code.unknown"),
    ("10000", line(taxCode="SPECIAL"), "bc.posting_setup.missing"),
    ("10000", {"currencyCode": "MXN"} | line(), "bc.currency.rate_missing"),
    ("50000", {}, "bc.customer.posting_group"),
    ("10000", line(description="X" * 101), "bc.text.too_long"),
]


@pytest.mark.parametrize(("customer", "changes", "code"), REFUSALS, ids=lambda part: str(part)[:50])
async def test_each_refusal_has_its_code_and_leaves_nothing_behind(
    client: BusinessCentralClient, unique: str, customer: str, changes: dict[str, Any], code: str
) -> None:
    payload = build_payload(await pick_customer(client, customer), f"F-{unique}", **changes)
    with pytest.raises(Refused) as caught:
        await client.create_invoice(payload, before_send=nothing_first)
    assert caught.value.code == code
    assert caught.value.fix
    assert "CorrelationId" not in caught.value.message
    assert await client.find_invoices(f"F-{unique}") == ()


async def test_a_chosen_customer_number_is_refused_in_plain_words(client: BusinessCentralClient) -> None:
    with pytest.raises(Refused) as caught:
        await client.create_customer({"displayName": "A", "number": "C1"}, before_send=nothing_first)
    assert caught.value.code == "bc.customer.number_series"


DONE_BUT_UNSAID: list[dict[str, Any]] = [
    {"kind": "reset_after"},
    {"kind": "status", "status": 503, "after": True},
    {"kind": "status", "status": 500, "after": True},
]


@pytest.mark.parametrize("fault", DONE_BUT_UNSAID, ids=str)
async def test_a_draft_made_without_an_answer_is_in_doubt_and_then_found(
    client: BusinessCentralClient, simulator: Simulator, unique: str, fault: dict[str, Any]
) -> None:
    payload = build_payload(await pick_customer(client), f"U-{unique}")
    simulator.fail(**fault, method="POST", path="salesInvoices")
    with pytest.raises(InDoubt) as caught:
        await client.create_invoice(payload, before_send=nothing_first)
    assert caught.value.code == "bc.invoice.in_doubt"
    assert len(await client.find_invoices(f"U-{unique}")) == 1


@pytest.mark.parametrize("kind", ["timeout_after", "slow_after"])
async def test_a_draft_whose_answer_takes_too_long_is_in_doubt_and_then_found(
    hasty: BusinessCentralClient, simulator: Simulator, unique: str, kind: str
) -> None:
    payload = build_payload(await pick_customer(hasty), f"S-{unique}")
    simulator.fail(kind, method="POST", path="salesInvoices", delay_ms=1_000)
    with pytest.raises(InDoubt):
        await hasty.create_invoice(payload, before_send=nothing_first)
    assert len(await hasty.find_invoices(f"S-{unique}")) == 1


async def test_a_draft_that_appears_only_after_a_while_was_in_doubt(
    hasty: BusinessCentralClient, simulator: Simulator, unique: str
) -> None:
    """Why a doubt window exists: looking at once finds nothing, and the write still happens."""
    payload = build_payload(await pick_customer(hasty), f"L-{unique}")
    simulator.fail("late_commit", method="POST", path="salesInvoices", delay_ms=700)
    with pytest.raises(InDoubt):
        await hasty.create_invoice(payload, before_send=nothing_first)
    assert await hasty.find_invoices(f"L-{unique}") == ()
    async with asyncio.timeout(5):
        while not await hasty.find_invoices(f"L-{unique}"):  # noqa: ASYNC110 - another process rings no bell
            await asyncio.sleep(0.05)


async def test_a_reset_on_reading_is_tried_again_by_the_transport_or_the_runtime(
    client: BusinessCentralClient, simulator: Simulator
) -> None:
    customer = await pick_customer(client)
    simulator.control("faults", {"match": {"method": "GET"}, "kind": "reset_before", "count": 2})
    with pytest.raises(RetrySoon) as caught:
        await client.fetch_customer(customer)
    assert caught.value.code == "bc.connection.broken"
    assert await client.fetch_customer(customer) is not None


async def test_an_outage_is_waited_out(client: BusinessCentralClient, simulator: Simulator) -> None:
    await client.fetch_companies()
    simulator.control("outage", {"on": True})
    with pytest.raises((Blocked, RetryLater, RetrySoon)):
        await client.fetch_companies()
    simulator.control("outage", {"on": False})
    await client.fetch_companies()


async def test_retry_after_is_passed_on(client: BusinessCentralClient, simulator: Simulator) -> None:
    simulator.fail("status", method="GET", status=503, retry_after=17)
    with pytest.raises(RetryLater) as caught:
        await client.fetch_companies()
    assert caught.value.retry_after == timedelta(seconds=17)


async def test_too_many_requests_come_round_later(client: BusinessCentralClient, simulator: Simulator) -> None:
    await client.fetch_companies()
    simulator.control("limits", {"requests": 1})
    with pytest.raises(RetryLater) as caught:
        await client.fetch_companies()
    assert caught.value.code == "bc.limit.reached"


async def test_the_limiter_keeps_several_replicas_below_the_limits_without_a_429(
    build: BuildClient, simulator: Simulator, redis_url: str, company_id: str
) -> None:
    simulator.control("limits", {"service_ms": 5, "queue": 0})
    before = simulator.look("state")
    tokens = ClientCredentialsTokens(simulator.build_app())
    async with AsyncExitStack() as stack:
        redises = [await stack.enter_async_context(Redis.from_url(redis_url)) for _ in range(3)]
        limiters = [RedisLimiter(redis, "hub:test", policy=LimiterPolicy()) for redis in redises]
        clients = [build(limiter=limiter, tokens=tokens) for limiter in limiters]
        clients += [client.for_history() for client in clients]
        await asyncio.gather(*(clients[index % 6].fetch_customer(NO_INVOICE) for index in range(90)))
    after = simulator.look("state")
    assert after["throttled"] == before["throttled"]
    assert after["max_concurrency"] <= 5


async def test_a_revoked_token_is_replaced(build: BuildClient, simulator: Simulator) -> None:
    now = [0.0]
    client = build(tokens=ClientCredentialsTokens(simulator.build_app(), clock=lambda: now[0]))
    await client.fetch_accounts()
    simulator.control("revoke", {"client_id": "demo-client"})
    now[0] += 60
    await client.fetch_accounts()


BROKEN_APPS: list[tuple[dict[str, Any], str]] = [
    ({"client_secret": "another"}, "bc.sign_in.wrong_secret"),
    ({"secret_expired": True}, "bc.sign_in.expired_secret"),
    ({"registered": False}, "bc.credentials.refused"),
]


@pytest.mark.parametrize(("change", "code"), BROKEN_APPS, ids=str)
async def test_credentials_that_stop_working_block_the_connection(
    build: BuildClient, simulator: Simulator, change: dict[str, Any], code: str
) -> None:
    simulator.control("app", {"client_id": "demo-client"} | change)
    with pytest.raises(Blocked) as caught:
        await build().fetch_accounts()
    assert caught.value.code == code


async def test_an_unknown_app_is_named(build: BuildClient, simulator: Simulator) -> None:
    with pytest.raises(Blocked) as caught:
        await build(tokens=ClientCredentialsTokens(simulator.build_app(client_id="nobody"))).fetch_accounts()
    assert caught.value.code == "bc.sign_in.unknown_app"


class MemoryStore:
    """Keeps the sign-in in the test."""

    cache: str | None = None

    async def load(self) -> str | None:
        return self.cache

    async def save(self, cache: str) -> None:
        self.cache = cache


async def test_a_user_signs_in_with_the_browser_and_is_renewed_silently(
    build: BuildClient, simulator: Simulator
) -> None:
    app, store, now = simulator.build_app(), MemoryStore(), [0.0]
    begun = await begin_authorization_code(app, "https://hub.example/callback")
    async with build_http_client(ca_bundle=simulator.ca_bundle) as browser:
        response = await browser.get(f"{begun.url}&sim_approve=1")
    answer = {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}
    await complete_authorization_code(app, begun.flow, answer, store)

    client = build(tokens=DelegatedTokens(app, store, clock=lambda: now[0]))
    await client.fetch_accounts()
    simulator.control("revoke", {"client_id": "demo-client"})
    now[0] += 60
    with pytest.raises(Blocked) as caught:
        await client.fetch_accounts()
    assert caught.value.code == "bc.sign_in.expired"


async def test_a_user_signs_in_with_a_device_code(build: BuildClient, simulator: Simulator) -> None:
    simulator.control("sign_in", {"device_interval_seconds": 0})
    app, store = simulator.build_app(client_id="demo-device", secret=None), MemoryStore()
    code = await begin_device_code(app)

    async def approve(_: timedelta) -> None:
        simulator.control("device", {"user_code": code.user_code})

    await complete_device_code(app, code, store, progress=approve)
    await build(tokens=DelegatedTokens(app, store)).fetch_accounts()


async def test_a_credit_memo_is_created_found_and_deleted_among_its_kind(
    client: BusinessCentralClient, unique: str
) -> None:
    line = {"lineType": "Account", "lineObjectNumber": "6110", "quantity": 1, "unitPrice": Decimal("45.34")}
    payload = {
        "externalDocumentNumber": unique,
        "customerId": await pick_customer(client),
        "creditMemoDate": "2026-11-03",
        "postingDate": "2026-11-03",
        "salesCreditMemoLines": [line],
    }
    made = (await client.create_invoice(payload, kind="credit_memo", before_send=nothing_first)).value

    assert (made.status, made.lines[0].unit_price) == ("Draft", Decimal("45.34"))
    assert [one.id for one in await client.find_invoices(unique, kind="credit_memo")] == [made.id]
    assert await client.find_invoices(unique) == ()
    assert await client.delete_invoice(made.id, etag=made.etag, kind="credit_memo") == "deleted"
    assert await client.fetch_invoice(made.id, kind="credit_memo") is None


@pytest.mark.parametrize(("nested", "lines"), [("asked", 1), ("always", 1), ("never", 0)])
async def test_a_draft_is_known_whether_or_not_its_lines_are_answered(
    client: BusinessCentralClient, simulator: Simulator, unique: str, nested: str, lines: int
) -> None:
    """Whether a POST answers what was nested in it is not documented."""
    simulator.control("answers", {"nested": nested})
    draft = await create(client, unique)
    assert (len(draft.lines), draft.total_amount_including_tax) == (lines, Decimal("1.24"))
    whole = await client.fetch_invoice(draft.id, with_lines=True)
    assert whole is not None
    assert (len(whole.lines), whole.etag) == (1, draft.etag)


async def read_dimensions(client: BusinessCentralClient, path: str) -> dict[str, str]:
    rows = await client.fetch_list(f"{path}/dimensionSetLines", ("code", "valueCode"))
    return {row["code"]: row["valueCode"] for row in rows}


@pytest.mark.parametrize("kind", ["invoice", "credit_memo"])
async def test_dimensions_are_set_once_on_document_and_lines_and_changed_where_they_differ(
    client: BusinessCentralClient, simulator: Simulator, unique: str, kind: DocumentKind
) -> None:
    lines = [
        {"lineType": "Account", "lineObjectNumber": "6110", "quantity": 1, "unitPrice": 10},
        {"lineType": "Comment", "description": "Told only"},
    ]
    entity = "salesInvoiceLines" if kind == "invoice" else "salesCreditMemoLines"
    payload = {"externalDocumentNumber": unique, "customerId": await pick_customer(client), entity: lines}
    draft = (await client.create_invoice(payload, kind=kind, before_send=nothing_first)).value
    writes = simulator.look("state")["writes"]
    counts: list[int] = []
    for wanted in ({"DEPARTMENT": "SALES"}, {"DEPARTMENT": "SALES"}, {"DEPARTMENT": "PROD", "CUSTOMERGROUP": "LARGE"}):
        await client.set_dimensions(draft.id, wanted, kind=kind)
        counts.append(simulator.look("state")["writes"] - writes)

    whole = "salesInvoices" if kind == "invoice" else "salesCreditMemos"
    ours = {"DEPARTMENT": "PROD", "CUSTOMERGROUP": "LARGE"}
    assert await read_dimensions(client, f"{whole}({draft.id})") == ours
    assert [await read_dimensions(client, f"{entity}({line.id})") for line in draft.lines] == [ours, {}]
    assert counts == [2, 2, 6]


async def test_a_dimension_value_that_does_not_exist_is_refused(client: BusinessCentralClient, unique: str) -> None:
    draft = await create(client, unique)

    with pytest.raises(Refused):
        await client.set_dimensions(draft.id, {"DEPARTMENT": "NOWHERE"})


@pytest.mark.parametrize(
    ("entity", "field", "value", "number"),
    [
        ("items", "number", "svc-100", "SVC-100"),
        ("items", "displayName", "consulting HOUR", "SVC-100"),
        ("accounts", "number", " 6110 ", "6110"),
        ("accounts", "number", "x" * 30, None),
        ("accounts", "number", "61*", None),
        ("items", "displayName", "O'Brien & Co.", None),
        ("items", "gtin", "4006381333931", None),
    ],
)
async def test_master_data_are_found_by_a_field(
    client: BusinessCentralClient, entity: str, field: str, value: str, number: str | None
) -> None:
    found = await client.find_rows(entity, field, value, ("number", field))

    assert [row["number"] for row in found] == ([number] if number else [])


async def test_the_mapping_finds_its_lists_on_a_real_company(client: BusinessCentralClient) -> None:
    lists: frozenset[ListName] = frozenset(get_args(ListName))
    books = await MaterialsGatherer().gather_books(build_snapshot(), client, lists)

    assert (books.local_currency, books.decimals["EUR"], books.decimals["JPY"], books.decimals["KWD"]) == (
        "EUR",
        2,
        0,
        3,
    )
    assert {code: term.due_days for code, term in books.payment_terms.items()} == {
        "30 DAYS": 30,
        "14 DAYS": 14,
        "COD": 0,
        "CM": None,
        "1M(8D)": None,
    }
    assert {"STANDARD", "REDUCED", "ZERO"} <= set(books.tax_codes)
    assert books.dimensions["DEPARTMENT"] == {"SALES", "PROD"}
    assert books.shortcut_dimensions == ("DEPARTMENT", "CUSTOMERGROUP")
