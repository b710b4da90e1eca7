"""Signing in to Business Central: as an app (client credentials), or as a user (authorization code, device code)."""

import asyncio
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, Protocol, cast

import msal

from connectors.business_central.entra import SCOPES, EntraApp, classify_sign_in_failure, require_token, run_with_app
from schemas.errors import Blocked

# Renewed this long before it expires, so that no request leaves with a token that dies on its way.
_BEFORE_EXPIRY = timedelta(minutes=5)


class TokenSource(Protocol):
    """Where the client gets its bearer tokens from. Safe for many callers at once."""

    async def get_token(self) -> str:
        """Return a token that is valid for some minutes; mostly from memory.

        Raises:
            Blocked: somebody must connect again.
            RetryLater: the sign-in service can't be reached.
        """
        ...

    async def invalidate(self, refused: str) -> None:
        """Forget this token, for Business Central has refused it; the next one is a new one.

        All requests in flight report the same one: if it was replaced already, nothing is done.
        """
        ...


class TokenCacheStore(Protocol):
    """Keeps the refresh token of a delegated sign-in, shared by all replicas. It is a secret: store it encrypted."""

    async def load(self) -> str | None:
        """Return what was saved last, or None."""
        ...

    async def save(self, cache: str) -> None:
        """Replace what is stored."""
        ...


@dataclass(frozen=True)
class _Held:
    token: str
    until: float


class _MemoryTokens:
    """Holds a token in memory and renews it, once at a time however many ask."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: _Held | None = None
        self._renewal: asyncio.Task[_Held] | None = None
        self._fresh_needed = False

    async def get_token(self) -> str:
        """See `TokenSource.get_token`."""
        if self._held is not None and self._clock() < self._held.until:
            return self._held.token
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
        # Shielded, for the others wait for the same task.
        return (await asyncio.shield(self._renewal)).token

    async def invalidate(self, refused: str) -> None:
        """See `TokenSource.invalidate`."""
        if self._held is not None and self._held.token == refused:
            self._held = None
            self._fresh_needed = True

    async def _renew(self) -> _Held:
        since = self._clock()
        result = require_token(await self._acquire(fresh=self._fresh_needed))
        life = float(result.get("expires_in") or 0)
        usable = max(life - _BEFORE_EXPIRY.total_seconds(), life / 2)
        self._held = _Held(str(result["access_token"]), since + usable)
        self._fresh_needed = False
        return self._held

    async def _acquire(self, *, fresh: bool) -> Mapping[str, Any] | None:
        """Return MSAL's result. `fresh`: not one that is cached anywhere."""
        raise NotImplementedError


class ClientCredentialsTokens(_MemoryTokens):
    """Signs in as the app itself. Needs a client secret."""

    def __init__(self, app: EntraApp, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._app = app

    async def _acquire(self, *, fresh: bool) -> Mapping[str, Any] | None:  # noqa: ARG002 - MSAL's cache starts empty
        return await run_with_app(self._app, _acquire_for_client)


def _acquire_for_client(application: msal.ClientApplication) -> Mapping[str, Any] | None:
    if not isinstance(application, msal.ConfidentialClientApplication):
        raise Blocked(
            "The app has no client secret. Enter it in the hub and connect again.", code="bc.sign_in.wrong_secret"
        )
    return application.acquire_token_for_client(scopes=SCOPES)


class DelegatedTokens(_MemoryTokens):
    """Acts for a user who signed in once: renews silently from the stored cache.

    The cache is loaded at each renewal, for another replica may have stored a newer refresh token.
    """

    def __init__(self, app: EntraApp, store: TokenCacheStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._app = app
        self._store = store

    async def _acquire(self, *, fresh: bool) -> Mapping[str, Any] | None:
        cache = msal.SerializableTokenCache()
        stored = await self._store.load()
        if stored:
            cache.deserialize(stored)
        result = await run_with_app(
            self._app, lambda application: _acquire_silently(application, fresh=fresh), cache=cache
        )
        if cache.has_state_changed:
            await self._store.save(cache.serialize())
        return result


def _acquire_silently(application: msal.ClientApplication, *, fresh: bool) -> Mapping[str, Any] | None:
    accounts = application.get_accounts()
    if not accounts:
        return None
    return application.acquire_token_silent_with_error(SCOPES, accounts[0], force_refresh=fresh)


@dataclass(frozen=True)
class AuthorizationRequest:
    """A sign-in that has begun: send the user to `url`, keep `flow` (a secret: it holds the PKCE verifier)."""

    url: str
    state: str
    flow: dict[str, Any]


async def begin_authorization_code(
    app: EntraApp, redirect_uri: str, *, response_mode: Literal["query", "form_post"] = "query"
) -> AuthorizationRequest:
    """Begin a sign-in in the browser, with PKCE and a nonce.

    Args:
        redirect_uri: Where the user comes back to; must be registered with the app.
        response_mode: How the code comes back. `query` is a GET, to which browsers send the session's cookie; PKCE
            makes a code that leaks into a log useless.
    """

    def begin(application: msal.ClientApplication) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="response_mode='form_post' is recommended")
            return application.initiate_auth_code_flow(SCOPES, redirect_uri=redirect_uri, response_mode=response_mode)

    flow = await run_with_app(app, begin)
    return AuthorizationRequest(url=str(flow["auth_uri"]), state=str(flow["state"]), flow=flow)


async def complete_authorization_code(
    app: EntraApp, flow: Mapping[str, Any], answer: Mapping[str, str], store: TokenCacheStore
) -> None:
    """Redeem the code that the user came back with, and store the sign-in.

    Args:
        flow: From `begin_authorization_code`, unchanged.
        answer: The query (or form) of the redirect.

    Raises:
        Blocked: the state does not fit (another browser, or used twice), the user declined, or the code was refused.
    """

    def redeem(application: msal.ClientApplication) -> Mapping[str, Any]:
        try:
            # A copy: MSAL takes parts out of the flow.
            return application.acquire_token_by_auth_code_flow(dict(flow), dict(answer))
        except (ValueError, RuntimeError) as error:
            raise Blocked(
                "The sign-in came back from another browser or a second time. Start signing in again.",
                code="bc.sign_in.state_mismatch",
            ) from error

    cache = msal.SerializableTokenCache()
    require_token(await run_with_app(app, redeem, cache=cache))
    await store.save(cache.serialize())


@dataclass(frozen=True)
class DeviceCode:
    """A sign-in that has begun: the user opens `verification_uri` and types `user_code`. Keep `flow` secret."""

    user_code: str
    verification_uri: str
    message: str
    expires_at: datetime
    flow: dict[str, Any]


DeviceProgress = Callable[[timedelta], Awaitable[None]]
"""Told the time left, after each time the sign-in service was asked in vain."""


async def begin_device_code(app: EntraApp) -> DeviceCode:
    """Begin a sign-in with a code that is typed on another device. The app must allow public client flows.

    Raises:
        Blocked: the sign-in service refuses to begin.
    """
    flow = await run_with_app(replace(app, client_secret=None), _begin_device_flow)
    if "user_code" not in flow:
        raise classify_sign_in_failure(flow)
    return DeviceCode(
        user_code=str(flow["user_code"]),
        verification_uri=str(flow["verification_uri"]),
        message=str(flow.get("message") or ""),
        expires_at=datetime.fromtimestamp(float(flow["expires_at"]), UTC),
        flow=flow,
    )


async def complete_device_code(
    app: EntraApp,
    code: DeviceCode,
    store: TokenCacheStore,
    *,
    deadline: timedelta | None = None,
    progress: DeviceProgress | None = None,
) -> None:
    """Wait until the user has typed the code, and store the sign-in.

    Args:
        app: As for `begin_device_code`. `DelegatedTokens` needs it without a secret too, for the refresh token belongs
            to a public client.
        deadline: How long to wait; never longer than the code is valid.
        progress: Awaited after each time the sign-in service was asked in vain.

    Raises:
        Blocked: the user declined, or did not come in time (`bc.sign_in.code_expired`).
    """
    end = min(code.expires_at, datetime.now(UTC) + deadline) if deadline else code.expires_at
    cache = msal.SerializableTokenCache()
    interval = float(code.flow.get("interval", 5))
    while True:
        result = await run_with_app(replace(app, client_secret=None), partial(_poll_once, code), cache=cache)
        error, left = result.get("error"), end - datetime.now(UTC)
        if error not in {"authorization_pending", "slow_down"} or left <= timedelta(0):
            break
        if error == "slow_down":
            interval += 5  # RFC 8628, 3.5
        if progress is not None:
            await progress(left)
        await asyncio.sleep(min(interval, left.total_seconds()))
    # Out of time: said as what it is for the user, a code that was not entered.
    require_token({"error": "authorization_pending"} if result.get("error") == "slow_down" else result)
    await store.save(cache.serialize())


def _begin_device_flow(application: msal.ClientApplication) -> dict[str, Any]:
    return cast("msal.PublicClientApplication", application).initiate_device_flow(SCOPES)


def _poll_once(code: DeviceCode, application: msal.ClientApplication) -> Mapping[str, Any]:
    def is_enough(_: object) -> bool:
        return True  # MSAL would sleep between its tries, holding a thread; it asks only if the interval is not 0

    public = cast("msal.PublicClientApplication", application)
    return public.acquire_token_by_device_flow({**code.flow, "interval": 1}, exit_condition=is_enough)
