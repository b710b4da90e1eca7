"""What is kept of the runs without one protection: a line of JSON for each."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

CAUGHT = Path(__file__).parent / "protections.jsonl"


@dataclass(frozen=True)
class Caught:
    """How a missing protection showed."""

    protection: str
    words: str
    """The faults aimed at its step."""
    seed: int | None
    """The first seed that caught it; None if three did not."""
    found: str
    intact: str
    """What the same faults did with all protections in."""


def load_caught(path: Path = CAUGHT) -> list[Caught]:
    """Read what is kept."""
    if not path.exists():
        return []
    return [Caught(**json.loads(line)) for line in path.read_text().splitlines()]


def save_caught(one: Caught, path: Path = CAUGHT) -> None:
    """Add a protection's line, in the place of an earlier one."""
    kept = [its for its in load_caught(path) if its.protection != one.protection]
    rows = sorted([*kept, one], key=lambda its: its.protection)
    path.write_text("".join(json.dumps(asdict(its)) + "\n" for its in rows))
