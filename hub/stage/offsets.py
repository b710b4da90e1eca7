"""Which offset may be committed: the first one that is not finished. Pure bookkeeping, one object per assignment."""

from collections import deque
from dataclasses import dataclass
from enum import Enum


class Place(Enum):
    """Where an offset stands, seen from those taken before it."""

    NEXT = "next"
    BEYOND = "beyond"
    """One or more before it were never seen."""
    BACK = "back"
    """It was taken before, or the log began anew at lower offsets. Which of the two, nobody can tell."""


@dataclass(slots=True, eq=False)
class OffsetSlot:
    """One record's place in line. Whoever finishes the record sets `done`."""

    offset: int
    done: bool = False


class PartitionOffsets:
    """The offsets of one partition since it was assigned.

    Kafka commits a position, not a message: committing n says that everything below n is finished. So a finished record
    behind an unfinished one is kept back until that one is finished as well.
    """

    def __init__(self, expected: int | None = None) -> None:
        self._open: deque[OffsetSlot] = deque()
        self._next = expected
        self._first: int | None = None
        self._position: int | None = None
        self._committed: int | None = None

    @property
    def next_offset(self) -> int | None:
        """The offset expected next; None before the first record, unless it was told."""
        return self._next

    @property
    def first(self) -> int | None:
        """The offset taken first; None before it."""
        return self._first

    @property
    def held_at(self) -> int | None:
        """The offset of the record that holds the commit back, or else the one expected next."""
        self._advance()
        return self._open[0].offset if self._open else self._next

    def judge(self, offset: int) -> Place:
        """Say whether `offset` is the next one, lies beyond one that was never seen, or before one that was taken."""
        if offset == self._next or self._next is None:
            return Place.NEXT
        return Place.BACK if offset < self._next else Place.BEYOND

    def take(self, offset: int) -> OffsetSlot:
        """Take a record; its offset is held until the slot is done."""
        slot = OffsetSlot(offset)
        self._open.append(slot)
        self._next = offset + 1
        if self._first is None:
            self._first = offset
        return slot

    def committable(self) -> int | None:
        """Return the position to commit, or None if it has not moved since `mark_committed`."""
        self._advance()
        return self._position if self._position != self._committed else None

    def mark_committed(self, position: int) -> None:
        """Remember what the broker has acknowledged."""
        self._committed = position

    def _advance(self) -> None:
        while self._open and self._open[0].done:
            self._position = self._open.popleft().offset + 1
