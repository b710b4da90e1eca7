"""Connecting, checking and replaying from the command line, against both simulators."""

import asyncio
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from hub.broker import apply_topics
from hub.cli.demo.simulators import BC_COMPANY, Simulators, run_simulators
from hub.ledger import Incarnation
from hub.redis import INCARNATION
from hub.refused_signatures import RefusedSignatures
from simulators.business_central.default_seed import DOMAIN, TENANT
from tests.brokers import Broker
from tests.pipeline.cli_harness import Ended, HubProcess, build_add_words, build_environment, name_simulators

pytestmark = pytest.mark.asyncio(loop_scope="module")
_NO_BROKER = "127.0.0.1:1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def simulators(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Simulators]:
    """A Stripe and a Business Central for all tests here; each leaves them as it found them."""
    async with run_simulators(tmp_path_factory.mktemp("simulators")) as running:
        yield running


@pytest.fixture
def hub(redis_url: str, tmp_path: Path, simulators: Simulators) -> HubProcess:
    """The command line on an empty ledger. Connecting needs no broker."""
    environment = build_environment(_NO_BROKER, redis_url, tmp_path)
    return HubProcess({**environment, **name_simulators(simulators)})


async def finalize_invoices(simulators: Simulators, count: int) -> list[str]:
    body = {"invoices": count, "customers": 1, "seed": 1, "mode": "finalize", "wait": True}
    job: dict[str, Any] = await simulators.call(simulators.stripe, "POST", "bulk", body)
    return job["ids"]


async def begin_life(redis_url: str) -> None:
    """Let the ledger be older than any invoice."""
    life = Incarnation(id="life", born_at=datetime(2020, 1, 1, tzinfo=UTC))
    async with Redis.from_url(redis_url) as redis:
        await redis.set(INCARNATION, life.model_dump_json())


async def test_a_connection_is_added_and_says_account_and_time_zone(hub: HubProcess, simulators: Simulators) -> None:
    words = build_add_words(simulators, company=BC_COMPANY.upper())
    added = await hub(*words, "--line-account", "6110", "--webhook-secret", "whsec_x", "--go-live", "2062-01-01")

    assert added.code == 0, added.err
    assert "Invoice lines are booked on account 6110" in added.out
    assert "The go-live date 2062-01-01 is to come" in added.out
    assert "Days are counted in Etc/UTC, as the account's dashboard in Stripe says" in added.out
    assert f"POST /webhooks/stripe/{simulators.stripe['account']}" in added.out
    assert simulators.stripe["api_key"] not in added.out + added.err
    (row,) = (await hub("connections", "list", "--json")).json
    assert (row["bc_company"], row["state"], row["webhook_secrets"]) == (BC_COMPANY, "active", 1)


async def test_without_an_account_for_lines_nothing_is_guessed(hub: HubProcess, simulators: Simulators) -> None:
    added = await hub(*build_add_words(simulators))

    assert added.code == 2
    assert "The hub does not choose one" in added.err
    assert "  6110  " in added.err
    assert (await hub("connections", "list", "--json")).json == []


async def test_the_time_zone_is_that_of_the_accounts_dashboard_or_must_be_given(
    hub: HubProcess, simulators: Simulators
) -> None:
    """An invoice finalized on 31 December, 23:30 UTC, belongs to January in Copenhagen."""
    for account, zone in (("acct_copenhagen", "Europe/Copenhagen"), ("acct_silent", None)):
        body = {"account": account, "api_keys": [f"sk_test_{account}"], "timezone": zone}
        await simulators.call(simulators.stripe, "POST", "accounts", body)

    async def add(account: str, *words: str) -> Ended:
        given = [account if word == simulators.stripe["account"] else word for word in build_add_words(simulators)]
        return await hub(*given, "--line-account", "6110", "--json", *words, STRIPE_API_KEY=f"sk_test_{account}")

    taken, silent = await add("acct_copenhagen"), await add("acct_silent")
    given = await add("acct_silent", "--time-zone", "Europe/Berlin")

    assert (taken.json["time_zone"], taken.json["time_zone_from"]) == ("Europe/Copenhagen", "stripe")
    stored = (await hub("settings", "show", "--connection", "acct_copenhagen", "--json")).json
    assert stored["settings"]["time_zone"] == "Europe/Copenhagen"
    assert (silent.code, "Give it with --time-zone" in silent.err) == (2, True)
    assert given.json["time_zone"] == "Europe/Berlin"


async def test_adding_again_replaces_keys_and_keeps_the_rest(hub: HubProcess, simulators: Simulators) -> None:
    words = build_add_words(simulators)
    first = (await hub(*words, "--line-account", "6110", "--go-live", "2026-01-31", "--dry-run", "--json")).json
    assert (first["replaced"], first["dry_run"], first["go_live"]) == (False, True, "2026-01-31T00:00:00+00:00")
    assert "No webhook secret" in first["remarks"][0]
    assert len(first["remarks"]) == 1
    assert (await hub("connections", "pause")).code == 0

    secrets = ("--webhook-secret", "whsec_1", "--webhook-secret", "whsec_2")
    again = (await hub(*words, *secrets, "--doubt-window", "4", "--json")).json

    assert "below 16 minutes, an invoice whose answer was lost can be drafted twice" in again["remarks"][0]
    kept = ("connection", "go_live", "dry_run", "lines")
    assert {name: again[name] for name in kept} == {name: first[name] for name in kept}
    assert again["replaced"]
    assert again["paused"]
    assert (await hub("connections", "show", "--json")).json["webhook_secrets"] == 2


async def test_adding_again_may_end_a_dry_run_and_says_what_is_left_to_do(
    hub: HubProcess, simulators: Simulators
) -> None:
    words = [*build_add_words(simulators), "--line-account", "6110", "--go-live", "2026-01-31"]
    begun = await hub(*words, "--dry-run")
    assert "End it with: hub connections live" in begun.out
    assert "hub replay" not in begun.out

    ended = await hub(*words, "--no-dry-run")

    assert "hub replay --since 2026-01-31T00:00:00Z" in ended.out
    assert (await hub("connections", "show", "--json")).json["state"] == "active"


async def test_another_spelling_of_the_same_company_is_the_same_connection(
    hub: HubProcess, simulators: Simulators
) -> None:
    """Under the tenant's domain it would be a second connection, which drafts every invoice once more."""
    words = build_add_words(simulators)
    first = (await hub(*words, "--line-account", "6110", "--json")).json
    again = (await hub(*words, "--bc-tenant", DOMAIN, "--webhook-secret", "whsec_1", "--json")).json

    assert (again["connection"], again["replaced"]) == (first["connection"], True)
    assert f"connected with this company already, as {first['connection']}: tenant {TENANT}" in again["remarks"][0]
    (row,) = (await hub("connections", "list", "--json")).json
    assert (row["bc_tenant"], row["webhook_secrets"]) == (TENANT, 1)
    assert (await hub("connections", "test")).code == 0


@pytest.mark.parametrize(
    ("words", "environment", "told"),
    [
        (["--line-account", "99999"], {}, "Business Central has no G/L account 99999"),
        (["--line-item", "NOPE"], {}, "Business Central has no item NOPE"),
        (["--line-account", "6110", "--tax-code", "STANDART"], {}, "tax group STANDART. Did you mean STANDARD?"),
        (["--bc-company", "Contoso"], {}, f"Found: '{BC_COMPANY}'"),
        (["--stripe-account", "acct_another"], {}, "not to acct_another"),
        (["--time-zone", "Denmark"], {}, "'Denmark' is no IANA time zone"),
        ([], {"BC_CLIENT_SECRET": "wrong"}, "client secret is not accepted"),
        ([], {"STRIPE_API_KEY": "sk_test_wrong"}, "Stripe"),
        (["--metadata-prefix", "a b"], {}, "metadata_prefix"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_saved(
    hub: HubProcess, simulators: Simulators, words: list[str], environment: dict[str, str], told: str
) -> None:
    added = await hub(*build_add_words(simulators), *words, **environment)

    assert added.code in {1, 2}
    assert told in " ".join(added.err.split())
    assert (await hub("connections", "list", "--json")).json == []


async def test_a_wrong_webhook_secret_is_told_until_it_is_replaced(
    hub: HubProcess, simulators: Simulators, redis_url: str
) -> None:
    words = [*build_add_words(simulators), "--line-account", "6110", "--webhook-secret", "whsec_1"]
    assert (await hub(*words)).code == 0
    async with Redis.from_url(redis_url) as redis:
        account = simulators.stripe["account"]
        await RefusedSignatures(redis).count(account, "wrong_signature", datetime.now(UTC))

    async def check() -> str:
        checks = (await hub("connections", "test", "--json")).json["checks"]
        return next(one["words"] for one in checks if one["name"] == "Webhook secret")

    assert "1 webhooks signed with another one" in await check()
    assert (await hub(*words)).code == 0
    assert await check() == "1 stored"


async def test_a_connection_is_tried_without_writing(hub: HubProcess, simulators: Simulators) -> None:
    assert (await hub(*build_add_words(simulators), "--line-account", "6110")).code == 0

    tested = await hub("connections", "test", "--json")

    assert tested.code == 0, tested.out
    assert {check["verdict"] for check in tested.json["checks"]} == {"ok", "warning"}
    await simulators.call(simulators.bc, "POST", "outage", {"on": True})
    try:
        broken = await hub("connections", "test", "--json")
    finally:
        await simulators.call(simulators.bc, "POST", "outage", {"on": False})
    assert broken.code == 1
    assert any(check["verdict"] == "problem" and check["fix"] for check in broken.json["checks"])


@pytest.mark.broker
async def test_a_replay_is_told_first_and_then_published(
    hub: HubProcess, broker: Broker, redis_url: str, simulators: Simulators
) -> None:
    await apply_topics(broker.bootstrap)
    hub = HubProcess({**hub.environment, "HUB_KAFKA_BOOTSTRAP": broker.bootstrap})
    await begin_life(redis_url)
    added = await hub(*build_add_words(simulators), "--line-account", "6110", "--go-live", "2020-01-01", "--json")
    invoices = await finalize_invoices(simulators, 3)

    told = await hub("replay", "--since", "2020-01-01", "--dry-run", "--json")
    published = await hub("replay", "--since", "2020-01-01", "--json")
    seen = await hub("events", "tail", "--no-follow", "--connection", added.json["connection"])

    assert told.code == 0, told.err
    assert {one["verdict"] for one in told.json["invoices"]} == {"create"}
    assert set(invoices) <= {one["invoice_id"] for one in told.json["invoices"]}
    assert set(invoices) <= set(published.json["published"])
    assert [one for one in invoices if one not in seen.out] == [], (seen, published)
    assert (await simulators.dump_bc())["salesInvoices"] == []


async def test_a_user_signs_in_by_device_code(hub: HubProcess, simulators: Simulators) -> None:
    await simulators.call(simulators.bc, "POST", "sign_in", {"device_interval_seconds": 1})
    words = [*build_add_words(simulators, client="demo-device"), "--line-account", "6110", "--login", "--json"]
    environment = {name: value for name, value in hub.environment.items() if name != "BC_CLIENT_SECRET"}
    hub = HubProcess(environment)

    added = await sign_in(hub, simulators, words)

    assert added.code == 0, added.err
    assert (await hub("connections", "show", "--json")).json["sign_in"] == "delegated"
    assert (await hub("connections", "test")).code == 0
    again = await sign_in(hub, simulators, ["connections", "login"])
    assert "Signed in." in again.out


async def sign_in(hub: HubProcess, simulators: Simulators, words: list[str]) -> Ended:
    """Run a command that waits for a sign-in, and sign in as the user it asks for."""
    process = await hub.start(*words)
    assert process.stderr is not None
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = (await process.stderr.readline()).decode()
        found = re.search(r"enter the code (\w+)", line)
        assert found, line
        await simulators.call(simulators.bc, "POST", "device", {"user_code": found[1]})
        out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def test_simulators_run_from_the_command_line(hub: HubProcess) -> None:
    process = await hub.start("simulate", "stripe", "--", "--port", "0")
    assert process.stdout is not None
    async with asyncio.timeout(30), httpx.AsyncClient() as http:
        ready = httpx.Response(200, content=await process.stdout.readline()).json()
        assert (await http.get(f"{ready['admin']}/state")).is_success
        process.terminate()
        await process.communicate()


async def count_writes(simulators: Simulators) -> tuple[Any, Any]:
    """How often either system was written to: sign-ins are no writes."""
    bc: dict[str, Any] = await simulators.call(simulators.bc, "GET", "state")
    stripe: dict[str, Any] = await simulators.call(simulators.stripe, "GET", "state")
    return bc["writes"], [count for route, count in stripe["requests"].items() if route.startswith("POST")]


async def test_a_preview_shows_customer_draft_and_totals_and_writes_nothing(
    hub: HubProcess, simulators: Simulators
) -> None:
    assert (await hub(*build_add_words(simulators), "--line-account", "6110", "--webhook-secret", "whsec_x")).code == 0
    (invoice_id,) = await finalize_invoices(simulators, 1)
    before = await count_writes(simulators)

    shown = await hub("preview", invoice_id, "--json")
    in_words = await hub("preview", invoice_id)
    table = await hub("preview", "--last", "5")
    (recorded,) = (Path(__file__).parents[1] / "recorded" / "stripe").glob("01_*.json")
    from_file = await hub("preview", "--file", str(recorded), "--json")
    samples = await hub("preview", "--samples", "--json")

    (one,) = shown.json["invoices"]
    assert (one["invoice"], one["verdict"], one["draft"]["difference"]) == (invoice_id, "create", "0.00")
    assert one["draft"]["sources"]["header"]["postingDate"] == "invoice effective date"
    assert one["would_create_customer"]["displayName"]
    assert "Nothing was written." in in_words.out
    assert "create" in table.out
    assert from_file.json["invoices"][0]["number"] == "NLS-0041"
    assert len(samples.json["invoices"]) >= 6
    assert await count_writes(simulators) == before


@pytest.mark.parametrize("words", [(), ("in_1", "--samples")])
async def test_a_preview_needs_one_thing_to_show(hub: HubProcess, words: tuple[str, ...]) -> None:
    assert (await hub("preview", *words)).code == 2


async def test_a_file_that_holds_no_invoice_is_said_to_hold_none(
    hub: HubProcess, simulators: Simulators, tmp_path: Path
) -> None:
    assert (await hub(*build_add_words(simulators), "--line-account", "6110", "--webhook-secret", "whsec_x")).code == 0
    path = tmp_path / "broken.json"
    path.write_text("[]")

    ended = await hub("preview", "--file", str(path))
    assert ended.code == 1
    assert "holds no Stripe invoice" in ended.err


async def test_names_in_settings_are_looked_up_on_import_and_in_the_test(
    hub: HubProcess, simulators: Simulators, tmp_path: Path
) -> None:
    assert (await hub(*build_add_words(simulators), "--line-account", "6110", "--json")).code == 0
    file = tmp_path / "settings.yaml"
    file.write_text(
        "invoices: {tax: {rules: [{percent: 25, code: STANDART}]}, rounding: {account: 9999, limit: 500}}\n"
    )

    refused = await hub("settings", "import", str(file), "--yes")
    await simulators.call(simulators.bc, "POST", "outage", {"on": True})
    try:
        unasked = await hub("settings", "import", str(file), "--yes")
    finally:
        await simulators.call(simulators.bc, "POST", "outage", {"on": False})
    forced = await hub("settings", "import", str(file), "--yes", "--unchecked")
    tested = await hub("connections", "test", "--json")

    assert (refused.code, unasked.code, tested.code) == (2, 3, 1)
    assert "no VAT product posting group or tax group STANDART. Did you mean STANDARD?" in refused.err
    assert "no G/L account 9999" in refused.err
    assert "500 is 5.00 EUR" in refused.err
    assert "--unchecked" in unasked.err
    assert "was not looked up" in forced.out
    assert "Saved as version 2" in forced.out
    (check,) = [one for one in tested.json["checks"] if one["name"] == "Names in the settings"]
    assert check["verdict"] == "problem"
    assert "STANDART" in check["words"]


async def test_an_outage_is_not_taken_for_a_missing_permission(hub: HubProcess, simulators: Simulators) -> None:
    assert (await hub(*build_add_words(simulators), "--line-account", "6110")).code == 0
    await simulators.call(simulators.bc, "POST", "outage", {"on": True})
    try:
        checks = (await hub("connections", "test", "--json")).json["checks"]
    finally:
        await simulators.call(simulators.bc, "POST", "outage", {"on": False})

    wrong = [one["name"] for one in checks if one["verdict"] == "problem"]
    assert wrong == ["Sign-in and company"]
    skipped = {one["name"]: one["words"] for one in checks if one["verdict"] == "skipped"}
    assert skipped == dict.fromkeys(
        ("Customers", "Sales invoices", "Names in the settings", "New customers"), "not checked: see above"
    )
