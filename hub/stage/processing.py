"""One message from decoding to its end: tries, pauses and ends follow `hub/retry.py`. Knows nothing of Kafka."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, Literal, TypeVar, assert_never

from hub.clock import Clock
from hub.log import get_logger
from hub.metrics import DEAD as DEAD_COUNT
from hub.retry import POLICIES, get_named_wait, get_wait, is_worth_telling
from hub.stage.claim import Claim
from hub.stage.defects import DefectRun, Verdict
from hub.stage.ports import (
    HELD,
    Admission,
    Closed,
    Failure,
    Gate,
    Handler,
    Outgoing,
    Parked,
    Publisher,
    WaitingSet,
    describe,
    name_own_system,
)
from hub.stage.records import Record, build_dead_message, decode_record
from schemas.catalogue import get_entry
from schemas.errors import Blocked, Gone, HubError, Poison, Refused, RetryLater, RetrySoon
from schemas.messages import ErrorDetail, Message, StageName
from schemas.topics import CONTACTS_RESOLVED

M = TypeVar("M", bound=Message)
Ending = Literal["done", "waiting", "failed", "forgotten", "dead", "dropped"]
"""`dropped`: the claim was lost before the end; the record is not finished, and its offset not to be committed."""

# How long a message waits when the gate itself cannot be asked or closed (its stored secrets can't be read).
_GATE_PAUSE = timedelta(minutes=1)
# So often an end may meet a defect of its own (in a handler's report, say) before the dead topic takes the record.
_END_TRIES = 3


class Unexpected(HubError):  # noqa: N818 - named as the kind it is
    """Wraps what is not a HubError: a defect of ours."""

    kind = "unexpected"


@dataclass(frozen=True)
class StageIdentity:
    """Who the stage is: its name, and which remote systems a message of it needs."""

    name: StageName
    touches: frozenset[str]

    @property
    def blocked_by(self) -> frozenset[str]:
        """What may block a message here: the remote systems, and a run of the hub's own defects in this stage."""
        return self.touches | {name_own_system(self.name)}


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

    async def process(self, record: Record, claim: Claim | None = None) -> Ending:
        """Bring one record to its end, or to a pause after which the claim on it is lost."""
        held = claim or Claim()
        try:
            message = decode_record(record, self._type)
        except Poison as poison:
            return await self._bury(record, poison, held)
        return await self._run(record, message, held)

    async def park(self, record: Record, claim: Claim, wait: timedelta, *, code: str) -> Ending:
        """Put a record into the waiting set without working on it: over its share, or too long in hand."""
        try:
            message = decode_record(record, self._type)
        except Poison as poison:
            return await self._bury(record, poison, claim)
        due = self._around.clock.now() + wait
        parked = Parked(message, due, code, get_entry(code).cause, self._stage.name, counts_as_attempt=False)
        return await self._insist(record, claim, lambda: self._keep(parked))

    async def _run(self, record: Record, message: M, claim: Claim) -> Ending:
        attempt = 0
        while True:
            attempt += 1
            error = await self._try(message)
            if error is None:
                self._around.defects.count_success(message.connection)
                return "done"
            if isinstance(error, Closed):
                return await self._insist(record, claim, partial(self._wait_for_gate, message, error))
            policy = POLICIES[error.kind]
            if attempt < policy.tries:
                is_ours = await claim.pause(asyncio.sleep(policy.delay(attempt)))
            elif error.kind != "unexpected" or (verdict := self._judge_defect(message, error)) == "single":
                return await self._end(record, message, error, attempt, claim)
            elif verdict == "connection":
                return await self._insist(record, claim, partial(self._block, message, self._build_held(error)))
            else:
                attempt = 0
                is_ours = await claim.pause(self._around.defects.wait_for_turn())
            if not is_ours:
                return "dropped"

    async def _try(self, message: M) -> HubError | Closed | None:
        """Try once. Returns what went wrong."""
        gate = self._around.gate
        try:
            if isinstance(admission := await gate.enter(message.connection, self._stage.blocked_by), Closed):
                return admission
            outgoing = await self._handle(message, admission)
            # Before the next stage has the message: it may be the one to go on with the probe.
            await gate.passed(admission)
            await self._publish(outgoing)
            await self._settle(message, outgoing)
        except HubError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the boundary: what is not sorted is a defect, and is counted as one
            return _wrap(error)
        except asyncio.CancelledError as error:
            if _is_cancelled_from_outside():
                raise
            return _wrap(error)  # something the handler awaited was cancelled, not this task
        return None

    async def _handle(self, message: M, admission: Admission) -> Sequence[Outgoing]:
        try:
            return await self._handler.handle(message)
        except HubError as error:
            await self._around.gate.failed(admission, error)
            raise

    def _judge_defect(self, message: M, error: HubError) -> Verdict:
        """Count the defect, and say whether it is this message's, its connection's, or the whole stage's."""
        defects = self._around.defects
        was_tripped, were_held = defects.is_tripped, defects.held
        verdict = defects.count_failure(message.connection, error.code)
        if verdict == "stage" and not was_tripped:
            get_logger().error("stage.defects.tripped", stage=self._stage.name, code=error.code, exc_info=error)
        if verdict == "connection" and message.connection not in were_held:
            get_logger().error("stage.defects.held", stage=self._stage.name, code=error.code, exc_info=error)
        return verdict

    def _build_held(self, error: HubError) -> Blocked:
        """Build what holds the connection: as an outage would, but of the hub itself."""
        entry = get_entry(HELD)
        said = f" Last in {self._stage.name}: {error.code.removeprefix('unexpected.')}."
        return Blocked(f"{entry.cause}{said} {entry.fix}", code=HELD, context={"stage": self._stage.name})

    async def _end(self, record: Record, message: M, failure: HubError, attempts: int, claim: Claim) -> Ending:
        error = self._around.gate.judge(message.connection, failure)
        end = POLICIES[error.kind].end
        match end:
            case "wait":
                return await self._insist(record, claim, lambda: self._wait_or_give_up(message, error))
            case "block":
                return await self._insist(record, claim, lambda: self._block(message, error))
            case "fail":
                self._around.defects.count_success(message.connection)
                return await self._insist(record, claim, lambda: self._fail(message, describe(error)))
            case "forget":
                return self._forget(message, error)
            case "dead":
                return await self._bury_and_report(record, message, error, attempts, claim)
            case _:
                assert_never(end)

    async def _wait_or_give_up(self, message: M, error: HubError) -> Ending:
        """Wait for the next round, if one is left. What ends by itself at a known time uses up none."""
        wakeup, now = message.build_wakeup(), self._around.clock.now()
        if (named := get_named_wait(error)) is not None:
            is_told = is_worth_telling(error, wakeup, now + named)
            return await self._wait(message, describe(error), now + named, counts=False, is_told=is_told)
        attempt = wakeup.attempt
        retry_after = error.retry_after if isinstance(error, RetryLater) else None
        wait = get_wait(self._around.retry_waits, attempt, retry_after)
        if wait is None:
            return await self._fail(message, _give_up(describe(error), attempt))
        is_told = is_worth_telling(error, wakeup, now + wait)
        return await self._wait(message, describe(error), now + wait, counts=True, is_told=is_told)

    async def _block(self, message: M, error: HubError, *, is_told: bool = True) -> Ending:
        try:
            until = await self._around.gate.block(message.connection, error)
        except (RetrySoon, RetryLater):
            raise
        except HubError:
            # The connection itself can't be read (its secrets' key is gone, say): then each message waits for itself.
            until = self._around.clock.now() + _GATE_PAUSE
        return await self._wait(message, describe(error), until, counts=False, is_told=is_told)

    async def _wait_for_gate(self, message: M, closed: Closed) -> Ending:
        return await self._wait(message, closed.detail, closed.until, counts=False)

    async def _wait(
        self, message: M, detail: ErrorDetail, due: datetime, *, counts: bool, is_told: bool = True
    ) -> Ending:
        if is_told:
            await self._report(message, Failure(detail, due))
        parked = Parked(message, due, detail.code, detail.message, self._stage.name, counts_as_attempt=counts)
        return await self._keep(parked)

    async def _keep(self, parked: Parked) -> Ending:
        await self._around.waiting.park(parked)
        return "waiting"

    async def _fail(self, message: M, detail: ErrorDetail) -> Ending:
        await self._settle(message, await self._report(message, Failure(detail)))
        return "failed"

    async def _report(self, message: M, failure: Failure) -> Sequence[Outgoing]:
        """Record and tell a failure: without what was sent and answered, where that is more than the broker takes."""
        outgoing = await self._handler.report(message, failure)
        try:
            await self._publish(outgoing)
        except Refused:
            if not failure.detail.attempts:
                raise
            short = replace(failure, detail=failure.detail.model_copy(update={"attempts": ()}))
            outgoing = await self._handler.report(message, short)
            await self._publish(outgoing)
        return outgoing

    def _forget(self, message: M, error: HubError) -> Ending:
        self._around.defects.count_success(message.connection)
        get_logger().info("stage.message.forgotten", stage=self._stage.name, code=error.code, why=error.message)
        return "forgotten"

    async def _settle(self, message: M, outgoing: Sequence[Outgoing]) -> None:
        """Take what came round out of the waiting set, unless it goes on to another stage that may yet lose it.

        Mostly its recorded outcome has done that already; but a message may end without one (not due, nothing new).
        """
        cause = getattr(message, "cause", None) or message.build_wakeup().cause
        if cause in {"webhook", "catch_up"}:
            return
        if self._stage.name != "metadata_writer" and all(one.topic is not CONTACTS_RESOLVED for one in outgoing):
            await self._around.waiting.settle(message)

    async def _bury(self, record: Record, error: HubError, claim: Claim, attempts: int = 1) -> Ending:
        async def bury() -> Ending:
            await self._publish_dead(record, error, attempts)
            return "dead"

        return await self._insist(record, claim, bury)

    async def _bury_and_report(
        self, record: Record, message: M, error: HubError, attempts: int, claim: Claim
    ) -> Ending:
        """To the dead topic; and a defect also makes a failed result, so that the invoice's people see it too."""
        ending = await self._bury(record, error, claim, attempts)
        if error.kind != "unexpected" or ending != "dead":
            return ending
        return await self._insist(record, claim, lambda: self._report_dead(message, error))

    async def _report_dead(self, message: M, error: HubError) -> Ending:
        try:
            await self._fail(message, describe(error))
        except (RetrySoon, RetryLater):
            raise
        except Exception as second:  # noqa: BLE001 - the dead topic has the message whole, with its first error
            get_logger().error("stage.report.failed", stage=self._stage.name, exc_info=second)
        return "dead"

    async def _publish_dead(self, record: Record, error: HubError, attempts: int) -> None:
        reason = "unexpected" if error.kind == "unexpected" else "poison"
        cause = error.__cause__ if isinstance(error, Unexpected) and error.__cause__ else error
        build = partial(
            build_dead_message,
            record,
            cause,
            stage=self._stage.name,
            reason=reason,
            attempts=attempts,
            at=self._around.clock.now(),
        )
        try:
            await self._publish([build()])
        except Refused:  # the dead topic was made with a smaller limit than `hub topics apply` gives it
            await self._publish([build(keep_value=False)])
        DEAD_COUNT.labels(self._stage.name, reason).inc()
        get_logger().error(
            "stage.message.dead", topic=record.topic, offset=record.offset, code=error.code, why=str(cause)
        )

    async def _publish(self, outgoing: Sequence[Outgoing]) -> None:
        for one in outgoing:
            await self._around.publisher.publish(one)

    async def _insist(self, record: Record, claim: Claim, action: Callable[[], Awaitable[Ending]]) -> Ending:
        """Repeat an end until it is done: what ends a message needs ledger or broker, and both come back.

        The offset stays where it is meanwhile. An end that meets a defect of its own (in a handler's report, say), or a
        damaged record, is not repeated for ever: it counts as a defect, and the dead topic takes the record.
        """
        pause, failures = 0.2, 0
        while True:
            try:
                return await action()
            except (RetrySoon, RetryLater) as error:
                get_logger().warning("stage.end.retried", stage=self._stage.name, why=error.code)
            except Gone as error:
                get_logger().info("stage.message.forgotten", stage=self._stage.name, code=error.code, why=error.message)
                return "forgotten"
            except Exception as error:  # noqa: BLE001 - giving up here would lose the message
                failures += 1
                get_logger().error("stage.end.failed", stage=self._stage.name, exc_info=error)
                if failures >= _END_TRIES:
                    sorted_out = error if isinstance(error, HubError) else _wrap(error)
                    action = await self._end_otherwise(record, sorted_out, claim, failures, action)
            if not await claim.pause(asyncio.sleep(pause)):
                return "dropped"
            pause = min(pause * 2, 10.0)

    async def _end_otherwise(
        self, record: Record, error: HubError, claim: Claim, failures: int, action: Callable[[], Awaitable[Ending]]
    ) -> Callable[[], Awaitable[Ending]]:
        """Choose another end for a message whose own meets a defect each time."""

        async def bury() -> Ending:
            await self._publish_dead(record, error, failures)
            return "dead"

        try:
            message = decode_record(record, self._type)
        except Poison:
            return bury
        match self._judge_defect(message, error):
            case "stage":
                await claim.pause(self._around.defects.wait_for_turn())
                return action
            case "connection":
                # Not told: telling may be what fails.
                return partial(self._block, message, self._build_held(error), is_told=False)
            case _:
                return bury


def _is_cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _wrap(error: BaseException) -> Unexpected:
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
