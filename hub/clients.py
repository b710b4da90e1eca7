"""The remote clients of each connection, made once per process and made anew when its secrets or settings change.

The only module of `hub` outside the command line that knows connectors.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pydantic import SecretStr

from connectors.business_central.client import BusinessCentralClient
from connectors.business_central.deadlines import Deadlines
from connectors.business_central.entra import EntraApp
from connectors.business_central.limiter import LimiterPolicy, RedisLimiter, build_limiter_key
from connectors.business_central.sign_in import ClientCredentialsTokens, DelegatedTokens, TokenSource
from connectors.business_central.transport import build_http_client
from connectors.stripe.client import StripeApi
from connectors.stripe.transport import StripeHttp
from hub.config import HubConfig
from hub.directory import Directory, Snapshot
from schemas.connections import Connection

OnAnswer = Callable[[str, str], None]
"""Told the connection and the system, `stripe` or `bc`, at each successful answer."""


def _ignore_answer(_connection: str, _system: str) -> None:
    """Nobody wants to know."""


@dataclass
class Clients:
    """Builds and keeps clients. One HTTP pool per system and process; `close` both at the end."""

    config: HubConfig
    redis: Any
    directory: Directory
    on_answer: OnAnswer = _ignore_answer
    _limiters: dict[str, RedisLimiter] = field(default_factory=dict[str, RedisLimiter])
    _stripe_http: StripeHttp | None = None
    _bc_http: Any = None
    _stripe: dict[str, tuple[object, StripeApi]] = field(default_factory=dict[str, tuple[object, StripeApi]])
    _bc: dict[str, tuple[object, BusinessCentralClient]] = field(
        default_factory=dict[str, tuple[object, BusinessCentralClient]]
    )

    def stripe(self, snapshot: Snapshot) -> StripeApi:
        """Return the Stripe client of a connection."""
        identity = snapshot.secrets.stripe_key
        kept = self._stripe.get(snapshot.connection.id)
        if kept is None or kept[0] != identity:
            kept = (identity, self.build_stripe(identity.get_secret_value(), snapshot.connection.id))
            self._stripe[snapshot.connection.id] = kept
        return kept[1]

    def build_stripe(self, key: str, connection: str = "") -> StripeApi:
        """Build a Stripe client for a key, of a connection if there is one already."""
        if self._stripe_http is None:
            self._stripe_http = StripeHttp(ca_bundle=self.config.ca_bundle)
        return StripeApi(
            key=key,
            api_base=self.config.stripe_api_base,
            account=None,
            http=self._stripe_http,
            on_answer=partial(self.on_answer, connection, "stripe"),
        )

    def business_central(self, snapshot: Snapshot, *, live: bool = True) -> BusinessCentralClient:
        """Return the Business Central client of a connection; not `live`: one that leaves room to live traffic."""
        connection = snapshot.connection
        identity = (connection.bc_client_id, snapshot.secrets.bc_client_secret, snapshot.settings.doubt_window)
        kept = self._bc.get(connection.id)
        if kept is None or kept[0] != identity:
            kept = (identity, self.build_business_central(snapshot))
            self._bc[connection.id] = kept
        return kept[1] if live else kept[1].for_history()

    def build_business_central(self, snapshot: Snapshot) -> BusinessCentralClient:
        """Build a Business Central client; a connection without a company id can list companies."""
        connection, doubt = snapshot.connection, snapshot.settings.doubt_window
        if self._bc_http is None:
            self._bc_http = build_http_client(ca_bundle=self.config.ca_bundle)
        return BusinessCentralClient(
            http=self._bc_http,
            api_base=self.config.bc_api_base,
            tenant=connection.bc_tenant,
            environment=connection.bc_environment,
            company_id=connection.bc_company_id or None,
            tokens=self._build_tokens(snapshot),
            limiter=self._get_limiter(connection),
            # A write must be given up well before the end of its own doubt window.
            deadlines=Deadlines(doubt=doubt, write=min(Deadlines().write, doubt / 2)),
            on_answer=partial(self.on_answer, connection.id, "bc"),
        )

    def build_entra_app(self, connection: Connection, secret: SecretStr | None) -> EntraApp:
        """Build the app registration that a connection signs in with."""
        return EntraApp(
            authority=self.config.entra_authority,
            tenant=connection.bc_tenant,
            client_id=connection.bc_client_id,
            client_secret=secret,
            ca_bundle=self.config.ca_bundle,
        )

    def _build_tokens(self, snapshot: Snapshot) -> TokenSource:
        connection = snapshot.connection
        app = self.build_entra_app(connection, snapshot.secrets.bc_client_secret)
        if connection.sign_in == "delegated":
            return DelegatedTokens(app, self.directory.build_token_store(connection.id))
        return ClientCredentialsTokens(app)

    def _get_limiter(self, connection: Connection) -> RedisLimiter:
        """One limiter per app and process: its waiters queue in order."""
        key = get_limiter_key(connection)
        if key not in self._limiters:
            self._limiters[key] = RedisLimiter(self.redis, key, policy=self._build_limits())
        return self._limiters[key]

    def _build_limits(self) -> LimiterPolicy:
        """Above the default, the burst grows with the rest: the server is then known to take it."""
        standard = LimiterPolicy()
        requests = self.config.bc_requests
        return replace(standard, requests=requests, burst=max(standard.burst, requests // 10 - 390))

    async def close(self) -> None:
        """Close the HTTP pools."""
        if self._stripe_http is not None:
            await self._stripe_http.close()
        if self._bc_http is not None:
            await self._bc_http.aclose()


def get_limiter_key(connection: Connection) -> str:
    """Name the limits that a connection shares with all that sign in as the same app to the same environment."""
    tenant = connection.bc_tenant_id or connection.bc_tenant
    return build_limiter_key(tenant, connection.bc_environment, connection.bc_client_id)
