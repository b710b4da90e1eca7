"""What is kept of each finished seed: a line of JSON, so that a long proof can be interrupted and taken up again."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.chaos.run import Run

RESULTS = Path(__file__).parent / "results.jsonl"


@dataclass(frozen=True)
class Result:
    """One seed that has run to its end."""

    seed: int
    invoices: int
    per_second: float
    clean: bool
    due: int
    drafts: int
    told: int
    customers: int
    wrong: dict[str, int]
    """Offences by kind."""
    made_twice: dict[str, int]
    usage: dict[str, int]
    tally: dict[str, int]
    crashes: int
    illnesses: int
    seconds: int
    settled_after: int
    at: str
    version: str
    """The commit that ran."""


def summarize(run: Run) -> Result:
    """Keep what the report needs of a run."""
    verdict, usage = run.verdict, run.usage
    return Result(
        seed=run.plan.seed,
        invoices=run.plan.invoices,
        per_second=run.plan.per_second,
        clean=run.is_clean,
        due=verdict.due,
        drafts=verdict.drafts,
        told=verdict.synced,
        customers=verdict.customers,
        wrong=run.count_offences(),
        made_twice=run.made_twice,
        usage={"synced": usage.synced, "counted": usage.counted, "forgotten": usage.forgotten},
        tally=dict(sorted(run.tally.items())),
        crashes=sum(run.crashes.values()),
        illnesses=len(run.illnesses),
        seconds=round(run.seconds),
        settled_after=round(run.settled_after),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=_find_version(),
    )


def load_results(path: Path = RESULTS) -> list[Result]:
    """Read the last result of each seed, in the order of seeds."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted({row["seed"]: Result(**row) for row in rows}.values(), key=lambda one: one.seed)


def save_result(result: Result, path: Path = RESULTS) -> None:
    """Add a seed's result, in the place of an earlier one."""
    kept: Sequence[Result] = [one for one in load_results(path) if one.seed != result.seed]
    rows = sorted([*kept, result], key=lambda one: one.seed)
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in rows))


def _find_version() -> str:
    done = subprocess.run(
        ("git", "describe", "--always", "--dirty"), capture_output=True, text=True, timeout=10, check=False
    )
    return done.stdout.strip()
