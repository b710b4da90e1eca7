"""Which offset may be committed: the first one that is not finished. Pure bookkeeping, one object per assignment."""

from collections import deque
from dataclasses import dataclass
from enum import Enum


class Taken(Enum):
    """What an offset is, seen from those taken before it."""

    NEW = "new"
    DUPLICATE = "duplicate"
    GAP = "gap"


@dataclass(slots=True, eq=False)
class OffsetSlot:
    """One record's place in line. Whoever finishes the record sets `done`."""

    offset: int
    taken_at: float
    done: bool = False


class PartitionOffsets:
    """The offsets of one partition since it was assigned.

    Kafka commits a position, not a message: committing n says that everything below n is finished. So a finished record
    behind an unfinished one is kept back until that one is finished as well.
    """

    def __init__(self) -> None:
        self._open: deque[OffsetSlot] = deque()
        self._next: int | None = None
        self._position: int | None = None
        self._committed: int | None = None

    @property
    def next_offset(self) -> int | None:
        """The offset expected next; None before the first record."""
        return self._next

    @property
    def oldest_open(self) -> OffsetSlot | None:
        """The record that holds the commit back, if any."""
        return next((slot for slot in self._open if not slot.done), None)

    def open_slots(self) -> list[OffsetSlot]:
        """List the records taken and not finished, oldest first."""
        return [slot for slot in self._open if not slot.done]

    def judge(self, offset: int) -> Taken:
        """Say whether `offset` is the next one, was taken before, or lies beyond one that was never seen."""
        if self._next is None or offset == self._next:
            return Taken.NEW
        return Taken.DUPLICATE if offset < self._next else Taken.GAP

    def take(self, offset: int, now: float) -> OffsetSlot:
        """Take a record; its offset is held until the slot is done."""
        slot = OffsetSlot(offset, now)
        self._open.append(slot)
        self._next = offset + 1
        return slot

    def committable(self) -> int | None:
        """Return the position to commit, or None if it has not moved since `mark_committed`."""
        while self._open and self._open[0].done:
            self._position = self._open.popleft().offset + 1
        return self._position if self._position != self._committed else None

    def mark_committed(self, position: int) -> None:
        """Remember what the broker has acknowledged."""
        self._committed = position
