"""Duties of ingest: what one replica at a time does for a connection, by lease. One's trouble is not the others'."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.ending import end_all
from hub.lease import try_role
from hub.log import get_logger
from hub.redis import role_lease_key, run
from hub.stage.ports import Closed, Gate
from schemas.errors import Blocked, HubError

Work = Callable[[str], Awaitable[object]]
ListIds = Callable[[], Awaitable[Sequence[str]]]
Forget = Callable[[str], object]


def _keep(_connection: str) -> None:
    """Nothing is remembered of a connection."""


@dataclass(frozen=True)
class Duty:
    """One kind of work, and this replica's claim to it."""

    name: str
    """As in logs (`ingest.sweep.retried`) and in the key of the lease."""
    life: timedelta
    """How long the work for a connection stays with a replica that says nothing."""
    redis: Any
    gate: Gate
    touches: frozenset[str] = frozenset()
    """The systems that the work asks: it waits where one of them is blocked."""
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    async def go_round(self, list_ids: ListIds, work: Work, interval: timedelta, forget: Forget = _keep) -> None:
        """Do the work for all connections, for ever, each at its own pace: a long one holds up nobody else.

        A round is spread over its interval: fifty that began at once would take all the process's time from webhooks.

        Args:
            list_ids: Lists the connections.
            work: What to do for one.
            interval: From one round to the next.
            forget: Called with a connection that was removed.
        """
        under_way: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                found = await self._list_safely(list_ids, list(under_way))
                for removed in under_way.keys() - set(found):
                    await end_all([under_way[removed]])
                    forget(removed)
                    del under_way[removed]
                for connection in found:
                    under_way[connection] = self._begin(under_way.get(connection), connection, work)
                    await asyncio.sleep(interval.total_seconds() / len(found))
                if not found:
                    await asyncio.sleep(interval.total_seconds())
        finally:
            await end_all(under_way.values())

    def _begin(self, before: asyncio.Task[None] | None, connection: str, work: Work) -> asyncio.Task[None]:
        if before is not None and not before.done():
            return before
        return asyncio.create_task(self.attempt(connection, work))

    async def _list_safely(self, list_ids: ListIds, known: Sequence[str]) -> Sequence[str]:
        try:
            return await list_ids()
        except HubError as error:
            self._log("warning", "retried", "", error)
            return known

    async def attempt(self, connection: str, work: Work) -> None:
        """Do the work for a connection, unless another replica does. Nothing is raised: what went wrong is logged."""
        try:
            if await self.keep(connection):
                await work(connection)
        except Blocked as error:
            self._log("error", "blocked", connection, error)
            with contextlib.suppress(HubError):
                await self.gate.block(connection, error)
        except HubError as error:
            self._log("warning", "retried", connection, error)
        except Exception as error:  # noqa: BLE001 - a defect that one connection's data bring out must not stop the rest
            get_logger().error(f"ingest.{self.name}.failed", connection=connection, exc_info=error)

    async def keep(self, connection: str) -> bool:
        """Take or keep the duty for a connection: False while it is another replica's."""
        return await try_role(self.redis, role_lease_key(connection, self.name), self.token, self.life)

    async def pass_gate(self, connection: str, work: Work) -> None:
        """Do the work if the connection lets anything through; what it proves counts as a probe."""
        if isinstance(admission := await self.gate.enter(connection, self.touches), Closed):
            return
        await work(connection)
        await self.gate.passed(admission)

    def _log(self, level: str, end: str, connection: str, error: HubError) -> None:
        say = getattr(get_logger(), level)
        say(f"ingest.{self.name}.{end}", connection=connection, code=error.code, why=error.message)


async def load_cursor(redis: Any, key: str, life: str) -> datetime | None:
    """Load how far a duty has come in this life of the ledger; one that was lost since knows nothing of it."""
    seconds, _, written_in = (await run(redis.get(key)) or "").partition(" ")
    return datetime.fromtimestamp(int(seconds), tz=UTC) if written_in == life else None


async def save_cursor(redis: Any, key: str, at: datetime, life: str) -> None:
    """Save how far a duty has come, and in which life of the ledger."""
    await run(redis.set(key, f"{int(at.timestamp())} {life}"))
