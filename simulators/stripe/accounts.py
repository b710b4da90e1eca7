"""Accounts, made by the admin API and shown by GET /v1/account, and their meter events (Stripe facts §109)."""

import zlib
from typing import Any

from simulators.stripe.auth import register_key
from simulators.stripe.errors import invalid, refused
from simulators.stripe.params import EXPAND, Check, integer, required, text, untouched
from simulators.stripe.state import Account, Call, Json, World

METER_EVENT: dict[str, Check] = {
    "event_name": text(100), "payload": untouched, "identifier": text(100), "timestamp": integer, "expand": EXPAND,
}  # fmt: skip
_OLDEST_S = 35 * 24 * 3600
_FUTURE_S = 5 * 60
_UNIQUE_S = 24 * 3600


def add_account(world: World, given: dict[str, Any]) -> Account:
    """Create an account with its keys; raises ValueError for bad or taken ones."""
    key = given.get("account") or world.ids.new("acct")
    if key in world.accounts:
        raise ValueError(f"the account {key} exists already")
    account = Account(
        key,
        name=given.get("name", "Nordlicht Software GmbH"),
        country=given.get("country", "DE"),
        currency=given.get("currency", "eur"),
        prefix=given.get("invoice_prefix") or f"{zlib.crc32(key.encode()):08X}",
        platform=given.get("platform"),
        timezone=given.get("timezone", "Etc/UTC"),
    )
    keys = given.get("api_keys") or [world.ids.secret("sk_test")]
    taken = [entry for entry in keys if entry in world.keys]
    if taken:
        raise ValueError("an API key belongs to one account only")
    for entry in keys:
        register_key(world, account, entry)
    world.accounts[key] = account
    return account


def get(call: Call) -> Json:
    """GET /v1/account."""
    account = call.realm.account
    return {
        "id": account.id,
        "object": "account",
        "business_profile": {"name": account.name},
        "charges_enabled": True,
        "country": account.country,
        "default_currency": account.currency,
        "details_submitted": True,
        "email": "owner@nordlicht.example",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": account.name, "timezone": account.timezone}},
        "type": "standard",
    }


def create_meter_event(call: Call) -> Json:
    """POST /v1/billing/meter_events: an identifier is unique for 24 h only (facts §110)."""
    params, now = call.params, call.world.clock.stamp()
    payload: Any = required(params, "payload")
    if not isinstance(payload, dict):
        raise invalid("Invalid hash: payload", "payload")
    stamp = params.get("timestamp") or now
    if not now - _OLDEST_S <= stamp <= now + _FUTURE_S:
        raise refused(
            "The timestamp must be within the past 35 days or up to 5 minutes in the future.", param="timestamp"
        )
    identifier = params.get("identifier") or call.world.ids.token(32)
    seen = call.realm.meter_events.get(identifier)
    if seen is not None and now - seen["created"] < _UNIQUE_S:
        raise refused(f"An event already exists with identifier {identifier}.", param="identifier")
    event: Json = {
        "object": "billing.meter_event",
        "created": now,
        "event_name": required(params, "event_name"),
        "identifier": identifier,
        "livemode": call.realm.livemode,
        "payload": payload,
        "timestamp": stamp,
    }
    call.realm.meter_events[identifier] = event
    return event
