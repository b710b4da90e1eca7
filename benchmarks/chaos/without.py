"""Takes one protection out, in the bench's own process only: what then goes wrong shows that it is needed.

Names of the hub are replaced here because the hub itself must not have a switch for it.
"""
# ruff: noqa: SLF001 - it takes apart what nobody else may

# pyright: reportPrivateUsage=false

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from faststream.kafka import KafkaMessage

from connectors.business_central.models import SalesInvoice
from hub import app
from hub.lease import Lease, hold_lease, hold_leases
from hub.ledger import Ledger
from hub.log import get_logger
from hub.redis import invoice_lease_key
from hub.stage.dispatch import Window
from hub.stage.intake import Intake
from hub.stage.offsets import PartitionOffsets
from hub.stage.ports import Outgoing
from hub.stage.publisher import KafkaPublisher
from hub.stage.runtime import Stage, StagePolicy
from schemas.errors import HubError
from services.contacts import resolver
from services.invoices import protocol

OVERFULL = "chaos.window.overfull"
_BATCH = 16
# Longer than the interval of commits: the input is committed before its outputs are sent.
_LATE = 1.0


def narrow_window(size: int) -> None:
    """Give stages a small window and small batches, and log when one has more in hand than both."""
    build = app.StagePolicy

    def build_narrow(**given: Any) -> StagePolicy:
        return build(**given, window=Window(size=size, share=size), max_records=_BATCH)

    app.StagePolicy = build_narrow  # pyright: ignore[reportAttributeAccessIssue]
    on_batch = Stage._on_batch

    async def watch(self: "Stage[Any]", message: KafkaMessage) -> None:
        await on_batch(self, message)
        in_hand = self._dispatcher.in_hand
        if in_hand > size + 2 * _BATCH:
            get_logger().error(OVERFULL, in_hand=in_hand)

    Stage._on_batch = watch


def _drop_invoice_lease() -> None:
    def hold(self: Ledger, connection: str, invoice_id: str) -> AbstractAsyncContextManager[Lease]:
        return hold_lease(self.redis, _make_own(invoice_lease_key(connection, invoice_id)), self.lease_life)

    Ledger.hold_invoice = hold


def _drop_customer_lease() -> None:
    def hold(redis: Any, keys: Iterable[str], life: timedelta) -> AbstractAsyncContextManager[list[Lease]]:
        return hold_leases(redis, [_make_own(key) for key in keys], life)

    resolver.hold_leases = hold


def _make_own(key: str) -> str:
    """A lease that nobody else asks for: writes under it stay fenced, and nobody waits."""
    return f"{key}:{secrets.token_hex(4)}"


def _drop_look() -> None:
    async def look(self: protocol.DraftProtocol) -> SalesInvoice | None:
        known = self.held.state.document
        return None if known is None else await self.bc.fetch_invoice(known.id, kind=known.kind)

    protocol.DraftProtocol._look = look


def _drop_doubt_window() -> None:
    def never(*_given: object) -> bool:
        return False

    protocol.is_in_doubt = never
    resolver.is_in_doubt = never


def _drop_contiguous_commit() -> None:
    advance = PartitionOffsets.committable

    def commit_the_newest(self: PartitionOffsets) -> int | None:
        advance(self)
        done = [slot.offset + 1 for slot in self._open if slot.done]
        position = max([*done, self._position or 0, self._committed or 0])
        return position if position > (self._committed or 0) else None

    PartitionOffsets.committable = commit_the_newest


def _drop_publish_before_commit() -> None:
    publish = KafkaPublisher.publish
    tasks: set[asyncio.Task[None]] = set()

    async def send_later(self: KafkaPublisher, outgoing: Outgoing) -> None:
        await asyncio.sleep(_LATE)
        try:
            await publish(self, outgoing)
        except HubError as error:
            get_logger().warning("chaos.publish.lost", code=error.code)

    async def promise(self: KafkaPublisher, outgoing: Outgoing) -> None:
        task = asyncio.create_task(send_later(self, outgoing))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    KafkaPublisher.publish = promise


def _drop_pause_after_rebalance() -> None:
    assigned = Intake.assigned

    def forget_pause(self: Intake, partitions: Iterable[Any]) -> None:
        paused, self._paused = self._paused, False
        assigned(self, partitions)
        self._paused = paused

    Intake.assigned = forget_pause


PROTECTIONS: Mapping[str, Callable[[], None]] = {
    "invoice lease": _drop_invoice_lease,
    "customer lease": _drop_customer_lease,
    "look before POST": _drop_look,
    "doubt window": _drop_doubt_window,
    "contiguous commit": _drop_contiguous_commit,
    "publish before commit": _drop_publish_before_commit,
    "pause after rebalance": _drop_pause_after_rebalance,
}
