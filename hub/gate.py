"""The runtime's gate: which connections wait as a whole, which message may try, and what ends the wait.

Only an answer of the blocked system itself ends a block. A message that got by without asking it (a duplicate of a
synced invoice, say) proves nothing: it gives the probe back, for the next one, or for itself in the next stage.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from hub.clock import Clock
from hub.directory import Directory
from hub.stage.ports import HELD, Admission, Closed, name_own_system
from schemas.catalogue import get_entry
from schemas.connections import BlockedState
from schemas.errors import Blocked, HubError, RetryLater
from schemas.messages import ErrorDetail

# Business Central answers as ever, but hides what the hub has made: over only when a draft was seen (`proved`).
DRAFTS_HIDDEN = "bc.permission.drafts_hidden"


# A system that fails like this with so many messages in a row, and answers nothing in between, is down.
_OUTAGES = {
    "bc": frozenset(
        {
            "bc.server.unavailable",
            "bc.answer.timeout",
            "bc.connection.failed",
            "bc.connection.broken",
            "bc.sign_in.unavailable",
            "bc.sign_in.unreachable",
        }
    ),
    "stripe": frozenset(
        {
            "stripe.service.unavailable",
            "stripe.service.failed",
            "stripe.connection.failed",
            "stripe.connection.timeout",
        }
    ),
}
_ALL_OUTAGES = frozenset(code for codes in _OUTAGES.values() for code in codes)
_DOWN_AFTER = 5
_PASSING = frozenset({"bc.outage", "stripe.outage", "bc.tenant.unavailable"})


class Answers:
    """How often each remote system has given each connection a successful answer, in this process."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[tuple[str, str]] = Counter()

    def note(self, connection: str, system: str) -> None:
        """Count an answer."""
        self._counts[connection, system] += 1
        self._failures.pop((connection, system), None)

    def note_failure(self, connection: str, system: str) -> int:
        """Count a message that got none; returns how many in a row that makes."""
        self._failures[connection, system] += 1
        return self._failures[connection, system]

    def count(self, connection: str, system: str) -> int:
        """Return how many there were."""
        return self._counts[connection, system]


class Waiting(Protocol):
    """Lets what waits go on."""

    async def make_due(self, connection: str, now: datetime) -> int:
        """Let everything that waits be due now."""
        ...


@dataclass(frozen=True)
class ConnectionGate:
    """The gate over the directory and what the remote clients hear."""

    directory: Directory
    clock: Clock
    answers: Answers
    waiting: Waiting
    # How long a blocked connection is left alone: doubling from the first to the last.
    first_probe: timedelta = timedelta(seconds=30)
    last_probe: timedelta = timedelta(minutes=10)
    # An outage ends without anybody's doing: it is looked at sooner.
    first_outage_probe: timedelta = timedelta(seconds=5)
    last_outage_probe: timedelta = timedelta(minutes=1)

    async def enter(self, connection: str, touches: frozenset[str]) -> Closed | Admission:
        """Return why the connection waits, or leave to go on: as a probe where it is blocked and its time has come."""
        snapshot = await self.directory.get(connection)
        if snapshot.blocks.keys() & touches:
            # Another process may just have ended the block, or taken the probe.
            snapshot = await self.directory.get(connection, is_fresh=True)
        now = self.clock.now()
        if snapshot.connection.paused and "bc" in touches:
            paused = get_entry("connection.paused")
            return _close(paused.code, f"{paused.cause} {paused.fix}", now + self.last_probe)
        blocks = {system: state for system, state in snapshot.blocks.items() if system in touches}
        for state in blocks.values():
            if not state.is_due(now):
                return _close(state.code, state.message, state.next_probe_at)
        for system, state in blocks.items():
            pause = self._pause(state.code, state.probes + 1)
            await self._move(connection, system, state, now + pause, state.probes + 1)
        return Admission(connection, {system: self.answers.count(connection, system) for system in blocks})

    def judge(self, connection: str, error: HubError) -> HubError:
        """Return the error; or, where a system has failed many messages in a row, that the whole connection waits.

        So an outage costs a few requests and no attempts, and what waits goes on when it ends, in order.
        """
        system = system_of(error.code)
        if error.code not in _OUTAGES[system] or self.answers.note_failure(connection, system) < _DOWN_AFTER:
            return error
        entry = get_entry("bc.outage" if system == "bc" else "stripe.outage")
        return Blocked(
            f"{entry.cause} {entry.fix}",
            code=entry.code,
            context={**error.context, "last": error.code},
            retry_after=error.retry_after if isinstance(error, RetryLater) else None,
        )

    async def block(self, connection: str, error: HubError) -> datetime:
        """Block the connection on the system that the error's code names first; on the hub itself, in one stage."""
        system = name_own_system(error.context["stage"]) if error.code == HELD else system_of(error.code)
        snapshot = await self.directory.load(connection)
        now = self.clock.now()
        if (known := snapshot.blocks.get(system)) is not None:
            return max(known.next_probe_at, now + timedelta(seconds=1))
        asked = error.retry_after if isinstance(error, Blocked) else None
        first = now + max(self._pause(error.code, 0), asked or timedelta(0))
        state = BlockedState(code=error.code, message=error.message, since=now, next_probe_at=first)
        await self.directory.save_block(connection, system, state)
        return state.next_probe_at

    async def passed(self, admission: Admission) -> None:
        """Unblock what has answered the probe; what was not asked may be probed by the next, at once.

        Then all that waits is due, the oldest first; the waker brings no more of it than the connection can take.
        """
        await self._end_probe(admission, went_through=True)

    async def _end_probe(self, admission: Admission, *, went_through: bool) -> None:
        if not admission.probing:
            return
        connection = admission.connection
        snapshot = await self.directory.load(connection)
        for system, state in snapshot.blocks.items():
            if system not in admission.probing:
                continue
            if went_through if state.code == HELD else self._has_answered(admission, system, state, snapshot.proved):
                await self.directory.save_block(connection, system, None)
                await self.waiting.make_due(connection, self.clock.now())
            else:
                # Since the block began, not since now: where this clock is ahead of the next stage's, that would wait,
                # give the time over to the next message here, and so on for ever.
                await self._move(connection, system, state, state.since, max(0, state.probes - 1))

    async def failed(self, admission: Admission, error: HubError) -> None:
        """Judge a probe by what it met: a person's task, a doubt or a queue says nothing against the system.

        What was not asked may be probed by the next, at once. A block, or an error of an exchange (which names its
        method), is what a probe is to find out.
        """
        is_fault = error.kind == "blocked" or error.code in _ALL_OUTAGES or "method" in error.context
        if error.kind == "refused" or not is_fault:
            await self._end_probe(admission, went_through=error.kind == "refused")

    def _has_answered(self, admission: Admission, system: str, state: BlockedState, proved: bool) -> bool:
        if state.code == DRAFTS_HIDDEN and not proved:
            return False
        return self.answers.count(admission.connection, system) > admission.probing[system]

    async def _move(self, connection: str, system: str, state: BlockedState, probe_at: datetime, probes: int) -> None:
        """Say when the next probe is due. Before one goes through, so that it stays one."""
        moved = state.model_copy(update={"probes": probes, "next_probe_at": probe_at})
        await self.directory.save_block(connection, system, moved)

    def _pause(self, code: str, probes: int) -> timedelta:
        is_outage = code in _PASSING
        first = self.first_outage_probe if is_outage else self.first_probe
        return min(first * 2 ** min(probes, 10), self.last_outage_probe if is_outage else self.last_probe)


def system_of(code: str) -> str:
    """Say which system a blocking error concerns: a block on Stripe stops every stage, any other not the metadata."""
    return "stripe" if code.startswith("stripe.") else "bc"


def describe_system(system: str) -> str:
    """Name to people what a connection is blocked on."""
    stage = system.removeprefix(name_own_system(""))
    return system if stage == system else f"the hub itself, in {stage}"


def _close(code: str, message: str, until: datetime) -> Closed:
    return Closed(ErrorDetail(kind="blocked", code=code, message=message), until)
