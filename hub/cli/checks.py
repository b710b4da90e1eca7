"""Checks: one sentence each, and how to fix what is wrong. What a connection needs; `hub doctor` adds the rest."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any, Literal

from rich.text import Text

from connectors.business_central.limiter import RedisLimiter
from hub.app import Foundation
from hub.cli.connect import check_stripe_key
from hub.cli.screen import print_json
from hub.cli.settings_ids import find_missing, list_ids
from hub.cli.settings_lists import list_dropped_rules, list_problems
from hub.cli.settings_names import fetch_names, find_problems, find_taxed, list_names, tell_lines
from hub.cli.time_zone import describe_zone_risk
from hub.cli.wording import NO_COUNTRY_RISK, name_command, say, show_table
from hub.clients import get_limiter_key
from hub.directory import Snapshot
from hub.gate import describe_system
from hub.redis import connection_key, run
from hub.refused_signatures import Refusals, RefusedSignatures
from mapping.taxes import LearnedVat
from schemas.connections import Connection
from schemas.customer_settings import CustomerSettings
from schemas.errors import HubError, Refused
from services.ingest.decide import list_event_types

Verdict = Literal["ok", "warning", "problem", "skipped"]
_MARKS: dict[Verdict, Text] = {
    "ok": Text("✓", "green"),
    "warning": Text("!", "yellow"),
    "problem": Text("✗", "bold red"),
    "skipped": Text("-", "dim"),
}
# A filter that matches nothing still shows whether the app may ask.
_NOBODY = "HUB-CHECK-0"
_NO_TEMPLATE = (
    "Add a template for it under API Setup in Business Central; or, for those without a country, name one in the "
    "settings (customers.new.without_country)."
)
_SLOW = timedelta(seconds=2)
_MOST_COUNTED = 500
_CORRECT = "Correct the settings and import them, or make what is missing in Business Central. To see them: "
_SIGNED_WITH_ANOTHER = (
    "Copy the signing secret of this very endpoint in Stripe (Developers, Webhooks), and add the connection again with "
    "--webhook-secret. Until then invoices arrive by polling."
)


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and what to do."""

    name: str
    verdict: Verdict
    words: str
    fix: str = ""
    subject: str = ""
    """The connection, if it is about one."""


async def try_check(name: str, look: Callable[[], Awaitable[str | Check]], fix: str = "") -> Check:
    """Run one look. A sentence means that all is well; a HubError says what is not."""
    try:
        found = await look()
    except HubError as error:
        return Check(name, "problem", error.message, getattr(error, "fix", "") or fix)
    return found if isinstance(found, Check) else Check(name, "ok", found)


async def check_connection(foundation: Foundation, snapshot: Snapshot) -> list[Check]:
    """Try all that a connection needs, without writing."""
    looks = _ConnectionLooks(foundation, snapshot)
    company = await try_check(
        "Sign-in and company", looks.company, "Check the sign-in: see docs/cli.md, connections add."
    )
    return [
        await try_check("Stripe key", looks.stripe_key, "Add the connection again with a working key."),
        await try_check("Stripe events", looks.stripe_events, "Give the restricted key the permission Events: Read."),
        await try_check("Stripe invoices", looks.stripe_invoices, "Give the restricted key Invoices: Write."),
        await try_check("Webhook secret", looks.webhooks),
        company,
        *await _check_books(looks, company),
        await try_check("Request limiter", looks.limiter),
        await try_check("Time zone", looks.time_zone),
        looks.settings(),
        looks.state(),
    ]


async def _check_books(looks: "_ConnectionLooks", company: Check) -> list[Check]:
    """Look into Business Central; where it can't be asked at all, each of these would blame something else for it."""
    books = {
        "Customers": (looks.customers, "Give the app permission to read and insert customers."),
        "Sales invoices": (looks.invoices, "Give the app permission to read drafts and posted invoices."),
        "Names in the settings": (looks.names, looks.correct),
        "New customers": (looks.new_customers, ""),
    }
    if company.verdict == "problem":
        return [Check(name, "skipped", "not checked: see above") for name in books]
    return [await try_check(name, look, fix) for name, (look, fix) in books.items()]


def judge_webhooks(secrets: int, refusals: Refusals | None) -> Check:
    """Say whether webhooks get in: what was refused tells of a wrong secret, or of a wrong clock."""
    counts = refusals.counts if refusals else {}
    unproved = counts.get("wrong_signature", 0) + counts.get("no_secret", 0)
    untimely = counts.get("too_old", 0) + counts.get("from_the_future", 0)
    words = f"{secrets} stored" if secrets else "none stored: webhooks are refused, invoices arrive by polling"
    if refusals is None or not unproved + untimely:
        fix = "" if secrets else "Add the connection again with --webhook-secret."
        return Check("Webhook secret", "ok" if secrets else "warning", words, fix)
    when = f"since {refusals.since:%Y-%m-%d %H:%M} UTC, last {refusals.last:%H:%M}"
    if unproved:
        words = f"{words}; {unproved} webhooks {'signed with another one' if secrets else 'came'} {when}"
        return Check("Webhook secret", "warning", words, _SIGNED_WITH_ANOTHER)
    words = f"{words}; {untimely} webhooks too late or from the future {when}"
    return Check(
        "Webhook secret", "warning", words, "Check this machine's clock, and what holds webhooks up on the way."
    )


def judge_new_customers(settings: CustomerSettings, unbillable: Sequence[str]) -> Check:
    """Say whether drafts can be made for new customers; `unbillable` as it was learned: `DE/Company`."""
    name = "New customers"
    if not settings.create_missing:
        return Check(name, "ok", "none are created")
    if unbillable:
        countries = dict.fromkeys(one.partition("/")[0] for one in unbillable)
        where = ", ".join(f"country {country}" if country else "no country" for country in countries)
        words = f"Business Central gave the last new one with {where} no posting groups, so it refuses their invoices"
        return Check(name, "warning", words, _NO_TEMPLATE)
    if settings.new.without_country is None:
        return Check(name, "ok", f"are created where nobody matches; {NO_COUNTRY_RISK}")
    return Check(name, "ok", "are created where nobody matches")


def judge_untold(untold: Mapping[str, str], connection: str) -> Check:
    """Say whether Stripe's metadata tell what became of each invoice; what they do not, only the hub knows."""
    if not untold:
        return Check("Metadata", "ok", "Stripe takes what became of the invoices")
    invoice, why = next(iter(untold.items()))
    words = f"{len(untold)} invoices do not say what became of them, one is {invoice}: {why}"
    return Check(
        "Metadata", "warning", words, f"Remove the cause, then: {name_command(f'replay {invoice}', connection)}"
    )


async def tell_count(found: AsyncIterator[object]) -> str:
    """Count what is found; a busy account has thousands, and each hundred is a request."""
    count = 0
    async for _ in found:
        count += 1
        if count == _MOST_COUNTED:
            return f"at least {count}"
    return str(count or "none")


def count_problems(checks: Sequence[Check]) -> int:
    """Count what is wrong."""
    return sum(check.verdict == "problem" for check in checks)


def show_checks(checks: Sequence[Check], *, as_json: bool) -> None:
    """Print checks as a table, or as JSON."""
    if as_json:
        print_json({"ok": not count_problems(checks), "checks": [asdict(check) for check in checks]})
        return
    for subject, group in groupby(checks, key=lambda check: check.subject):
        if subject:
            say((f"\n{subject}", "bold"))
        show_table(("", "Check", "Result", "How to fix"), [_to_cells(check) for check in group])


def _to_cells(check: Check) -> tuple[Text | str, ...]:
    return _MARKS[check.verdict], check.name, check.words, check.fix if check.verdict != "ok" else ""


@dataclass(frozen=True)
class _ConnectionLooks:
    foundation: Foundation
    snapshot: Snapshot

    @property
    def _connection(self) -> Connection:
        return self.snapshot.connection

    @property
    def _resume(self) -> str:
        return name_command("connections resume", self._connection.id)

    @property
    def correct(self) -> str:
        """Say how settings are mended."""
        return _CORRECT + name_command("settings export", self._connection.id)

    async def stripe_key(self) -> str:
        stripe = self.foundation.clients.stripe(self.snapshot)
        account = await check_stripe_key(stripe, self._connection.stripe_account)
        if account.livemode != self._connection.livemode:
            raise Refused("The Stripe key is of the other mode, live or test.", code="stripe.account.mode")
        return f"belongs to {account.id}, {'live' if account.livemode else 'test'} mode"

    async def stripe_events(self) -> str:
        hour_ago = self.foundation.clock.now() - timedelta(hours=1)
        events = self.foundation.clients.stripe(self.snapshot).list_events(
            types=list_event_types(self.snapshot.settings), created_gte=int(hour_ago.timestamp())
        )
        return f"can be read; {await tell_count(events)} in the last hour"

    async def stripe_invoices(self) -> str:
        async for _ in self.foundation.clients.stripe(self.snapshot).list_invoices():
            break
        return "can be read; writing metadata is proved by the first result"

    async def webhooks(self) -> Check:
        refusals = await RefusedSignatures(self.foundation.redis).load(self._connection.stripe_account)
        return judge_webhooks(len(self.snapshot.secrets.webhook_secrets), refusals)

    async def company(self) -> str:
        companies = await self.foundation.clients.business_central(self.snapshot).fetch_companies()
        if all(one.id != self._connection.bc_company_id for one in companies):
            names = ", ".join(one.name for one in companies) or "none"
            raise Refused(
                f"The company {self._connection.bc_company!r} is not there any more. Found: {names}.",
                code="bc.company.unknown",
                fix="Connect to one of these: hub connections add.",
            )
        return f"signed in, {self._connection.bc_company!r} is there"

    async def customers(self) -> str:
        await self.foundation.clients.business_central(self.snapshot).find_customer(_NOBODY)
        return "may be asked for"

    async def invoices(self) -> Check:
        """Business Central hides rows where a permission is missing: only a draft that was seen again proves it."""
        await self.foundation.clients.business_central(self.snapshot).find_invoices(_NOBODY)
        if self.snapshot.proved:
            return Check("Sales invoices", "ok", "may be asked for, and the first draft was seen again")
        words = "may be asked for; that drafts are not hidden is proved by the first one made"
        return Check("Sales invoices", "ok", words)

    async def names(self) -> str | Check:
        """Look up what the settings name, in Stripe's lists and in Business Central's."""
        settings, bc = self.snapshot.settings, self.foundation.clients.business_central(self.snapshot)
        if settings.invoices.lines is None:
            raise Refused("No account or item is set for invoice lines.", code="settings.lines.missing")
        names = list_names(settings)
        company = await fetch_names(bc, names)
        rates = [one for one in list_ids(settings) if one.kind == "tax rate"]
        problems = [
            *list_dropped_rules(await self._load_stored()),
            *await find_missing(self.foundation.clients.stripe(self.snapshot), rates),
            *list_problems(settings),
            *find_problems(settings, company),
            *find_taxed(settings, await self._load_shown()),
        ]
        if problems:
            return Check("Names in the settings", "problem", "\n".join(problems), self.correct)
        return f"all {len(names) + len(rates)} are there; lines are booked on {tell_lines(settings, company)}"

    async def new_customers(self) -> Check:
        """Business Central gives a customer without a country, or of one without a template, no posting groups."""
        company = self._connection.company_key
        seen = await self.foundation.mapper.learned.list_unbillable(company, self.foundation.clock.now())
        return judge_new_customers(self.snapshot.settings.customers, seen)

    async def _load_shown(self) -> dict[str, LearnedVat]:
        """Load what VAT Business Central has shown, by the code of the customers' group."""
        areas = await self.foundation.clients.business_central(self.snapshot).fetch_list("taxAreas", ("id", "code"))
        learned, company = self.foundation.mapper.learned, self._connection.company_key
        return {str(area["code"]): await learned.load_vat(company, str(area["id"])) for area in areas}

    async def _load_stored(self) -> dict[str, Any]:
        """Load the settings as they were saved."""
        stored = await run(self.foundation.redis.hget(connection_key(self._connection.id), "settings"))
        return json.loads(stored) if stored else {}

    async def limiter(self) -> Check:
        begin = time.monotonic()
        async with RedisLimiter(self.foundation.redis, get_limiter_key(self._connection)).slot():
            waited = timedelta(seconds=time.monotonic() - begin)
        words = f"a slot was free after {waited.total_seconds() * 1000:.0f} ms"
        if waited < _SLOW:
            return Check("Request limiter", "ok", words)
        return Check("Request limiter", "warning", words, "Business Central's limits are used up for now; it recovers.")

    async def time_zone(self) -> Check:
        """A zone that nobody chose is UTC; Stripe's dashboard may know better."""
        settings = self.snapshot.settings
        told = (await self.foundation.clients.stripe(self.snapshot).fetch_account()).time_zone
        risk = describe_zone_risk(settings, told)
        return Check("Time zone", "warning" if risk else "ok", risk or f"days are counted in {settings.time_zone}")

    def settings(self) -> Check:
        if risks := self.snapshot.settings.describe_risks():
            return Check(
                "Settings", "warning", " ".join(risks), "Change doubt_window in the settings, and import them."
            )
        return Check("Settings", "ok", f"version {self.snapshot.settings_version}")

    def state(self) -> Check:
        if self._connection.paused:
            return Check("State", "warning", "paused by a person", self._resume)
        for system, block in self.snapshot.blocks.items():
            words = f"blocked on {describe_system(system)} since {block.since:%Y-%m-%d %H:%M} UTC: {block.message}"
            return Check("State", "problem", words, f"Repair the cause; it goes on by itself, or: {self._resume}")
        return Check("State", "ok", "dry run: nothing is written" if self._connection.dry_run else "active")
