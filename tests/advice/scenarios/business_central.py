"""Codes of Business Central and of the sign-in to it."""

import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from pydantic import SecretStr

from tests.advice.advice import advice
from tests.relay import Relay
from tests.unit.business_central.test_bc_errors import DIALOGS

Steps = AsyncGenerator[Mapping[str, Any]]
MENDED = frozenset({"bc.tax_number.format", "bc.tax_number.taken", "bc.phone.format", "bc.email.format"})
"""What the hub mends by itself: it writes the value in another form, or leaves it out."""


async def sync_one(shop: Relay, customer: str | None = None, **form: Any) -> str:
    """Sync an invoice, so that the hub knows customer and accounts, and reads them anew only later."""
    chosen = customer or await shop.add_customer()
    first = await shop.bring(await shop.invoice(chosen, tax=await shop.rate("25"), **form))
    assert first.outcome == "synced", first.reason
    return chosen


# --- what invoices are for and booked on: found by the hub itself where it looks, and by Business Central meanwhile


@advice("bc.account.blocked", again="invoice.account.unusable")
async def unblock_the_account(shop: Relay) -> Steps:
    customer = await sync_one(shop)
    await shop.seed(accounts=[{"number": "6110", "blocked": True}])
    yield await shop.invoice(customer, tax=await shop.rate("25"))
    await shop.seed(accounts=[{"number": "6110", "blocked": False}])


@advice("bc.account.not_postable", again="invoice.account.unusable")
async def let_the_account_take_direct_posting(shop: Relay) -> Steps:
    customer = await sync_one(shop)
    await shop.seed(accounts=[{"number": "6110", "directPosting": False}])
    yield await shop.invoice(customer, tax=await shop.rate("25"))
    await shop.seed(accounts=[{"number": "6110", "directPosting": True}])


@advice("bc.item.blocked", again="invoice.item.unusable")
async def unblock_the_item(shop: Relay) -> Steps:
    await shop.set(invoices__lines={"type": "Item", "number": "SVC-100"})
    customer = await sync_one(shop)
    await shop.seed(items=[{"number": "SVC-100", "blocked": True}])
    yield await shop.invoice(customer, tax=await shop.rate("25"))
    await shop.seed(items=[{"number": "SVC-100", "blocked": False}])


@advice("bc.customer.blocked", again="contact.blocked")
async def set_blocked_to_empty(shop: Relay) -> Steps:
    customer = await sync_one(shop)
    number = shop.results[-1].document
    assert number is not None
    (draft,) = [one for one in (await shop.dump())["salesInvoices"] if one["id"] == number.id]
    await shop.bc("PATCH", f"customers({draft['customerId']})", {"blocked": "All"})
    yield await shop.invoice(customer, tax=await shop.rate("25"))
    await shop.bc("PATCH", f"customers({draft['customerId']})", {"blocked": "_x0020_"})


@advice("bc.currency.rate_missing")
async def add_an_exchange_rate(shop: Relay) -> Steps:
    yield await shop.invoice(currency="mxn", tax=await shop.rate("25"))
    await shop.seed(currencies=[{"code": "MXN", "rate": "20.1"}])


@advice("bc.customer.number_series")
async def switch_manual_nos_on(shop: Relay) -> Steps:
    await shop.set(customers__new__number="metadata.erp")
    customer = await shop.add_customer(**{"metadata[erp]": "K-77"})
    yield await shop.invoice(customer, tax=await shop.rate("25"))
    await shop.seed(series={"CUST": {"prefix": "C", "last": 10_000, "manual": True}})


@advice("bc.customer.number_series")
async def leave_the_number_to_the_series(shop: Relay) -> Steps:
    await shop.set(customers__new__number="metadata.erp")
    customer = await shop.add_customer(**{"metadata[erp]": "K-77"})
    yield await shop.invoice(customer, tax=await shop.rate("25"))
    await shop.set(customers__new__number="series")


@advice("bc.record.exists")
async def choose_another_number(shop: Relay) -> Steps:
    await shop.seed(series={"CUST": {"prefix": "C", "last": 10_000, "manual": True}})
    await shop.set(customers__new__number="metadata.erp")
    customer = await shop.add_customer(**{"metadata[erp]": "10000"})
    yield await shop.invoice(customer, tax=await shop.rate("25"))
    await shop.stripe("POST", f"customers/{customer}", **{"metadata[erp]": "K-79"})


@advice("bc.posting_setup.missing")
async def add_the_combination(shop: Relay) -> Steps:
    await shop.set(invoices__tax__rules=[{"percent": 25, "code": "SPECIAL"}])
    yield await shop.invoice(tax=await shop.rate("25"))
    cell = {"business": "DOMESTIC", "product": "SPECIAL", "identifier": "VATS", "percent": 25}
    await shop.seed(vat=[cell])


@advice("bc.customer.posting_group")
async def fill_in_the_posting_groups(shop: Relay) -> Steps:
    bare = dict.fromkeys(("genBusPostingGroup", "vatBusPostingGroup", "customerPostingGroup"), "")
    known = {"number": "P1", "displayName": "Ohne Gruppen GmbH", "email": "p1@x.example", "country": "DE"}
    await shop.seed(customers=[known | {"posting": bare}])
    customer = await shop.add_customer(name="Ohne Gruppen GmbH", email="p1@x.example")
    yield await shop.invoice(customer, tax=await shop.rate("25"))
    await shop.seed(customers=[{"number": "P1", "taxAreaCode": "DOMESTIC", "posting": dict.fromkeys(bare, "DOMESTIC")}])


@advice("bc.customer.unknown", replay_helps=True)
async def replay_and_the_customer_is_looked_for_again(shop: Relay) -> Steps:
    customer = await shop.add_customer()
    await shop.bring(await shop.invoice(customer, tax=await shop.rate("25")))
    (draft,) = (await shop.dump())["salesInvoices"]
    await shop.bc("DELETE", f"salesInvoices({draft['id']})")
    await shop.bc("DELETE", f"customers({draft['customerId']})")
    yield await shop.invoice(customer, tax=await shop.rate("25"))


# --- rules that the simulator has no pages for: it answers with their sentence until they are changed


def _register(code: str, sentence: str) -> None:
    async def change_what_business_central_names(shop: Relay) -> Steps:
        invoice = await shop.invoice(tax=await shop.rate("25"))
        match = {"method": "POST", "path_regex": "salesInvoices$", "body_regex": re.escape(invoice["number"])}
        rule = {"kind": "status", "status": 400, "code": "Application_DialogException", "text": sentence}
        await shop.control("bc", "POST", "faults", match=match, **rule)
        yield invoice
        await shop.control("bc", "DELETE", "faults")

    advice(code)(change_what_business_central_names)


for _code, _sentence in {code: sentence for code, sentence in reversed(DIALOGS) if code not in MENDED}.items():
    _register(_code, _sentence)


# --- credentials: the connection waits, and goes on by itself


async def connect_again(shop: Relay, **given: SecretStr) -> None:
    """Give a new secret, as `hub connections add` does."""
    snapshot = await shop.snapshot()
    secrets = snapshot.secrets.model_copy(update=given)
    await shop.foundation.directory.add(snapshot.connection, secrets, shop.settings)


@advice("bc.sign_in.wrong_secret", outcome="pending")
async def give_the_secrets_value(shop: Relay) -> Steps:
    await connect_again(shop, bc_client_secret=SecretStr("the id of the secret"))
    yield await shop.invoice(tax=await shop.rate("25"))
    await connect_again(shop, bc_client_secret=SecretStr("demo-secret"))


@advice("bc.sign_in.expired_secret", outcome="pending")
async def make_a_new_secret(shop: Relay) -> Steps:
    app = {"client_id": shop.connection.bc_client_id}
    await shop.control("bc", "POST", "app", **app, secret_expired=True)
    yield await shop.invoice(tax=await shop.rate("25"))
    await shop.control("bc", "POST", "app", **app, secret_expired=False, client_secret="a new secret")
    await connect_again(shop, bc_client_secret=SecretStr("a new secret"))


@advice("bc.credentials.refused", outcome="pending")
async def enable_the_app_in_business_central(shop: Relay) -> Steps:
    app = {"client_id": shop.connection.bc_client_id}
    await shop.control("bc", "POST", "app", **app, registered=False)
    yield await shop.invoice(tax=await shop.rate("25"))
    await shop.control("bc", "POST", "app", **app, registered=True)


async def _answer_all_with(shop: Relay, status: int, code: str) -> None:
    match = {"path_regex": shop.company_id}
    await shop.control("bc", "POST", "faults", match=match, kind="status", status=status, code=code)


@advice("bc.credentials.forbidden", outcome="pending")
async def give_the_permission_sets(shop: Relay) -> Steps:
    await _answer_all_with(shop, 403, "Authorization_RequestDenied")
    yield await shop.invoice(tax=await shop.rate("25"))
    await shop.control("bc", "DELETE", "faults")


@advice("bc.company.not_found", outcome="pending")
async def let_the_company_be_there_again(shop: Relay) -> Steps:
    await _answer_all_with(shop, 404, "Internal_CompanyNotFound")
    yield await shop.invoice(tax=await shop.rate("25"))
    await shop.control("bc", "DELETE", "faults")


@advice("bc.tenant.unavailable", outcome="pending")
async def wait_until_the_environment_is_back(shop: Relay) -> Steps:
    await _answer_all_with(shop, 503, "Internal_TenantUnavailable")
    yield await shop.invoice(tax=await shop.rate("25"))
    await shop.control("bc", "DELETE", "faults")


@advice("bc.permission.drafts_hidden", outcome="pending")
async def give_permission_to_read_and_resume(shop: Relay) -> Steps:
    user = shop.connection.bc_client_id
    await shop.control("bc", "POST", "permissions", hide_drafts=True, user=user)
    yield await shop.invoice(tax=await shop.rate("25"))
    await shop.control("bc", "POST", "permissions", hide_drafts=False, user=user)
    await shop.resume()
