"""Ids of Stripe's in the settings are looked up: one that the account does not have never fits anything."""

from typing import Any

import pytest

from hub.cli.settings_ids import find_missing, list_ids, list_new_ids
from schemas.errors import Blocked, RetrySoon
from schemas.settings import Settings
from schemas.stripe_objects import Price, Product, TaxRate
from tests.builders import build_rate
from tests.remote_fakes import FakeStripe, Steps


class Stripe(FakeStripe):
    """An account with prices, too, whose key may be forbidden to read something."""

    def __init__(self) -> None:
        super().__init__(Steps())
        self.prices: dict[str, Price] = {}
        self.refusal: Blocked | RetrySoon | None = None

    async def fetch_price(self, price_id: str) -> Price | None:
        return self.prices.get(price_id)

    async def fetch_tax_rate(self, tax_rate_id: str) -> TaxRate | None:
        if self.refusal is not None:
            raise self.refusal
        return await super().fetch_tax_rate(tax_rate_id)


def build_settings(**invoices: Any) -> Settings:
    return Settings.model_validate({"invoices": invoices})


def build_stripe() -> Stripe:
    stripe = Stripe()
    stripe.tax_rates["txr_25"] = build_rate("25")
    stripe.products["prod_1"] = Product(id="prod_1")
    stripe.prices |= {one: Price(id=one) for one in ("price_1", "gold-monthly")}
    stripe.put_customer(id="cus_1")
    return stripe


ACCOUNT = {"type": "Account", "number": "6110"}


async def test_what_the_account_has_is_no_problem_also_a_price_with_a_name_of_old() -> None:
    table = dict.fromkeys(("prod_1", "price_1", "gold-monthly"), ACCOUNT)
    settings = build_settings(products={"table": table}, tax={"rules": [{"tax_rate": "txr_25", "code": "A"}]})
    settings = settings.model_copy(update={"skip": settings.skip.model_copy(update={"customers": ("cus_1",)})})

    assert len(list_ids(settings)) == 5
    assert await find_missing(build_stripe(), list_ids(settings)) == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"invoices": {"tax": {"rules": [{"code": "A", "percent": 7}, {"code": "A", "tax_rate": "txr_typo"}]}}},
            "invoices.tax.rules, number 2: tax_rate: Stripe has no tax rate txr_typo in this account and mode.",
        ),
        (
            {"invoices": {"products": {"table": {"prod_typo": ACCOUNT}}}},
            "invoices.products.table: Stripe has no product prod_typo in this account and mode.",
        ),
        (
            {"invoices": {"products": {"table": {"price_typo": ACCOUNT}}}},
            "invoices.products.table: Stripe has no price price_typo in this account and mode.",
        ),
        ({"skip": {"customers": ["cus_typo"]}}, "skip.customers: Stripe has no customer cus_typo in this account"),
    ],
)
async def test_what_the_account_does_not_have_is_told_with_its_place(values: dict[str, Any], told: str) -> None:
    (problem,) = await find_missing(build_stripe(), list_ids(Settings.model_validate(values)))

    assert told in problem


async def test_what_the_key_may_not_read_is_no_problem_and_no_answer_is_one() -> None:
    stripe, settings = build_stripe(), build_settings(tax={"rules": [{"tax_rate": "txr_typo", "code": "A"}]})
    stripe.refusal = Blocked("The key may not read tax rates.", code="stripe.credentials.forbidden")
    assert await find_missing(stripe, list_ids(settings)) == []

    stripe.refusal = RetrySoon("Reset.", code="stripe.connection.failed")
    with pytest.raises(RetrySoon):
        await find_missing(stripe, list_ids(settings))


def test_only_what_was_not_named_before_is_looked_up_again() -> None:
    stored = build_settings(products={"table": {"prod_gone": ACCOUNT}})
    settings = build_settings(products={"table": {"prod_gone": ACCOUNT, "prod_1": ACCOUNT}})

    assert [one.id for one in list_new_ids(settings, stored)] == ["prod_1"]
    assert len(list_new_ids(settings, None)) == 2
