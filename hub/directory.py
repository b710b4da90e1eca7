"""The directory of connections: who is connected to what, with which secrets and settings, and what blocks them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from hub.clock import Clock, SystemClock
from hub.redis import (
    CONNECTIONS,
    account_key,
    backfill_key,
    connection_key,
    cursor_key,
    reading,
    run,
    settings_history_key,
    swept_key,
    tokens_key,
    translate_redis_errors,
    waiting_entries_key,
    waiting_key,
    woken_key,
)
from hub.secrets import SecretBox
from schemas.catalogue import get_entry
from schemas.connections import BlockedState, Connection, ConnectionSecrets, Plan
from schemas.errors import Blocked, Gone, Poison, Refused
from schemas.ids import ConnectionId
from schemas.invoice_settings import STORED
from schemas.settings import Settings

# How long a process may go on with what it has read: a pause or a block is seen everywhere within this time.
_FRESH = 1.0
_BLOCKED = "blocked:"
_REMOVED = "removed"


@dataclass(frozen=True)
class Snapshot:
    """One connection as it was read, at most a second ago."""

    connection: Connection
    secrets: ConnectionSecrets
    settings: Settings
    settings_version: int
    blocks: Mapping[str, BlockedState]
    """By the system that refuses: `stripe` or `bc`."""
    proved: bool = False
    """The first draft was seen again after its creation: the app may read what it makes."""


@dataclass
class Directory:
    """Reads and writes connections. All methods raise RetrySoon when Redis does not answer."""

    redis: Any
    box: SecretBox
    clock: Clock = field(default_factory=SystemClock)
    _cache: dict[str, tuple[float, Snapshot]] = field(default_factory=dict[str, tuple[float, Snapshot]])

    async def get(self, connection: str, *, is_fresh: bool = False, settings_version: int | None = None) -> Snapshot:
        """Return the connection as it is now, or was within the last second.

        Args:
            connection: Its id.
            is_fresh: Only as it is now. For a person's replay, who may have changed the settings just before.
            settings_version: With the settings of this version; None for the newest.

        Raises:
            Gone: it was removed.
            Poison: there is no such connection.
            Refused: there is no such version of its settings.
        """
        cached = self._cache.get(connection)
        now = self.clock.monotonic()
        if cached is not None and now - cached[0] < _FRESH and not is_fresh:
            return await self._with_settings(cached[1], settings_version)
        snapshot = await self.load(connection)
        self._cache[connection] = (now, snapshot)
        return await self._with_settings(snapshot, settings_version)

    async def load(self, connection: str, *, settings_version: int | None = None) -> Snapshot:
        """As `get`, but always from Redis."""
        fields = await self._load_fields(connection)
        try:
            snapshot = self._parse(fields)
        except (ValueError, KeyError, TypeError) as error:
            raise _build_damaged(connection) from error
        return await self._with_settings(snapshot, settings_version)

    async def _with_settings(self, snapshot: Snapshot, version: int | None) -> Snapshot:
        if version is None or version == snapshot.settings_version:
            return snapshot
        settings = await self.load_settings(snapshot.connection.id, version)
        return replace(snapshot, settings=settings, settings_version=version)

    async def _load_fields(self, connection: str) -> dict[str, str]:
        try:
            fields = cast("dict[str, str]", await run(self.redis.hgetall(connection_key(connection))))
        except Refused as error:
            raise _build_damaged(connection) from error
        if "connection" in fields:
            return fields
        if _REMOVED in fields:
            day = fields[_REMOVED][:10]
            raise Gone(f"The connection {connection} was removed on {day}.", code="connection.removed")
        raise Poison(f"There is no connection {connection}.", code="connection.unknown")

    def _parse(self, fields: Mapping[str, str]) -> Snapshot:
        return Snapshot(
            connection=Connection.model_validate_json(fields["connection"]),
            secrets=ConnectionSecrets.model_validate_json(self.box.decrypt(fields["secrets"])),
            # A newer half of a rolling update may have saved a field that this one does not know.
            settings=Settings.model_validate_json(fields["settings"], extra="ignore", context={STORED: True}),
            settings_version=int(fields["settings_version"]),
            blocks={
                name.removeprefix(_BLOCKED): BlockedState.model_validate_json(value)
                for name, value in fields.items()
                if name.startswith(_BLOCKED)
            },
            proved="proved" in fields,
        )

    async def list_ids(self) -> list[ConnectionId]:
        """List all connections, in a stable order."""
        return sorted(cast("set[ConnectionId]", await run(self.redis.smembers(CONNECTIONS))))

    async def find_account(self, stripe_account: str) -> list[ConnectionId]:
        """List the connections of a Stripe account, in a stable order; empty when nobody knows it."""
        return sorted(cast("set[ConnectionId]", await run(self.redis.smembers(account_key(stripe_account)))))

    async def load_readable(self, connections: Iterable[str]) -> tuple[list[Snapshot], Blocked | None]:
        """Return those that are there and can be read, as they are now; and why one could not be, if so.

        One whose secrets' key is gone is no reason to turn the others away.
        """
        readable: list[Snapshot] = []
        unreadable: Blocked | None = None
        for connection in connections:
            try:
                readable.append(await self.load(connection))
            except Blocked as error:
                unreadable = error
            except (Gone, Poison):
                continue  # removed since it was listed
        return readable, unreadable

    async def add(self, connection: Connection, secrets: ConnectionSecrets, settings: Settings) -> None:
        """Add a connection, or replace one that joins the same five things. Its ledger and settings history stay."""
        if await run(self.redis.hexists(connection_key(connection.id), _REMOVED)):
            # What was in hand when it was removed may have left something behind since.
            await run(self.redis.delete(*_list_forgotten_keys(connection.id)))
        version = await self._keep_settings(connection.id, settings)
        await run(
            self.redis.hset(
                connection_key(connection.id),
                mapping={
                    "connection": connection.model_dump_json(),
                    "secrets": self.box.encrypt(_reveal(secrets)),
                    "settings": settings.model_dump_json(),
                    "settings_version": version,
                },
            )
        )
        await run(self.redis.sadd(account_key(connection.stripe_account), connection.id))
        await run(self.redis.sadd(CONNECTIONS, connection.id))
        self._cache.pop(connection.id, None)

    async def remove(self, connection: str) -> int:
        """Forget keys, sign-in, settings in force, and what waits; returns how much that was.

        The ledger stays, invoices and customers, and so does the settings history: added again, the connection makes no
        second draft. Its secrets need not be readable.

        Raises:
            Gone: it was removed before.
            Poison: there never was such a connection.
        """
        fields = await self._load_fields(connection)
        try:
            account = Connection.model_validate_json(fields["connection"]).stripe_account
        except ValueError as error:
            raise _build_damaged(connection) from error
        waited = int(await run(self.redis.hlen(waiting_entries_key(connection))))
        async with translate_redis_errors(), self.redis.pipeline(transaction=True) as pipe:
            pipe.srem(account_key(account), connection)
            pipe.srem(CONNECTIONS, connection)
            pipe.delete(*_list_forgotten_keys(connection))
            # Tells messages that are still on their way from those of a ledger that was lost.
            pipe.hset(connection_key(connection), _REMOVED, self.clock.now().isoformat())
            await pipe.execute()
        self._cache.pop(connection, None)
        return waited

    async def save_settings(self, connection: str, settings: Settings) -> int:
        """Make these the settings; returns their version."""
        version = await self._keep_settings(connection, settings)
        mapping = {"settings": settings.model_dump_json(), "settings_version": version}
        await run(self.redis.hset(connection_key(connection), mapping=mapping))
        self._cache.pop(connection, None)
        return version

    async def _keep_settings(self, connection: str, settings: Settings) -> int:
        version = int(await run(self.redis.hlen(settings_history_key(connection)))) + 1
        await run(self.redis.hset(settings_history_key(connection), str(version), settings.model_dump_json()))
        return version

    async def load_settings(self, connection: str, version: int) -> Settings:
        """Return the settings of an earlier version.

        Raises:
            Refused: there is no such version.
        """
        stored = await run(self.redis.hget(settings_history_key(connection), str(version)))
        if stored is None:
            raise Refused(
                f"The connection has no settings version {version}.",
                code="settings.version.unknown",
                fix="hub settings show tells the newest; each import made one.",
            )
        with reading(f"{settings_history_key(connection)}, field {version}"):
            return Settings.model_validate_json(stored, extra="ignore", context={STORED: True})

    async def set_paused(self, connection: str, *, paused: bool) -> None:
        """Pause or resume by hand."""
        await self._change(connection, paused=paused)

    async def set_plan(self, connection: str, plan: Plan) -> None:
        """Change how many invoices a month may be synced."""
        await self._change(connection, plan=plan)

    async def end_dry_run(self, connection: str) -> None:
        """Write from now on."""
        await self._change(connection, dry_run=False)

    async def _change(self, connection: str, **changes: Any) -> None:
        current = (await self.load(connection)).connection
        changed = current.model_copy(update=changes)
        await run(self.redis.hset(connection_key(connection), "connection", changed.model_dump_json()))
        self._cache.pop(connection, None)

    async def save_block(self, connection: str, system: str, state: BlockedState | None) -> None:
        """Block the connection on one system, or unblock it."""
        name = _BLOCKED + system
        if state is None:
            await run(self.redis.hdel(connection_key(connection), name))
        else:
            await run(self.redis.hset(connection_key(connection), name, state.model_dump_json()))
        self._cache.pop(connection, None)

    async def save_proved(self, connection: str) -> None:
        """Remember that drafts of the connection can be read."""
        await run(self.redis.hset(connection_key(connection), "proved", "1"))
        self._cache.pop(connection, None)

    def build_token_store(self, connection: str) -> "TokenStore":
        """Build the encrypted home of a connection's sign-in tokens."""
        return TokenStore(self.redis, self.box, tokens_key(connection))


@dataclass(frozen=True)
class TokenStore:
    """A sign-in's token cache at rest, encrypted."""

    redis: Any
    box: SecretBox
    key: str

    async def load(self) -> str | None:
        """Return the cache as it was saved, or None."""
        stored = await run(self.redis.get(self.key))
        return self.box.decrypt(stored) if stored else None

    async def save(self, cache: str) -> None:
        """Save the cache, encrypted with the newest key."""
        await run(self.redis.set(self.key, self.box.encrypt(cache)))


def _build_damaged(connection: str) -> Blocked:
    """Build the error for a connection whose record is damaged, or another program's."""
    entry = get_entry("connection.damaged")
    return Blocked(
        f"{entry.cause} It is {connection_key(connection)}. {entry.fix}",
        code=entry.code,
        context={"connection": connection},
    )


def _list_forgotten_keys(connection: str) -> tuple[str, ...]:
    """List what a removal takes away."""
    return (
        connection_key(connection),
        tokens_key(connection),
        cursor_key(connection),
        swept_key(connection),
        backfill_key(connection),
        waiting_key(connection),
        waiting_entries_key(connection),
        woken_key(connection),
    )


def _reveal(secrets: ConnectionSecrets) -> str:
    """Write the secrets out, for encryption only."""
    plain = secrets.model_dump(mode="python")
    return json.dumps(plain, default=lambda value: value.get_secret_value())
