"""Insertion-ordered storage with Stripe's cursors: newest first, `starting_after`, `ending_before`."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Held = TypeVar("Held")


class Shelf(Generic[Held]):
    """Objects by id in order of creation; a deleted one leaves a gap, so positions stay valid cursors."""

    def __init__(self) -> None:
        self._row: list[Held | None] = []
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, key: str) -> bool:
        return key in self._at

    def __iter__(self) -> Iterator[Held]:
        return (held for held in self._row if held is not None)

    def add(self, key: str, held: Held) -> None:
        """Put a new object at the end."""
        self._at[key] = len(self._row)
        self._row.append(held)

    def get(self, key: str) -> Held | None:
        """Return the object, or None when it never was or is gone."""
        at = self._at.get(key)
        return None if at is None else self._row[at]

    def remove(self, key: str) -> None:
        """Take the object out; a second call is an error of the caller."""
        self._row[self._at.pop(key)] = None

    def older_than(self, key: str | None) -> Iterator[Held]:
        """Yield newest first, beginning just behind `key` (None: at the newest)."""
        start = len(self._row) if key is None else self._at[key]
        for at in range(start - 1, -1, -1):
            held = self._row[at]
            if held is not None:
                yield held

    def newer_than(self, key: str) -> Iterator[Held]:
        """Yield oldest first, beginning just after `key`."""
        for at in range(self._at[key] + 1, len(self._row)):
            held = self._row[at]
            if held is not None:
                yield held


def take_page(
    source: Iterator[Held], limit: int, wanted: Callable[[Held], bool], ended: Callable[[Held], bool]
) -> tuple[list[Held], bool]:
    """Collect up to `limit` wanted objects; tells whether one more follows. `ended` stops the walk early."""
    page: list[Held] = []
    for held in source:
        if ended(held):
            break
        if not wanted(held):
            continue
        if len(page) == limit:
            return page, True
        page.append(held)
    return page, False
