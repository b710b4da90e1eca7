"""Signing in: one renewal at a time, and every refusal says what to do."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
import requests
from msal.exceptions import MsalServiceError
from pydantic import SecretStr

from connectors.business_central.entra import EntraApp, classify_sign_in_failure, fetch_tenant_id, run_with_app
from connectors.business_central.sign_in import (
    ClientCredentialsTokens,
    DelegatedTokens,
    begin_authorization_code,
    begin_device_code,
    complete_authorization_code,
    complete_device_code,
)
from schemas.errors import Blocked, HubError, RetryLater
from tests.unit.business_central.fake_entra import (
    CLIENT,
    TENANT,
    FakeEntra,
    build_refusal,
    build_tokens,
    run_entra,
)

REDIRECT = "https://hub.example/connect/callback"


class FakeClock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class MemoryStore:
    """Keeps the cache in the test."""

    def __init__(self) -> None:
        self.cache: str | None = None
        self.saves = 0

    async def load(self) -> str | None:
        return self.cache

    async def save(self, cache: str) -> None:
        self.cache = cache
        self.saves += 1


@pytest_asyncio.fixture
async def entra(tmp_path: Path) -> AsyncGenerator[FakeEntra]:
    async with run_entra(tmp_path) as fake:
        yield fake


def build_app(entra: FakeEntra, secret: str | None = "demo-secret") -> EntraApp:
    return EntraApp(entra.authority, TENANT, CLIENT, SecretStr(secret) if secret else None, entra.ca_bundle)


async def test_a_tenant_named_by_a_domain_is_known_by_its_guid(entra: FakeEntra) -> None:
    named = replace(build_app(entra), tenant="contoso.onmicrosoft.com")
    assert await fetch_tenant_id(named) == TENANT
    assert entra.forms == []  # discovery tells, and no token is asked for


async def test_a_tenant_named_by_its_guid_is_asked_nobody_about(entra: FakeEntra) -> None:
    entra.discovery_status = 500
    assert await fetch_tenant_id(replace(build_app(entra), tenant=TENANT.upper())) == TENANT


async def test_a_tenant_that_is_unknown_is_said_to_be(entra: FakeEntra) -> None:
    entra.discovery_status = 400
    with pytest.raises(Blocked) as caught:
        await fetch_tenant_id(replace(build_app(entra), tenant="nobody.example"))
    assert caught.value.code == "bc.sign_in.unknown_tenant"


async def test_an_app_signs_in_with_its_secret_for_business_central(entra: FakeEntra) -> None:
    entra.answers = [build_tokens("one")]
    assert await ClientCredentialsTokens(build_app(entra)).get_token() == "one"
    form = entra.forms[0]
    assert (form["grant_type"], form["client_id"], form["client_secret"], form["scope"]) == (
        "client_credentials",
        CLIENT,
        "demo-secret",
        "https://api.businesscentral.dynamics.com/.default",
    )


async def test_a_token_is_used_until_five_minutes_before_its_end(entra: FakeEntra) -> None:
    clock = FakeClock()
    tokens = ClientCredentialsTokens(build_app(entra), clock=clock)
    entra.answers = [build_tokens("one"), build_tokens("two")]
    assert await tokens.get_token() == "one"
    clock.now += 3299
    assert await tokens.get_token() == "one"
    clock.now += 1
    assert await tokens.get_token() == "two"


async def test_a_short_lived_token_is_used_for_half_its_life(entra: FakeEntra) -> None:
    clock = FakeClock()
    tokens = ClientCredentialsTokens(build_app(entra), clock=clock)
    entra.answers = [build_tokens("one", expires_in=60), build_tokens("two")]
    assert await tokens.get_token() == "one"
    clock.now += 29
    assert await tokens.get_token() == "one"
    clock.now += 1
    assert await tokens.get_token() == "two"


async def test_many_callers_cause_one_sign_in(entra: FakeEntra) -> None:
    entra.answers = [build_tokens("one")]
    tokens = ClientCredentialsTokens(build_app(entra))
    assert set(await asyncio.gather(*(tokens.get_token() for _ in range(20)))) == {"one"}
    assert len(entra.forms) == 1


async def test_a_caller_that_is_cancelled_does_not_stop_the_sign_in_for_the_others(entra: FakeEntra) -> None:
    entra.answers = [build_tokens("one")]
    tokens = ClientCredentialsTokens(build_app(entra))
    cancelled, kept = (asyncio.create_task(tokens.get_token()) for _ in range(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert await kept == "one"


async def test_a_refused_token_is_replaced_once_for_all_who_report_it(entra: FakeEntra) -> None:
    tokens = ClientCredentialsTokens(build_app(entra))
    entra.answers = [build_tokens("one"), build_tokens("two")]
    await tokens.get_token()
    await tokens.invalidate("one")
    assert await tokens.get_token() == "two"
    await tokens.invalidate("one")
    assert await tokens.get_token() == "two"


async def test_a_token_that_is_revoked_as_soon_as_it_was_given_is_replaced_too(entra: FakeEntra) -> None:
    """The connection was blocked, and people told to connect again, for a token that was seconds old."""
    tokens = ClientCredentialsTokens(build_app(entra))
    entra.answers = [build_tokens("one"), build_tokens("two"), build_tokens("three")]
    for token in ("one", "two", "three"):
        assert await tokens.get_token() == token
        await tokens.invalidate(token)


async def test_a_refusal_is_not_remembered_once_the_cause_is_gone(entra: FakeEntra) -> None:
    entra.answers = [build_refusal(7000222), build_tokens("one")]
    tokens = ClientCredentialsTokens(build_app(entra))
    with pytest.raises(Blocked):
        await tokens.get_token()
    assert await tokens.get_token() == "one"


async def test_without_a_secret_an_app_cannot_sign_in_as_itself(entra: FakeEntra) -> None:
    with pytest.raises(Blocked) as caught:
        await ClientCredentialsTokens(build_app(entra, secret=None)).get_token()
    assert caught.value.code == "bc.sign_in.wrong_secret"


async def test_a_user_signs_in_with_pkce_and_is_remembered(entra: FakeEntra) -> None:
    app, store = build_app(entra), MemoryStore()
    begun = await begin_authorization_code(app, REDIRECT)
    query = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    assert query["code_challenge_method"] == "S256"
    assert (query["redirect_uri"], query["state"], query["response_mode"]) == (REDIRECT, begun.state, "query")

    entra.answers = [build_tokens("one", user=True, nonce=query["nonce"])]
    await complete_authorization_code(app, begun.flow, {"code": "c", "state": begun.state}, store)
    assert entra.forms[0]["code_verifier"] == begun.flow["code_verifier"]

    assert await DelegatedTokens(app, store).get_token() == "one"
    assert len(entra.forms) == 1


async def sign_in(entra: FakeEntra, store: MemoryStore, *, expires_in: int = 3600) -> EntraApp:
    app = build_app(entra)
    begun = await begin_authorization_code(app, REDIRECT)
    nonce = parse_qs(urlsplit(begun.url).query)["nonce"][0]
    entra.answers = [build_tokens("one", user=True, nonce=nonce, expires_in=expires_in)]
    await complete_authorization_code(app, begun.flow, {"code": "c", "state": begun.state}, store)
    entra.forms.clear()
    return app


async def test_an_old_sign_in_is_renewed_silently_and_the_new_refresh_token_kept(entra: FakeEntra) -> None:
    store = MemoryStore()
    app = await sign_in(entra, store, expires_in=1)
    entra.answers = [build_tokens("two", user=True)]
    assert await DelegatedTokens(app, store).get_token() == "two"
    assert entra.forms[0]["refresh_token"] == "refresh-one"
    assert "refresh-two" in (store.cache or "")


async def test_a_refused_user_token_is_not_taken_from_the_cache_again(entra: FakeEntra) -> None:
    store = MemoryStore()
    app = await sign_in(entra, store)
    tokens = DelegatedTokens(app, store)
    assert await tokens.get_token() == "one"
    await tokens.invalidate("one")
    entra.answers = [build_tokens("two", user=True)]
    assert await tokens.get_token() == "two"


async def test_a_sign_in_that_has_expired_asks_to_connect_again(entra: FakeEntra) -> None:
    store = MemoryStore()
    app = await sign_in(entra, store, expires_in=1)
    entra.answers = [build_refusal(700082, "invalid_grant")]
    with pytest.raises(Blocked) as caught:
        await DelegatedTokens(app, store).get_token()
    assert caught.value.code == "bc.sign_in.expired"


async def test_nobody_has_signed_in_yet(entra: FakeEntra) -> None:
    with pytest.raises(Blocked) as caught:
        await DelegatedTokens(build_app(entra), MemoryStore()).get_token()
    assert caught.value.code == "bc.sign_in.expired"


async def test_a_redirect_of_another_browser_is_not_accepted(entra: FakeEntra) -> None:
    store = MemoryStore()
    begun = await begin_authorization_code(build_app(entra), REDIRECT)
    with pytest.raises(Blocked) as caught:
        await complete_authorization_code(build_app(entra), begun.flow, {"code": "c", "state": "theirs"}, store)
    assert caught.value.code == "bc.sign_in.state_mismatch"
    assert store.saves == 0


async def test_a_user_who_declines_is_told_so(entra: FakeEntra) -> None:
    begun = await begin_authorization_code(build_app(entra), REDIRECT)
    declined = {"error": "access_denied", "error_description": "AADSTS65004: declined", "state": begun.state}
    with pytest.raises(Blocked) as caught:
        await complete_authorization_code(build_app(entra), begun.flow, declined, MemoryStore())
    assert caught.value.code == "bc.sign_in.denied"


async def test_a_device_code_is_polled_until_it_is_typed(entra: FakeEntra) -> None:
    app, store, left = build_app(entra), MemoryStore(), list[timedelta]()
    code = await begin_device_code(app)
    assert (code.user_code, code.message) == ("ABC-DEF", "Type ABC-DEF.")

    async def progress(time_left: timedelta) -> None:
        left.append(time_left)

    pending = {"error": "authorization_pending", "error_description": "AADSTS70016: pending"}
    entra.answers = [pending, pending, build_tokens("one", user=True)]
    await complete_device_code(app, code, store, progress=progress)
    assert len(left) == 2
    assert timedelta(minutes=14) < left[0] <= timedelta(minutes=15)
    public = replace(app, client_secret=None)
    assert await DelegatedTokens(public, store).get_token() == "one"


async def test_a_device_code_nobody_types_ends_with_its_deadline(entra: FakeEntra) -> None:
    app, store = build_app(entra), MemoryStore()
    code = await begin_device_code(app)
    entra.answers = [{"error": "authorization_pending"}]
    with pytest.raises(Blocked) as caught:
        await complete_device_code(app, code, store, deadline=timedelta(microseconds=1))
    assert caught.value.code == "bc.sign_in.code_expired"
    assert store.saves == 0


async def test_slow_down_makes_the_polls_rarer_not_the_deadline_longer(entra: FakeEntra) -> None:
    app = build_app(entra)
    code = replace(await begin_device_code(app), expires_at=datetime.now(UTC) + timedelta(milliseconds=300))
    entra.answers = [{"error": "slow_down"}, {"error": "slow_down"}]
    with pytest.raises(Blocked) as caught:
        await complete_device_code(app, code, MemoryStore())
    assert caught.value.code == "bc.sign_in.code_expired"


async def test_a_device_code_that_is_not_given_is_said_why(entra: FakeEntra) -> None:
    entra.device = build_refusal(700016, "unauthorized_client")
    with pytest.raises(Blocked) as caught:
        await begin_device_code(build_app(entra))
    assert caught.value.code == "bc.sign_in.unknown_app"


async def test_an_unknown_tenant_is_named(entra: FakeEntra) -> None:
    entra.discovery_status = 400
    with pytest.raises(Blocked) as caught:
        await ClientCredentialsTokens(build_app(entra)).get_token()
    assert caught.value.code == "bc.sign_in.unknown_tenant"


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_trouble_of_the_sign_in_service_passes(entra: FakeEntra, status: int) -> None:
    entra.answers = [status]
    with pytest.raises(HubError) as caught:
        await ClientCredentialsTokens(build_app(entra)).get_token()
    assert isinstance(caught.value, RetryLater)


async def test_discovery_that_fails_passes_too(entra: FakeEntra) -> None:
    entra.discovery_status = 503
    with pytest.raises(RetryLater):
        await ClientCredentialsTokens(build_app(entra)).get_token()


async def test_a_sign_in_service_that_is_not_there_passes(entra: FakeEntra) -> None:
    gone = replace(build_app(entra), authority="https://localhost:1")
    with pytest.raises(RetryLater) as caught:
        await ClientCredentialsTokens(gone).get_token()
    assert caught.value.code == "bc.sign_in.unreachable"


async def test_an_untrusted_certificate_blocks(entra: FakeEntra) -> None:
    with pytest.raises(Blocked) as caught:
        await ClientCredentialsTokens(replace(build_app(entra), ca_bundle=None)).get_token()
    assert caught.value.code == "bc.sign_in.untrusted"


async def test_a_sign_in_has_a_deadline(entra: FakeEntra) -> None:
    may_end = threading.Event()
    with pytest.raises(RetryLater) as caught:
        await run_with_app(build_app(entra), lambda _: may_end.wait(), deadline=timedelta(milliseconds=50))
    assert caught.value.code == "bc.sign_in.unreachable"
    may_end.set()
    # The thread ends by itself, and leaves nothing open.
    await asyncio.get_running_loop().shutdown_default_executor()


RESULTS: list[tuple[dict[str, Any], type[HubError], str]] = [
    (build_refusal(7000215), Blocked, "bc.sign_in.wrong_secret"),
    (build_refusal(7000222), Blocked, "bc.sign_in.expired_secret"),
    (build_refusal(90002), Blocked, "bc.sign_in.unknown_tenant"),
    (build_refusal(700016), Blocked, "bc.sign_in.unknown_app"),
    (build_refusal(7000112), Blocked, "bc.sign_in.app_disabled"),
    (build_refusal(65001), Blocked, "bc.sign_in.consent_missing"),
    (build_refusal(65004), Blocked, "bc.sign_in.denied"),
    *((build_refusal(number), Blocked, "bc.sign_in.expired") for number in (70008, 70043, 700082, 50173)),
    (build_refusal(50034), Blocked, "bc.sign_in.unknown_user"),
    (build_refusal(50057), Blocked, "bc.sign_in.user_disabled"),
    *((build_refusal(number), Blocked, "bc.sign_in.interaction_needed") for number in (50076, 50079)),
    (build_refusal(53003), Blocked, "bc.sign_in.policy"),
    (build_refusal(70020), Blocked, "bc.sign_in.code_expired"),
    (build_refusal(99999999, "nobody_knows"), Blocked, "bc.sign_in.refused"),
    ({}, RetryLater, "bc.sign_in.unavailable"),
    ({"error": "invalid_client", "error_description": "AADSTS7000222: expired"}, Blocked, "bc.sign_in.expired_secret"),
    ({"error": "invalid_client"}, Blocked, "bc.sign_in.wrong_secret"),
    ({"error": "consent_required"}, Blocked, "bc.sign_in.consent_missing"),
    ({"error": "invalid_grant"}, Blocked, "bc.sign_in.expired"),
    ({"error": "expired_token"}, Blocked, "bc.sign_in.code_expired"),
    ({"error": "temporarily_unavailable"}, RetryLater, "bc.sign_in.unavailable"),
    (build_refusal(50196, "invalid_grant"), RetryLater, "bc.sign_in.unavailable"),
]


@pytest.mark.parametrize(("result", "kind", "code"), RESULTS, ids=str)
def test_each_refusal_of_the_sign_in_service_says_what_to_do(
    result: dict[str, Any], kind: type[HubError], code: str
) -> None:
    error = classify_sign_in_failure(result)
    assert (type(error), error.code) == (kind, code)
    assert "AADSTS" not in error.message


@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        (requests.exceptions.ConnectionError(), RetryLater, "bc.sign_in.unreachable"),
        (requests.exceptions.Timeout(), RetryLater, "bc.sign_in.unreachable"),
        (requests.exceptions.SSLError(), Blocked, "bc.sign_in.untrusted"),
        (TimeoutError(), RetryLater, "bc.sign_in.unreachable"),
        (MsalServiceError("x", error="", error_description=""), RetryLater, "bc.sign_in.unreachable"),
        (ValueError("Unable to get authority configuration for x"), Blocked, "bc.sign_in.unknown_tenant"),
        (ValueError("Expecting value: line 1"), RetryLater, "bc.sign_in.unknown"),
        (KeyError("token_endpoint"), RetryLater, "bc.sign_in.unknown"),
    ],
)
def test_whatever_signing_in_raises_has_a_kind(failure: Exception, kind: type[HubError], code: str) -> None:
    error = classify_sign_in_failure(failure)
    assert (type(error), error.code) == (kind, code)
