"""What `hub connections add` finds out before anything is saved: key, sign-in, company, where lines are booked."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from pydantic import SecretStr, ValidationError

from connectors.business_central.entra import fetch_tenant_id
from connectors.business_central.models import Company
from connectors.stripe.models import StripeAccount
from hub.app import Foundation
from hub.cli.line_target import build_unnamed
from hub.cli.neighbours import list_neighbours, note_neighbours, spell_as_stored
from hub.cli.settings_file import build_settings, merge_values
from hub.cli.settings_ids import StripeObjects, find_missing, list_new_ids
from hub.cli.settings_lists import list_problems
from hub.cli.settings_names import BcLists, fetch_names, find_problems, list_names, tell_lines
from hub.cli.time_zone import ChosenZone, choose_time_zone, describe_zone_risk, names_time_zone
from hub.clients import Clients
from hub.directory import Directory, Snapshot
from hub.redis import connection_key, run
from hub.refused_signatures import RefusedSignatures
from schemas.connections import Connection, ConnectionSecrets, SignIn
from schemas.errors import ConfigurationError, Refused
from schemas.invoice_settings import STORED
from schemas.settings import Settings

Say = Callable[[str], None]
SignInByCode = Callable[[Clients, Connection, Directory], Awaitable[None]]
"""Lets a person sign in by device code, and stores the sign-in in the directory given."""


@dataclass(frozen=True)
class ConnectionRequest:
    """What the operator gave. None means: as it was, or the default."""

    stripe_account: str
    stripe_key: SecretStr
    webhook_secrets: tuple[SecretStr, ...]
    bc_tenant: str
    bc_environment: str
    bc_company: str
    bc_client_id: str
    bc_client_secret: SecretStr | None
    sign_in: SignIn = "client_credentials"
    go_live: datetime | None = None
    dry_run: bool | None = None
    settings_file: dict[str, Any] = field(default_factory=dict[str, Any])
    """Settings by name, as a file gives them: all or some."""
    settings_changes: dict[str, Any] = field(default_factory=dict[str, Any])
    """Settings by name, as options give them."""


@dataclass(frozen=True)
class PreparedConnection:
    """A connection that was checked, not yet saved."""

    connection: Connection
    secrets: ConnectionSecrets
    settings: Settings
    account: StripeAccount
    lines: str
    """The account or item that lines are booked on, as it is called in Business Central."""
    zone: ChosenZone
    sign_in_cache: str | None
    replaces: bool
    ends_dry_run: bool
    remarks: tuple[str, ...]


class StripeAccounts(Protocol):
    """Tells whom a key belongs to."""

    async def fetch_account(self) -> StripeAccount:
        """Return the account and mode of the key."""
        ...


async def prepare_connection(
    foundation: Foundation, request: ConnectionRequest, *, say: Say, sign_in_by_code: SignInByCode
) -> PreparedConnection:
    """Check everything, and write nothing.

    Raises:
        HubError: what is wrong, and what to change.
    """
    stripe = foundation.clients.build_stripe(request.stripe_key.get_secret_value())
    account = await check_stripe_key(stripe, request.stripe_account)
    say(f"Stripe: the key belongs to {_name(account)}, {'live' if account.livemode else 'test'} mode.")
    desk = _SignInDesk(foundation)
    try:
        return await _prepare(foundation, request, account, desk, say, sign_in_by_code)
    finally:
        await desk.clients.close()


async def save_connection(foundation: Foundation, prepared: PreparedConnection) -> None:
    """Save a checked connection. What blocked an earlier one with the same parts is over: all was just tried."""
    connection = prepared.connection.id
    if prepared.sign_in_cache is not None:
        await foundation.directory.build_token_store(connection).save(prepared.sign_in_cache)
    await foundation.directory.add(prepared.connection, prepared.secrets, prepared.settings)
    await RefusedSignatures(foundation.redis).forget(prepared.connection.stripe_account)
    await release_connection(foundation, connection)


async def release_connection(foundation: Foundation, connection: str) -> int:
    """Clear what blocks a connection, and let all that waits be due now; returns how many wait."""
    snapshot = await foundation.directory.load(connection)
    for system in snapshot.blocks:
        await foundation.directory.save_block(connection, system, None)
    return await foundation.waiting.make_due(connection, foundation.clock.now())


async def load_without_secrets(foundation: Foundation, connection: str) -> tuple[Connection, Settings] | None:
    """Load a connection whose secrets may be unreadable, because their key is lost; None if nothing can be read."""
    fields = await run(foundation.redis.hmget(connection_key(connection), "connection", "settings"))
    if fields[0] is None or fields[1] is None:
        return None
    try:
        settings = Settings.model_validate_json(fields[1], extra="ignore", context={STORED: True})
        return Connection.model_validate_json(fields[0]), settings
    except ValueError:
        return None


async def check_stripe_key(stripe: StripeAccounts, wanted: str) -> StripeAccount:
    """Make sure that the key belongs to the account.

    Raises:
        Refused: it belongs to another one.
    """
    account = await stripe.fetch_account()
    if account.id != wanted:
        raise Refused(
            f"The Stripe key belongs to {_name(account)}, not to {wanted}.",
            code="stripe.account.different",
            fix=f"Give a key of {wanted}, or --stripe-account {account.id}.",
        )
    return account


def choose_company(companies: Sequence[Company], wanted: str) -> Company:
    """Find a company by its name, else by its display name, without regard to case.

    Raises:
        Refused: there is none, or several; the companies that were found are named.
    """
    folded = wanted.strip().casefold()
    by_name = [one for one in companies if one.name.casefold() == folded]
    found = by_name or [one for one in companies if one.display_name.casefold() == folded]
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(one.name) for one in companies) or "none that the app may see"
    raise Refused(
        f"{'Several companies are' if found else 'No company is'} called {wanted!r} in this environment of Business "
        f"Central. Found: {names}.",
        code="bc.company.unknown",
        fix="Give one of these with --bc-company. If yours is missing, let the app in: Microsoft Entra Applications.",
    )


def merge_settings(request: ConnectionRequest, stored: Settings | None) -> Settings:
    """Start from what was stored, else from the defaults; then apply the file, then the options.

    Raises:
        ConfigurationError: a value is not allowed.
    """
    base = (stored or Settings()).model_dump()
    return build_settings(merge_values(merge_values(base, request.settings_file), request.settings_changes))


class _OneSlot:
    """Holds one value in memory under whatever key, in place of Redis: a sign-in that is not to be saved yet."""

    def __init__(self) -> None:
        self._value: str | None = None

    async def get(self, _key: str) -> str | None:
        return self._value

    async def set(self, _key: str, value: str) -> None:
        self._value = value


class _SignInDesk:
    """Clients whose sign-in tokens stay in memory until the connection is saved."""

    def __init__(self, foundation: Foundation) -> None:
        self.directory = Directory(_OneSlot(), foundation.directory.box, foundation.clock)
        self.clients = Clients(foundation.config, foundation.redis, self.directory)


async def _prepare(
    foundation: Foundation,
    request: ConnectionRequest,
    account: StripeAccount,
    desk: _SignInDesk,
    say: Say,
    sign_in_by_code: SignInByCode,
) -> PreparedConnection:
    secrets = ConnectionSecrets(
        stripe_key=request.stripe_key,
        webhook_secrets=request.webhook_secrets,
        bc_client_secret=request.bc_client_secret,
    )
    draft = _build_connection(request, account, foundation.clock.now())
    if request.sign_in == "delegated":
        await sign_in_by_code(desk.clients, draft, desk.directory)
    bc = desk.clients.build_business_central(_build_snapshot(draft, secrets, Settings()))
    company = choose_company(await bc.fetch_companies(), request.bc_company)
    say(f"Business Central: signed in, company {company.name!r} found.")
    tenant_id = await fetch_tenant_id(desk.clients.build_entra_app(draft, request.bc_client_secret))
    names = {"bc_company": company.name, "bc_company_id": company.id, "bc_tenant_id": tenant_id}
    given = draft.model_copy(update=names)
    neighbours = await list_neighbours(foundation, given)
    known = spell_as_stored(given, neighbours)
    stored = await load_without_secrets(foundation, known.id)
    merged = merge_settings(request, stored[1] if stored else None)
    is_given = names_time_zone(request.settings_file, request.settings_changes)
    zone = choose_time_zone(merged, is_given=is_given, is_new=stored is None, told=account.time_zone)
    settings = merged.model_copy(update={"time_zone": zone.name})
    bc = desk.clients.build_business_central(_build_snapshot(known, secrets, settings))
    stripe = foundation.clients.build_stripe(request.stripe_key.get_secret_value())
    lines, doubts = await check_settings(settings, bc, stripe, stored[1] if stored else None)
    connection = _keep_history(known, stored[0] if stored else None, request)
    return PreparedConnection(
        connection=connection,
        secrets=secrets,
        settings=settings,
        account=account,
        lines=lines,
        zone=zone,
        sign_in_cache=await desk.directory.build_token_store(known.id).load(),
        replaces=stored is not None,
        ends_dry_run=stored is not None and stored[0].dry_run and not connection.dry_run,
        remarks=(
            *note_neighbours(given, known, neighbours, settings),
            *_list_remarks(foundation, request, settings, account),
            *doubts,
        ),
    )


async def check_settings(
    settings: Settings, bc: BcLists, stripe: StripeObjects, stored: Settings | None
) -> tuple[str, list[str]]:
    """Look up all that the settings name; returns what lines are booked on, and what is wrong with stored settings.

    New keys must get in, whatever has become of what the settings named before.

    Raises:
        ConfigurationError: no account is named for lines, or something can't be meant so, or is not there.
    """
    if settings.invoices.lines is None:
        raise build_unnamed(await bc.fetch_accounts())
    company = await fetch_names(bc, list_names(settings))
    missing = await find_missing(stripe, list_new_ids(settings, stored))
    problems = [*list_problems(settings), *missing, *find_problems(settings, company)]
    if problems and settings != stored:
        raise build_wrong_names(problems)
    return tell_lines(settings, company), problems


def build_wrong_names(problems: Sequence[str]) -> ConfigurationError:
    """Say that settings name what is not there, one sentence each."""
    return ConfigurationError("\n".join([*problems, "Nothing was saved."]), code="settings.names.wrong")


def _build_connection(request: ConnectionRequest, account: StripeAccount, now: datetime) -> Connection:
    try:
        return Connection(
            stripe_account=account.id,
            livemode=account.livemode,
            bc_tenant=request.bc_tenant,
            bc_environment=request.bc_environment,
            bc_company=request.bc_company,
            bc_company_id="",
            bc_client_id=request.bc_client_id,
            sign_in=request.sign_in,
            created_at=now,
            # Stripe tells time in whole seconds: an invoice finalized in this very second counts as after.
            go_live=request.go_live or now.replace(microsecond=0),
            dry_run=bool(request.dry_run),
        )
    except ValidationError as error:
        words = "\n".join(
            f"--{str(one['loc'][0]).replace('_', '-')}: {one['msg']}." for one in error.errors(include_url=False)
        )
        raise ConfigurationError(words, code="connection.invalid") from None


def _keep_history(connection: Connection, stored: Connection | None, request: ConnectionRequest) -> Connection:
    """Adding again changes what was given: new keys must not move the go-live date, or end a pause."""
    if stored is None:
        return connection
    kept: dict[str, Any] = {"created_at": stored.created_at, "paused": stored.paused, "plan": stored.plan}
    if request.go_live is None:
        kept["go_live"] = stored.go_live
    if request.dry_run is None:
        kept["dry_run"] = stored.dry_run
    return connection.model_copy(update=kept)


def _build_snapshot(connection: Connection, secrets: ConnectionSecrets, settings: Settings) -> Snapshot:
    return Snapshot(connection, secrets, settings, settings_version=0, blocks={})


def _list_remarks(
    foundation: Foundation, request: ConnectionRequest, settings: Settings, account: StripeAccount
) -> list[str]:
    """List what works but wants attention."""
    remarks = list(settings.describe_risks())
    if risk := describe_zone_risk(settings, account.time_zone):
        remarks.append(risk)
    if request.go_live is not None and request.go_live > foundation.clock.now():
        remarks.append(f"The go-live date {request.go_live:%Y-%m-%d} is to come: until then no invoice is drafted.")
    if not request.webhook_secrets:
        remarks.append(
            "No webhook secret: invoices arrive by polling Stripe's events every "
            f"{foundation.config.catch_up_seconds:g} s. For webhooks, add again with --webhook-secret."
        )
    return remarks


def _name(account: StripeAccount) -> str:
    return f"{account.id} ({account.name})" if account.name else account.id
