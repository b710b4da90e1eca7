"""A connection: one Stripe account and mode with one Business Central company, and its secrets."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, SecretStr

from schemas.contract import Contract, Moment
from schemas.ids import ConnectionId, StripeAccountId, build_company_key, build_connection_id

SignIn = Literal["client_credentials", "delegated"]


class Plan(Contract):
    """How many invoices a month (UTC) may be synced. None: any number."""

    soft_limit: int | None = Field(default=None, ge=0)
    """Beyond it the hub warns."""
    hard_limit: int | None = Field(default=None, ge=0)
    """At it invoices are skipped; they can be replayed after an upgrade, or next month."""


class Connection(Contract):
    """What everyone may see of a connection. Its id follows from its five first fields."""

    version: Literal[1] = 1
    stripe_account: StripeAccountId
    livemode: bool
    bc_tenant: str = Field(min_length=1, max_length=100)
    bc_environment: str = Field(min_length=1, max_length=100)
    bc_company: str = Field(min_length=1, max_length=100)
    bc_company_id: str
    """The company's GUID in Business Central, looked up when the connection was added."""
    bc_tenant_id: str | None = None
    """The tenant's GUID, where it is known: `bc_tenant` may be a domain."""
    bc_client_id: str
    sign_in: SignIn = "client_credentials"
    created_at: Moment
    go_live: Moment
    """Invoices finalized before this moment are left alone."""
    dry_run: bool = False
    """Everything but writes: results say what would be written."""
    paused: bool = False
    plan: Plan = Plan()

    @cached_property
    def id(self) -> ConnectionId:
        """Identify the connection in keys, topics and logs."""
        return build_connection_id(
            self.stripe_account,
            livemode=self.livemode,
            bc_tenant=self.bc_tenant,
            bc_environment=self.bc_environment,
            bc_company=self.bc_company,
        )

    @cached_property
    def company_key(self) -> str:
        """Identify the BC company, which several connections may share."""
        return build_company_key(self.bc_company_id, self.bc_environment)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's; but what follows from the parts is not copied with them."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("id", "company_key"):
            vars(copied).pop(name, None)
        return copied


class ConnectionSecrets(Contract):
    """What is stored encrypted only. Never logged, never shown."""

    version: Literal[1] = 1
    stripe_key: SecretStr
    webhook_secrets: tuple[SecretStr, ...]
    """All that are valid now: while Stripe rolls a secret, the old one lives on for up to 24 hours."""
    bc_client_secret: SecretStr | None = None


class BlockedState(Contract):
    """Why a connection waits as a whole, and when it is tried again."""

    code: str
    message: str
    since: Moment
    next_probe_at: Moment
    probes: int = 0

    def is_due(self, now: datetime) -> bool:
        """Tell whether one message may go through to see if the cause is gone."""
        return now >= self.next_probe_at
