"""The fault bench, in a size that fits into continuous integration: two replicas of all, on Apache Kafka.

Five minutes in all; the proof is `python -m benchmarks.chaos`.
"""

from pathlib import Path

import pytest

from benchmarks.chaos.run import run_seed, write_stories
from benchmarks.chaos.schedule import build_plan
from tests.brokers import Unavailable, fetch_kafka, find_java, skip_missing

# Every seed with which the bench once found something, and what that was. Seeds draw the plan of faults; how processes
# interleave is up to the machine.
SEEDS = {
    6: "a token revoked within ten seconds blocked the connection; clocks that differed kept it blocked",
    1: "a coordinator that was still loading made a stage begin anew at the oldest message",
    21: "a connection to Redis reset a moment ago was taken for a defect; pending erased what usage is counted from",
    14: "the same below the limiter",
}


@pytest.fixture(scope="session")
def _can_run_kafka() -> None:  # pyright: ignore[reportUnusedFunction]
    """The bench runs its own broker, with an entrance for each replica."""
    try:
        find_java()
        fetch_kafka()
    except Unavailable as exc:
        skip_missing("kafka", str(exc))


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("_can_run_kafka")
@pytest.mark.parametrize("seed", SEEDS, ids=str)
def test_whatever_breaks_there_is_one_draft_and_none_is_lost(seed: int, tmp_path: Path) -> None:
    run = run_seed(build_plan(seed, invoices=120, per_second=4.0), tmp_path / "run", deadline=240)
    assert run.is_clean, write_stories(run, tmp_path).read_text()
