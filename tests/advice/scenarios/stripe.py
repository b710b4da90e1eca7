"""Codes of Stripe."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from pydantic import SecretStr

from tests.advice.advice import advice
from tests.advice.scenarios.business_central import connect_again
from tests.relay import Relay

Steps = AsyncGenerator[Mapping[str, Any]]


@advice("stripe.credentials.rejected", outcome="pending")
async def create_a_new_key(shop: Relay) -> Steps:
    invoice = await shop.invoice(tax=await shop.rate("25"))
    await connect_again(shop, stripe_key=SecretStr("sk_test_revoked"))
    yield invoice
    await connect_again(shop, stripe_key=SecretStr(shop.key))


@advice("stripe.credentials.forbidden", outcome="pending")
async def give_the_key_its_permission(shop: Relay) -> Steps:
    invoice = await shop.invoice(tax=await shop.rate("25"))
    match = {"path_regex": f"invoices/{invoice['id']}"}
    await shop.control("stripe", "POST", "faults", match=match, kind="status", status=403)
    yield invoice
    await shop.control("stripe", "DELETE", "faults")
