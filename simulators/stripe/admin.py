"""The controls under /_sim: look inside, make accounts and data, inject faults. Not part of Stripe's API."""

import asyncio
import contextlib
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

from simulators.faults import FaultBook
from simulators.stripe.accounts import add_account
from simulators.stripe.errors import ApiError
from simulators.stripe.events import dump_json, render_event, render_thin_event
from simulators.stripe.seed import BulkMaker, BulkOrder
from simulators.stripe.state import Account, Endpoint, Event, Json, Realm, World
from simulators.stripe.subscriptions import bill_subscription
from simulators.stripe.webhook_faults import WebhookFaults, parse_webhook_faults
from simulators.stripe.webhooks import Outbox
from simulators.stripe.wire import Reply, Request

_STATUSES = ("draft", "open", "paid", "uncollectible", "void")
_SETTABLE = frozenset({"auto_send", "retry_base_ms", "max_attempts", "timeout_ms", "null_metadata"})


class AdminApi:
    """Answers everything under /_sim, in JSON, without a key."""

    def __init__(self, world: World, outbox: Outbox, faults: FaultBook[Any]) -> None:
        self._world = world
        self._outbox = outbox
        self._faults = faults
        self._bulk = BulkMaker(world)
        self._routes: dict[tuple[str, str], Callable[[Json], Any]] = {
            ("GET", "state"): self._state,
            ("GET", "dump"): self._dump,
            ("POST", "accounts"): self._add_account,
            ("POST", "seed_rng"): self._seed_rng,
            ("POST", "clock"): self._advance_clock,
            ("GET", "settings"): self._settings,
            ("POST", "settings"): self._change_settings,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "webhook_faults"): self._show_webhook_faults,
            ("POST", "webhook_faults"): self._set_webhook_faults,
            ("DELETE", "webhook_faults"): self._clear_webhook_faults,
            ("POST", "bulk"): self._start_bulk,
            ("GET", "bulk"): self._show_bulk,
            ("GET", "deliveries"): self._deliveries,
            ("POST", "deliver"): self._deliver,
            ("POST", "raw_webhook"): self._raw_webhook,
            ("POST", "roll_secret"): self._roll_secret,
            ("POST", "subscription_invoice"): self._subscription_invoice,
            ("POST", "idle"): self._idle,
        }

    async def close(self) -> None:
        """Stop bulk jobs."""
        await self._bulk.close()

    async def handle(self, request: Request) -> Reply:
        """Answer one control request; whatever is wrong with it is a 400 with a sentence."""
        name = request.segments[1] if len(request.segments) > 1 else ""
        handler = self._routes.get((request.method, name))
        if handler is None:
            return Reply(404, dump_json({"error": f"no control {request.method} /_sim/{name}"}))
        try:
            given = request.json()
            if request.segments[2:]:
                given["id"] = request.segments[2]
            shown = handler(given)
            if inspect.isawaitable(shown):
                shown = await shown
        except (ValueError, TypeError, KeyError, ApiError) as exc:
            return Reply(400, dump_json({"error": f"{type(exc).__name__}: {exc}"}))
        return Reply(200, dump_json(shown))

    def _realm(self, given: Json) -> Realm:
        key = given.get("account") or next(iter(self._world.accounts))
        return self._world.accounts[key].realm(livemode=bool(given.get("livemode", False)))

    def _realms(self) -> list[Realm]:
        return [realm for account in self._world.accounts.values() for realm in (account.test, account.live)]

    def _state(self, _given: Json) -> Json:
        tally, realms = self._world.tally, self._realms()
        by_account = {account.id: _count_statuses(account) for account in self._world.accounts.values()}
        statuses = sum(by_account.values(), Counter[str]())
        return {
            "invoices": {name: statuses[name] for name in _STATUSES},
            "invoices_by_account": {
                account: {name: counted[name] for name in _STATUSES} for account, counted in by_account.items()
            },
            "customers": sum(len(realm.customers) for realm in realms),
            "events": sum(len(realm.events) for realm in realms),
            "webhook_deliveries": {
                **{name: tally.deliveries[name] for name in ("ok", "failed", "dropped", "given_up")},
                "waiting": self._outbox.backlog,
            },
            "requests": dict(tally.requests),
            "statuses": dict(tally.statuses),
            "faults": dict(self._faults.applied),
            "metadata_writes": tally.metadata_writes,
            "metadata_writes_without_change": tally.metadata_writes_without_change,
            "idempotent_replays": tally.idempotent_replays,
            "meter_events": sum(len(realm.meter_events) for realm in realms),
        }

    def _dump(self, given: Json) -> Json:
        wanted = [self._world.accounts[given["id"]]] if "id" in given else self._world.accounts.values()
        return {"accounts": {account.id: self._dump_account(account.test, account.live) for account in wanted}}

    def _dump_account(self, *realms: Realm) -> Json:
        return {
            "invoices": [_whole_invoice(realm, invoice) for realm in realms for invoice in realm.invoices],
            "customers": [customer for realm in realms for customer in realm.customers],
            "credit_notes": [note for realm in realms for note in realm.credit_notes],
            "meter_events": [event for realm in realms for event in realm.meter_events.values()],
            "events": sum(len(realm.events) for realm in realms),
        }

    def _add_account(self, given: Json) -> Json:
        account = add_account(self._world, given)
        return {"account": account.id, "api_keys": account.keys, "invoice_prefix": account.prefix}

    def _seed_rng(self, given: Json) -> Json:
        self._world.ids.rng.seed(given["seed"])
        return {"seed": given["seed"]}

    def _advance_clock(self, given: Json) -> Json:
        self._world.clock.advance(float(given["advance_seconds"]))
        return {"now": self._world.clock.now()}

    def _settings(self, _given: Json) -> Json:
        settings = self._world.settings
        return {name: getattr(settings, name) for name in sorted(_SETTABLE)} | {"concurrency": settings.concurrency}

    def _change_settings(self, given: Json) -> Json:
        unknown = set(given) - _SETTABLE
        if unknown:
            raise ValueError(f"unknown settings: {sorted(unknown)}")
        for name, value in given.items():
            setattr(self._world.settings, name, type(getattr(self._world.settings, name))(value))
        return self._settings({})

    def _list_faults(self, _given: Json) -> Json:
        return self._faults.shown()

    def _add_faults(self, given: Json) -> Json:
        rules = given.get("rules", [given])
        return {"rules": [self._faults.add(rule).shown() for rule in rules]}

    def _clear_faults(self, given: Json) -> Json:
        wanted = given.get("id")
        self._faults.remove(wanted)
        return self._list_faults({})

    def _show_webhook_faults(self, _given: Json) -> Json:
        return self._outbox.faults.shown()

    def _set_webhook_faults(self, given: Json) -> Json:
        self._outbox.faults = parse_webhook_faults(given)
        return self._outbox.faults.shown()

    def _clear_webhook_faults(self, _given: Json) -> Json:
        self._outbox.faults = WebhookFaults()
        return self._outbox.faults.shown()

    async def _start_bulk(self, given: Json) -> Json:
        job = await self._bulk.start(self._realm(given), BulkOrder(**given))
        return job.shown()

    def _show_bulk(self, given: Json) -> Json:
        return self._bulk.jobs[given["id"]].shown()

    def _deliveries(self, _given: Json) -> Json:
        return {"deliveries": list(self._outbox.log), "waiting": self._outbox.backlog}

    def _find_event(self, key: str) -> tuple[Realm, Event]:
        for realm in self._realms():
            event = realm.events.get(key)
            if event is not None:
                return realm, event
        raise KeyError(key)

    def _deliver(self, given: Json) -> Json:
        realm, event = self._find_event(given["event_id"])
        return {"event": event.id, "endpoints": self._outbox.resend(realm, event)}

    def _find_endpoint(self, key: str | None) -> Endpoint:
        for realm in self._realms():
            for endpoint in realm.endpoints:
                if key in {None, endpoint.public["id"]}:
                    return endpoint
        raise KeyError(key)

    async def _raw_webhook(self, given: Json) -> Json:
        url, secret = given.get("url"), given.get("secret")
        endpoint = None if url and secret else self._find_endpoint(given.get("endpoint"))
        body = self._raw_body(given)
        target = url or (endpoint.public["url"] if endpoint else "")
        secrets = [secret] if secret else (endpoint.secrets if endpoint else [])
        status, problem = await self._outbox.send_raw(target, body, secrets)
        return {"status": status, "problem": problem}

    def _raw_body(self, given: Json) -> bytes:
        if "event_id" in given:
            event = self._find_event(given["event_id"])[1]
            account = given.get("account")
            return (
                render_thin_event(event, account=account) if given.get("thin") else render_event(event, account=account)
            )
        body = given["body"]
        return body.encode() if isinstance(body, str) else dump_json(body)

    def _roll_secret(self, given: Json) -> Json:
        endpoint = self._find_endpoint(given.get("endpoint"))
        fresh = given.get("secret") or self._world.ids.secret("whsec")
        endpoint.secrets = [*endpoint.secrets, fresh] if given.get("keep_old", True) else [fresh]
        return {"endpoint": endpoint.public["id"], "secret": fresh, "living_secrets": len(endpoint.secrets)}

    def _subscription_invoice(self, given: Json) -> Json:
        return bill_subscription(self._world, self._realm(given), given)

    async def _idle(self, given: Json) -> Json:
        """Wait until no delivery is under way, at most `timeout_seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(given.get("timeout_seconds", 10))):
                await self._outbox.idle.wait()
        return {"waiting": self._outbox.backlog}


def _count_statuses(account: Account) -> Counter[str]:
    return Counter(invoice["status"] for realm in (account.test, account.live) for invoice in realm.invoices)


def _whole_invoice(realm: Realm, invoice: Json) -> Json:
    """Show an invoice with all its lines, not only the embedded ten."""
    items = realm.invoice_items[invoice["id"]]
    lines = invoice["lines"] | {"data": [item.line for item in items], "has_more": False}
    return invoice | {"lines": lines}
