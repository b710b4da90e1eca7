"""One message from decoding to its end: tries, pauses and ends follow `hub/retry.py`. Knows nothing of Kafka."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, Literal, TypeVar, assert_never

from hub.clock import Clock
from hub.log import get_logger
from hub.metrics import DEAD as DEAD_COUNT
from hub.retry import POLICIES, get_wait
from hub.stage.defects import DefectRun
from hub.stage.ports import Closed, Failure, Gate, Handler, Outgoing, Parked, Publisher, WaitingSet, describe
from hub.stage.records import Record, build_dead_message, decode_record
from schemas.errors import HubError, InDoubt, Poison, RetryLater, RetrySoon
from schemas.messages import ErrorDetail, Message, StageName

M = TypeVar("M", bound=Message)
Ending = Literal["done", "waiting", "failed", "dead"]


class Unexpected(HubError):  # noqa: N818 - named as the kind it is
    """Wraps what is not a HubError: a defect of ours."""

    kind = "unexpected"


@dataclass(frozen=True)
class StageIdentity:
    """Who the stage is: its name, and which remote systems a message of it needs."""

    name: StageName
    touches: frozenset[str]


@dataclass(frozen=True)
class Surroundings:
    """What a processor is given; built once by the service."""

    gate: Gate
    waiting: WaitingSet
    publisher: Publisher
    clock: Clock
    retry_waits: Sequence[timedelta]
    defects: DefectRun


class Processor(Generic[M]):
    """Takes records through the handler. `process` returns only when the record's offset may be given up."""

    def __init__(
        self, stage: StageIdentity, message_type: type[M], handler: Handler[M], surroundings: Surroundings
    ) -> None:
        self._stage = stage
        self._type = message_type
        self._handler = handler
        self._around = surroundings

    async def process(self, record: Record) -> Ending:
        """Bring one record to its end."""
        message = self._decode(record)
        if isinstance(message, Poison):
            return await self._insist(lambda: self._bury(record, message, "poison", 1))
        return await self._run(record, message)

    async def park(self, record: Record, *, code: str, reason: str, wait: timedelta) -> Ending:
        """Put a record into the waiting set without working on it: over its share, or too long in hand."""
        message = self._decode(record)
        if isinstance(message, Poison):
            return await self._insist(lambda: self._bury(record, message, "poison", 1))
        due = self._around.clock.now() + wait
        parked = Parked(message, due, code, reason, self._stage.name, counts_as_attempt=False)
        return await self._insist(lambda: self._keep(parked))

    def _decode(self, record: Record) -> M | Poison:
        try:
            return decode_record(record, self._type)
        except Poison as error:
            return error

    async def _run(self, record: Record, message: M) -> Ending:
        attempt = 0
        while True:
            attempt += 1
            error = await self._try(message)
            if error is None:
                self._around.defects.count_success()
                return "done"
            if isinstance(error, Closed):
                return await self._insist(partial(self._wait, message, error.detail, error.until, counts=False))
            policy = POLICIES[error.kind]
            if attempt < policy.tries:
                await asyncio.sleep(policy.delay(attempt))
            elif error.kind == "unexpected" and await self._is_held_by_defects(error):
                attempt = 0
            else:
                return await self._insist(partial(self._end, record, message, error, attempt))

    async def _try(self, message: M) -> HubError | Closed | None:
        """Try once. Returns what went wrong."""
        gate, touches = self._around.gate, self._stage.touches
        try:
            if (closed := await gate.enter(message.connection, touches)) is not None:
                return closed
            await self._publish(await self._handler.handle(message))
            await gate.passed(message.connection, touches)
        except HubError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the boundary: what is not sorted is a defect, and is counted as one
            return _wrap(error)
        return None

    async def _is_held_by_defects(self, error: HubError) -> bool:
        """Count the defect; if too many came in a row, hold this message until it is its turn to be tried again."""
        defects = self._around.defects
        defects.count_failure()
        if not defects.is_tripped:
            return False
        get_logger().error("stage.defects.tripped", stage=self._stage.name, error=str(error))
        await defects.wait_for_turn()
        return True

    async def _end(self, record: Record, message: M, error: HubError, attempts: int) -> Ending:
        end = POLICIES[error.kind].end
        match end:
            case "wait":
                return await self._wait_or_give_up(message, error)
            case "block":
                until = await self._around.gate.block(message.connection, error)
                return await self._wait(message, describe(error), until, counts=False)
            case "fail":
                return await self._fail(message, describe(error))
            case "dead":
                reason = "poison" if isinstance(error, Poison) else "unexpected"
                return await self._bury_and_report(record, message, error, reason, attempts)
            case _:
                assert_never(end)

    async def _wait_or_give_up(self, message: M, error: HubError) -> Ending:
        """Wait for the next round, if one is left. Doubt has its own clock (the doubt window) and uses up none."""
        retry_after = error.retry_after if isinstance(error, RetryLater) else None
        attempt = message.build_wakeup().attempt
        if isinstance(error, InDoubt) and retry_after is not None:
            return await self._wait(message, describe(error), self._around.clock.now() + retry_after, counts=False)
        wait = get_wait(self._around.retry_waits, attempt, retry_after)
        if wait is None:
            return await self._fail(message, _give_up(describe(error), attempt))
        return await self._wait(message, describe(error), self._around.clock.now() + wait, counts=True)

    async def _wait(self, message: M, detail: ErrorDetail, due: datetime, *, counts: bool) -> Ending:
        await self._publish(await self._handler.report(message, Failure(detail, due)))
        await self._around.waiting.park(
            Parked(message, due, detail.code, detail.message, self._stage.name, counts_as_attempt=counts)
        )
        return "waiting"

    async def _keep(self, parked: Parked) -> Ending:
        await self._around.waiting.park(parked)
        return "waiting"

    async def _fail(self, message: M, detail: ErrorDetail) -> Ending:
        await self._publish(await self._handler.report(message, Failure(detail)))
        return "failed"

    async def _bury(
        self, record: Record, error: HubError, reason: Literal["poison", "unexpected"], attempts: int
    ) -> Ending:
        cause = error.__cause__ if isinstance(error, Unexpected) and error.__cause__ else error
        dead = build_dead_message(
            record, cause, stage=self._stage.name, reason=reason, attempts=attempts, at=self._around.clock.now()
        )
        await self._publish([dead])
        DEAD_COUNT.labels(self._stage.name, reason).inc()
        get_logger().error(
            "stage.message.dead", topic=record.topic, offset=record.offset, code=error.code, why=str(cause)
        )
        return "dead"

    async def _bury_and_report(
        self, record: Record, message: M, error: HubError, reason: Literal["poison", "unexpected"], attempts: int
    ) -> Ending:
        """To the dead topic, and a failed result, so that the invoice's people see it too."""
        ending = await self._bury(record, error, reason, attempts)
        try:
            await self._fail(message, describe(error))
        except (RetrySoon, RetryLater):
            raise
        except Exception as second:  # noqa: BLE001 - the report met the same defect; the dead topic has the message whole
            get_logger().error("stage.report.failed", why=repr(second))
        return ending

    async def _publish(self, outgoing: Sequence[Outgoing]) -> None:
        for one in outgoing:
            await self._around.publisher.publish(one)

    async def _insist(self, action: Callable[[], Awaitable[Ending]]) -> Ending:
        """Repeat an end until it is done: what ends a message needs ledger or broker, and both come back.

        The offset stays where it is meanwhile. A defect in the end itself is logged each time, and seen as lag.
        """
        pause = 0.2
        while True:
            try:
                return await action()
            except Exception as error:  # noqa: BLE001 - giving up here would lose the message
                get_logger().warning("stage.end.retried", stage=self._stage.name, why=_word(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)


def _wrap(error: Exception) -> Unexpected:
    wrapped = Unexpected(
        "The hub met an error it did not expect. It was recorded for the operator; replay the invoice after an update.",
        code=f"unexpected.{type(error).__name__}",
    )
    wrapped.__cause__ = error
    return wrapped


def _give_up(detail: ErrorDetail, attempts: int) -> ErrorDetail:
    return detail.model_copy(
        update={"fix": f"The hub tried {attempts + 1} times and gave up. Replay the invoice once the cause is gone."}
    )


def _word(error: Exception) -> Any:
    return error.code if isinstance(error, HubError) else repr(error)
