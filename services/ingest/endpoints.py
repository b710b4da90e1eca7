"""What the webhooks of a Stripe account are checked against. It depends on the connections, not on the request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hub.clock import Clock
from hub.directory import Directory, Snapshot
from schemas.errors import Blocked
from services.ingest.decide import choose_connections

# As old as a connection may be that a stage goes on with (`hub/directory.py`).
_FRESH = 1.0


@dataclass(frozen=True)
class Endpoint:
    """The address of one Stripe account, as it was at most a second ago."""

    secrets: Sequence[str]
    """All signing secrets that are valid now, each once."""
    connections: Mapping[tuple[str, bool], Sequence[Snapshot]]
    """Which connections an event is for, by the secret that fits and the event's mode."""
    unreadable: Blocked | None
    """Why the secrets of one of its connections can't be read now, if so."""


def build_endpoint(snapshots: Sequence[Snapshot], unreadable: Blocked | None) -> Endpoint:
    """Build the endpoint of those connections of one account that can be read."""
    secrets = dict.fromkeys(s.get_secret_value().strip() for one in snapshots for s in one.secrets.webhook_secrets)
    connections = {
        (secret, livemode): choose_connections(snapshots, secret, livemode=livemode)
        for secret in secrets
        for livemode in (False, True)
    }
    return Endpoint(tuple(secrets), connections, unreadable)


@dataclass
class Endpoints:
    """Finds endpoints, and keeps them for a second."""

    directory: Directory
    clock: Clock
    _kept: dict[str, tuple[float, Endpoint]] = field(default_factory=dict[str, tuple[float, Endpoint]])

    def get(self, account: str) -> Endpoint | None:
        """Return what is kept of an account and not too old."""
        kept = self._kept.get(account)
        return kept[1] if kept is not None and self.clock.monotonic() - kept[0] < _FRESH else None

    async def load(self, account: str) -> Endpoint | None:
        """Return the endpoint of an account as it is now; None when nobody has connected it.

        Raises:
            RetrySoon: the ledger does not answer.
        """
        now = self.clock.monotonic()
        ids = await self.directory.find_account(account)
        if not ids:
            # Accounts nobody knows are not kept: their number is up to whoever sends.
            return None
        endpoint = build_endpoint(*await self.directory.load_readable(ids))
        self._kept[account] = (now, endpoint)
        return endpoint
