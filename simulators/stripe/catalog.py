"""Products, prices, tax rates, coupons and shipping rates: what invoice lines point to."""

from decimal import Decimal
from typing import Any

from simulators.stripe.currencies import round_half_up
from simulators.stripe.errors import invalid, missing, refused
from simulators.stripe.events import emit
from simulators.stripe.metadata import changed_members, merge_metadata
from simulators.stripe.paging import list_objects
from simulators.stripe.params import (
    EXPAND,
    PAGING,
    Check,
    boolean,
    currency,
    decimal,
    hash_of,
    integer,
    list_of,
    no_such,
    not_simulated,
    one_of,
    required,
    text,
    time_range,
    untouched,
)
from simulators.stripe.shelf import Shelf
from simulators.stripe.state import Call, Context, Json, Realm
from simulators.stripe.totals import DiscountRule, TaxRule

_BEHAVIOR = one_of("exclusive", "inclusive", "unspecified")
PRODUCT: dict[str, Check] = {
    "id": text(), "name": text(), "active": boolean, "description": text(), "images": list_of(text()),
    "metadata": untouched, "shippable": boolean, "statement_descriptor": text(22), "tax_code": text(),
    "type": one_of("good", "service"), "unit_label": text(12), "url": text(), "expand": EXPAND,
    "default_price_data": not_simulated, "marketing_features": not_simulated, "package_dimensions": not_simulated,
    "tax_details": not_simulated,
}  # fmt: skip
_TIER: dict[str, Check] = {
    "up_to": text(), "unit_amount": integer, "unit_amount_decimal": decimal, "flat_amount": integer,
    "flat_amount_decimal": decimal,
}  # fmt: skip
PRICE: dict[str, Check] = {
    "currency": currency, "product": text(), "unit_amount": integer, "unit_amount_decimal": decimal,
    "active": boolean, "lookup_key": text(200), "metadata": untouched, "nickname": text(), "tax_behavior": _BEHAVIOR,
    "billing_scheme": one_of("per_unit", "tiered"), "expand": EXPAND, "product_data": hash_of({"name": text()}),
    "recurring": hash_of({
        "interval": one_of("day", "week", "month", "year"), "interval_count": integer,
        "usage_type": one_of("licensed", "metered"),
    }),
    "tiers": list_of(hash_of(_TIER)), "tiers_mode": one_of("graduated", "volume"),
    "transform_quantity": hash_of({"divide_by": integer, "round": one_of("up", "down")}),
    "currency_options": not_simulated, "custom_unit_amount": not_simulated, "transfer_lookup_key": not_simulated,
}  # fmt: skip
TAX_RATE: dict[str, Check] = {
    "display_name": text(50), "percentage": decimal, "inclusive": boolean, "active": boolean, "country": text(2),
    "description": text(), "jurisdiction": text(50), "metadata": untouched, "state": text(), "tax_type": text(),
    "expand": EXPAND, "effective_percentage": decimal,
}  # fmt: skip
COUPON: dict[str, Check] = {
    "id": text(), "percent_off": decimal, "amount_off": integer, "currency": currency, "name": text(40),
    "duration": one_of("forever", "once", "repeating"), "duration_in_months": integer, "metadata": untouched,
    "max_redemptions": integer, "redeem_by": integer, "expand": EXPAND, "applies_to": not_simulated,
    "currency_options": not_simulated,
}  # fmt: skip
SHIPPING_RATE: dict[str, Check] = {
    "display_name": text(100), "type": one_of("fixed_amount"), "tax_behavior": _BEHAVIOR, "metadata": untouched,
    "fixed_amount": hash_of({"amount": integer, "currency": currency}), "tax_code": text(), "expand": EXPAND,
    "delivery_estimate": not_simulated,
}  # fmt: skip
LISTING: dict[str, Check] = {**PAGING, "created": time_range, "active": boolean}


def _head(ctx: Context, key: str, noun: str, params: Json) -> Json:
    return {
        "id": key,
        "object": noun,
        "created": ctx.world.clock.stamp(),
        "livemode": ctx.realm.livemode,
        "metadata": merge_metadata({}, params.get("metadata")),
    }


def number_text(value: Decimal) -> str:
    """Write a decimal the way Stripe does: no exponent, no trailing zeros."""
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def add_product(ctx: Context, params: Json) -> Json:
    """Create a product."""
    key = params.get("id") or ctx.world.ids.short("prod")
    if key in ctx.realm.products:
        raise invalid("Product already exists.", "id", code="resource_already_exists")
    product = _head(ctx, key, "product", params) | {
        "active": params.get("active", True),
        "default_price": None,
        "description": params.get("description"),
        "images": params.get("images", []),
        "marketing_features": [],
        "name": required(params, "name"),
        "package_dimensions": None,
        "shippable": params.get("shippable"),
        "statement_descriptor": params.get("statement_descriptor"),
        "tax_code": params.get("tax_code"),
        "type": params.get("type", "service"),
        "unit_label": params.get("unit_label"),
        "updated": ctx.world.clock.stamp(),
        "url": params.get("url"),
    }
    ctx.realm.products.add(key, product)
    return product


def add_price(ctx: Context, params: Json) -> Json:
    """Create a price, and its product when `product_data` asks for one."""
    recurring = params.get("recurring")
    tiers = _read_tiers(params)
    if tiers and not recurring:
        raise invalid("Tiered prices must be recurring.", "billing_scheme")
    unit = None if tiers else params.get("unit_amount_decimal")
    if unit is None and not tiers:
        unit = Decimal(required(params, "unit_amount"))
    product = params.get("product")
    if product is None:
        product = add_product(ctx, required(params, "product_data"))["id"]
    elif product not in ctx.realm.products:
        raise no_such("product", product, "product")
    price: Json = _head(ctx, ctx.world.ids.new("price"), "price", params) | {
        "active": params.get("active", True),
        "billing_scheme": "tiered" if tiers else "per_unit",
        "currency": required(params, "currency"),
        "custom_unit_amount": None,
        "lookup_key": params.get("lookup_key"),
        "nickname": params.get("nickname"),
        "product": product,
        "recurring": recurring and {"interval_count": 1, "meter": None, "usage_type": "licensed", **recurring},
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": params["tiers_mode"] if tiers else None,
        "transform_quantity": _read_packages(params),
        "type": "recurring" if recurring else "one_time",
        "unit_amount": _whole(unit),
        "unit_amount_decimal": None if unit is None else number_text(unit),
    }
    if tiers:
        ctx.realm.tiers[price["id"]] = tiers
    ctx.realm.prices.add(price["id"], price)
    return price


def _whole(amount: Decimal | None) -> int | None:
    return round_half_up(amount) if amount is not None and amount == amount.to_integral_value() else None


def _read_packages(params: Json) -> Json | None:
    given = params.get("transform_quantity")
    if given is None:
        return None
    if params.get("billing_scheme") == "tiered":
        raise invalid("You cannot combine transform_quantity with tiers.", "transform_quantity")
    if required(given, "divide_by") < 1:
        raise invalid("divide_by must be at least 1.", "transform_quantity[divide_by]")
    return {"divide_by": given["divide_by"], "round": required(given, "round")}


def _read_tiers(params: Json) -> list[Json]:
    """Read the tiers of a tiered price: growing, and the last without an end."""
    if params.get("billing_scheme") != "tiered":
        if "tiers" in params:
            raise invalid("You can only set tiers if `billing_scheme=tiered`.", "tiers")
        return []
    required(params, "tiers_mode")
    tiers = [_read_tier(entry, f"tiers[{at}]") for at, entry in enumerate(required(params, "tiers"))]
    ends = [tier["up_to"] for tier in tiers]
    if not ends or ends[-1] is not None or None in ends[:-1] or ends[:-1] != sorted(set(ends[:-1])):
        raise invalid("The tiers must grow, and the last one must end at inf.", "tiers")
    return tiers


def _read_tier(given: Json, path: str) -> Json:
    end = required(given, "up_to")
    if end != "inf" and not end.isdecimal():
        raise invalid(f"Invalid up_to: {end}", f"{path}[up_to]")
    tier: Json = {"up_to": None if end == "inf" else int(end)}
    for kind in ("flat", "unit"):
        amount = given.get(f"{kind}_amount_decimal")
        amount = Decimal(given[f"{kind}_amount"]) if amount is None and f"{kind}_amount" in given else amount
        tier[f"{kind}_amount"] = _whole(amount)
        tier[f"{kind}_amount_decimal"] = None if amount is None else number_text(amount)
    return tier


def add_tax_rate(ctx: Context, params: Json) -> Json:
    """Create a tax rate; `percentage` is a JSON number as at Stripe."""
    percentage = required(params, "percentage")
    effective = params.get("effective_percentage", percentage)
    if effective != percentage and required(params, "inclusive"):
        raise invalid("Only an exclusive rate can be taxed in part here.", "effective_percentage")
    rate: Json = _head(ctx, ctx.world.ids.new("txr"), "tax_rate", params) | {
        "active": params.get("active", True),
        "country": params.get("country"),
        "description": params.get("description"),
        "display_name": required(params, "display_name"),
        "effective_percentage": float(effective),
        "flat_amount": None,
        "inclusive": required(params, "inclusive"),
        "jurisdiction": params.get("jurisdiction"),
        "jurisdiction_level": None,
        "percentage": float(percentage),
        "rate_type": "percentage",
        "state": params.get("state"),
        "tax_type": params.get("tax_type"),
    }
    ctx.realm.tax_rates.add(rate["id"], rate)
    return rate


def add_coupon(ctx: Context, params: Json) -> Json:
    """Create a coupon; redemption limits are stored, not enforced."""
    percent, amount = params.get("percent_off"), params.get("amount_off")
    if (percent is None) == (amount is None):
        raise invalid("You must pass exactly one of percent_off and amount_off.", "percent_off")
    if amount is not None:
        required(params, "currency")
    coupon: Json = _head(ctx, params.get("id") or ctx.world.ids.token(8), "coupon", params) | {
        "amount_off": amount,
        "currency": params.get("currency"),
        "duration": params.get("duration", "once"),
        "duration_in_months": params.get("duration_in_months"),
        "max_redemptions": params.get("max_redemptions"),
        "name": params.get("name"),
        "percent_off": None if percent is None else float(percent),
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }
    ctx.realm.coupons.add(coupon["id"], coupon)
    return coupon


def add_shipping_rate(ctx: Context, params: Json) -> Json:
    """Create a fixed shipping rate."""
    rate: Json = _head(ctx, ctx.world.ids.new("shr"), "shipping_rate", params) | {
        "active": True,
        "delivery_estimate": None,
        "display_name": required(params, "display_name"),
        "fixed_amount": required(params, "fixed_amount"),
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tax_code": params.get("tax_code"),
        "type": "fixed_amount",
    }
    ctx.realm.shipping_rates.add(rate["id"], rate)
    return rate


def add_discount(ctx: Context, coupon: str, customer: str | None, invoice: str | None, item: str | None) -> str:
    """Redeem a coupon on an invoice or an item; returns the `di_…` id."""
    held = ctx.realm.coupons.get(coupon)
    if held is None:
        raise no_such("coupon", coupon, "discounts[0][coupon]")
    held["times_redeemed"] += 1
    discount: Json = {
        "id": ctx.world.ids.new("di"),
        "object": "discount",
        "checkout_session": None,
        "customer": customer,
        "customer_account": None,
        "end": None,
        "invoice": invoice,
        "invoice_item": item,
        "promotion_code": None,
        "source": {"coupon": coupon, "type": "coupon"},
        "start": ctx.world.clock.stamp(),
        "subscription": None,
        "subscription_item": None,
    }
    ctx.realm.discounts.add(discount["id"], discount)
    return discount["id"]


def tax_rules(realm: Realm, keys: list[str], param: str = "tax_rates") -> list[TaxRule]:
    """Look tax rates up as the arithmetic wants them."""
    rules: list[TaxRule] = []
    for key in keys:
        rate = realm.tax_rates.get(key)
        if rate is None:
            raise no_such("tax rate", key, param)
        whole, effective = Decimal(str(rate["percentage"])), Decimal(str(rate["effective_percentage"]))
        rules.append(TaxRule(key, whole, rate["inclusive"], None if effective == whole else effective))
    return rules


def discount_rules(realm: Realm, keys: list[str]) -> list[DiscountRule]:
    """Look discounts up as the arithmetic wants them."""
    rules: list[DiscountRule] = []
    for key in keys:
        discount: Any = realm.discounts.get(key)
        coupon: Any = realm.coupons.get(discount["source"]["coupon"])
        percent = coupon["percent_off"]
        rules.append(DiscountRule(key, None if percent is None else Decimal(str(percent)), coupon["amount_off"]))
    return rules


_ADDERS = {
    "products": add_product,
    "prices": add_price,
    "tax_rates": add_tax_rate,
    "coupons": add_coupon,
    "shipping_rates": add_shipping_rate,
}
_NOUNS = {
    "products": "product", "prices": "price", "tax_rates": "tax rate", "coupons": "coupon",
    "shipping_rates": "shipping rate",
}  # fmt: skip
_WITHOUT_EVENTS = frozenset({"tax_rates", "shipping_rates"})


class CatalogHandlers:
    """Create, get, update and list for one kind of catalog object."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def _shelf(self, call: Call) -> Shelf[Json]:
        return getattr(call.realm, self._kind)

    def create(self, call: Call) -> Json:
        """POST /v1/{kind}."""
        made = _ADDERS[self._kind](call, call.params)
        if self._kind not in _WITHOUT_EVENTS:
            emit(call, [(f"{made['object']}.created", None)], made)
        return made

    def get(self, call: Call) -> Json:
        """GET /v1/{kind}/{id}."""
        return self._find(call)

    def _find(self, call: Call) -> Json:
        found = self._shelf(call).get(call.args[0])
        if found is None:
            raise missing(_NOUNS[self._kind], call.args[0], self._kind[:-1])
        return found

    def delete(self, call: Call) -> Json:
        """DELETE /v1/products/{id}: only one without prices."""
        found = self._find(call)
        if any(price["product"] == found["id"] for price in call.realm.prices):
            raise refused("This product cannot be deleted because it has one or more user-created prices.")
        self._shelf(call).remove(found["id"])
        emit(call, [(f"{found['object']}.deleted", None)], found)
        return {"id": found["id"], "object": found["object"], "deleted": True}

    def update(self, call: Call) -> Json:
        """POST /v1/{kind}/{id}: names and metadata, not amounts."""
        found = self._find(call)
        before = dict(found)
        given = dict(call.params)
        if "metadata" in given:
            given["metadata"] = merge_metadata(found["metadata"], given["metadata"])
        given.pop("expand", None)
        found.update(given)
        previous = changed_members(before, found)
        if previous and self._kind not in _WITHOUT_EVENTS:
            emit(call, [(f"{found['object']}.updated", previous)], found)
        return found

    def listing(self, call: Call) -> Json:
        """GET /v1/{kind}."""
        active = call.params.get("active")
        return list_objects(
            self._shelf(call), call.params, f"/v1/{self._kind}", lambda held: active is None or held["active"] == active
        )
