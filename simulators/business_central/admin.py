"""The controls under /_sim: look inside, seed, inject faults, flip switches. Not part of Business Central."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from simulators.business_central.api import BusinessCentralApi
from simulators.business_central.company import Company
from simulators.business_central.errors import ApiError
from simulators.business_central.journal import Journal
from simulators.business_central.ledger import change_document
from simulators.business_central.sales_documents import KINDS, SalesDocument, document_of, lines_of
from simulators.business_central.seed import apply_seed, change_record
from simulators.business_central.sign_in import SignIn
from simulators.business_central.store import Json
from simulators.business_central.tokens import TokenBook
from simulators.business_central.values import to_wire
from simulators.business_central.wire import Reply, Request, json_reply
from simulators.business_central.world import World
from simulators.faults import FaultBook

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost", "testserver", ""})


class AdminApi:
    """Answers everything under /_sim, in JSON, without a token, to this machine only."""

    def __init__(
        self,
        world: World,
        api: BusinessCentralApi,
        sign_in: SignIn,
        tokens: TokenBook,
        faults: FaultBook[Any],
        *,
        journal: Journal,
    ) -> None:
        self._world = world
        self._api = api
        self._sign_in = sign_in
        self._tokens = tokens
        self._faults = faults
        self._journal = journal
        self._routes: dict[tuple[str, str], Callable[[Json], Any]] = {
            ("GET", "state"): self._state,
            ("GET", "dump"): self._dump,
            ("GET", "journal"): lambda given: self._journal.shown(given.get("key", "").upper()),
            ("POST", "seed"): lambda given: apply_seed(self._world, given),
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "seed_rng"): self._seed_rng,
            ("POST", "clock"): self._advance_clock,
            ("POST", "revoke"): self._revoke,
            ("POST", "outage"): self._set_outage,
            ("GET", "limits"): lambda _given: self._api.throttle.limits.shown(),
            ("POST", "limits"): self._set_limits,
            ("POST", "replica"): self._set_replica,
            ("GET", "answers"): self._set_answers,
            ("POST", "answers"): self._set_answers,
            ("DELETE", "answers"): lambda _given: self._world.core.readings.reset(),
            ("POST", "permissions"): self._set_permissions,
            ("POST", "sign_in"): self._set_sign_in,
            ("POST", "device"): self._answer_device,
            ("POST", "app"): self._change_app,
            ("POST", "document"): self._change_document,
            ("POST", "record"): lambda given: change_record(self._company({"company": given.get("company")}), given),
        }

    def handle(self, request: Request, client: str) -> Reply:
        """Answer one control request; whatever is wrong with it is a 400 with a sentence."""
        if client not in _LOOPBACK:
            return json_reply(403, {"error": "the controls answer this machine only"})
        _, name, *rest = [*request.path.strip("/").split("/"), ""]
        handler = self._routes.get((request.method, name))
        if handler is None:
            return json_reply(404, {"error": f"no control {request.method} /_sim/{name}"})
        try:
            given = json.loads(request.body or b"{}")
            given |= {"key": unquote(rest[0])} if rest and rest[0] else {}
            return json_reply(200, handler(given))
        except (ValueError, TypeError, KeyError, AttributeError, ApiError) as exc:
            return json_reply(400, {"error": f"{type(exc).__name__}: {exc}"})

    def _state(self, _given: Json) -> Json:
        companies = self._world.companies()
        drafts = {company.id: _count_drafts(company) for company in companies}
        tally = self._api.throttle.tally
        return {
            "drafts": sum(drafts.values()),
            "drafts_by_company": drafts,
            "posted": sum(len(company.table("salesInvoices").rows) for company in companies) - sum(drafts.values()),
            "credit_memos": sum(len(company.table("salesCreditMemos").rows) for company in companies),
            "customers": sum(len(company.table("customers").rows) for company in companies),
            "items": sum(len(company.table("items").rows) for company in companies),
            "writes": self._world.core.writes,
            "late_writes": self._journal.late,
            "requests": dict(self._api.requests),
            "statuses": {str(status): count for status, count in self._api.statuses.items()},
            "throttled": tally.throttled,
            "queue_timeouts": tally.queue_timeouts,
            "queued_peak": tally.queued_peak,
            "max_concurrency": tally.max_concurrency,
            "tokens_issued": self._sign_in.issued,
            "faults": dict(self._faults.applied),
        }

    def _company(self, given: Json) -> Company:
        wanted = given.get("key") or given.get("company")
        for company in self._world.companies():
            if wanted in {None, company.name, company.id}:
                return company
        raise KeyError(wanted)

    def _dump(self, given: Json) -> Json:
        company = self._company(given)
        dump: Json = {"customers": [row.wire for row in company.table("customers").rows.values()]}
        for set_name, kind in KINDS.items():
            dump[set_name] = [
                row.wire | _hidden(document_of(row)) | {kind.lines_name: [line.wire for line in lines_of(row)]}
                for row in company.table(set_name).rows.values()
            ]
        return dump

    def _list_faults(self, _given: Json) -> Json:
        return self._faults.shown()

    def _add_faults(self, given: Json) -> Json:
        for rule in given.get("rules", [given]):
            self._faults.add(rule)
        return self._list_faults({})

    def _clear_faults(self, given: Json) -> Json:
        wanted = given.get("key")
        self._faults.remove(wanted)
        return self._list_faults({})

    def _seed_rng(self, given: Json) -> Json:
        self._world.ids.rng.seed(given["seed"])
        return {"seed": given["seed"]}

    def _advance_clock(self, given: Json) -> Json:
        self._world.clock.advance(float(given["advance_seconds"]))
        return {"now": self._world.clock.stamp()}

    def _revoke(self, given: Json) -> Json:
        return {"revoked": self._sign_in.revoke(given["client_id"])}

    def _set_outage(self, given: Json) -> Json:
        self._world.switches.outage = bool(given["on"])
        return {"on": self._world.switches.outage}

    def _set_limits(self, given: Json) -> Json:
        self._api.throttle.limits.change(given)
        return self._api.throttle.limits.shown()

    def _set_replica(self, given: Json) -> Json:
        self._world.core.replica_lag = float(given["lag_seconds"])
        return {"lag_seconds": self._world.core.replica_lag}

    def _set_answers(self, given: Json) -> Json:
        return self._world.core.readings.change(given)

    def _set_permissions(self, given: Json) -> Json:
        """Hide drafts or posted documents from one user, or from all (`*`)."""
        user = given.get("user", "*")
        switches = self._world.switches
        for name, users in (("hide_drafts", switches.hide_drafts), ("hide_posted", switches.hide_posted)):
            if name in given:
                (users.add if given[name] else users.discard)(user)
        return {"hide_drafts": sorted(switches.hide_drafts), "hide_posted": sorted(switches.hide_posted)}

    def _set_sign_in(self, given: Json) -> Json:
        switches = self._sign_in.switches
        switches.auto_approve = bool(given.get("auto_approve", switches.auto_approve))
        switches.device_interval_seconds = float(given.get("device_interval_seconds", switches.device_interval_seconds))
        switches.user = str(given.get("user", switches.user))
        self._tokens.lifetime = int(given.get("token_lifetime_seconds", self._tokens.lifetime))
        return {
            "auto_approve": switches.auto_approve,
            "device_interval_seconds": switches.device_interval_seconds,
            "user": switches.user,
            "token_lifetime_seconds": self._tokens.lifetime,
        }

    def _answer_device(self, given: Json) -> Json:
        return {"found": self._sign_in.answer_device(given["user_code"], approve=bool(given.get("approve", True)))}

    def _change_app(self, given: Json) -> Json:
        """Change an app: its secret, whether the secret has expired, whether Business Central knows it."""
        changed = [app for app in self._world.apps.values() if app.client_id == given["client_id"]]
        for app in changed:
            app.client_secret = given.get("client_secret", app.client_secret)
            app.secret_expired = bool(given.get("secret_expired", app.secret_expired))
            app.registered = bool(given.get("registered", app.registered))
        return {"changed": len(changed)}

    def _change_document(self, given: Json) -> Json:
        return change_document(self._company({"company": given.get("company")}), given)


def _hidden(document: SalesDocument) -> Json:
    """Show what the API does not tell of a document."""
    return {"_posted": document.posted, "_paymentDiscountPercent": to_wire(document.payment_discount)}


def _count_drafts(company: Company) -> int:
    return sum(not document_of(row).posted for row in company.table("salesInvoices").rows.values())
