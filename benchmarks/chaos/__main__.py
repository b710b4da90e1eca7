"""Run seeds: `python -m benchmarks.chaos --seeds 1-3 --invoices 100`.

With `--report FILE` each seed's result is kept (results.jsonl), seeds that are there already are left out (`--again`
runs them anew), and the report is written from all that are kept.
"""

import argparse
import shutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.chaos.report import build_report
from benchmarks.chaos.results import RESULTS, load_results, save_result, summarize
from benchmarks.chaos.run import Run, run_seed, write_stories
from benchmarks.chaos.schedule import build_plan


def main() -> None:
    """Run each seed, say how it went, and end with 1 if one of them was not clean."""
    options = _parse()
    base = Path(".hub").absolute()
    base.mkdir(exist_ok=True)
    keeps = options.report and not options.again
    done = {one.seed for one in load_results(options.results)} if keeps else set[int]()
    dirty = 0
    for seed in _read_seeds(options.seeds):
        if seed in done:
            continue
        directory = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-", dir=base))
        plan = replace(build_plan(seed, options.invoices, options.per_second), as_shipped=options.as_shipped)
        try:
            run = run_seed(plan, directory, deadline=options.deadline)
        except Exception:  # noqa: BLE001 - a world that can't be built for one seed must not end a proof of hours
            traceback.print_exc()
            dirty += 1
            continue
        _tell(run)
        if run.is_clean and not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"  kept: {write_stories(run, directory)}")
        dirty += not run.is_clean
        if options.report:
            save_result(summarize(run), options.results)
            options.report.write_text(build_report(load_results(options.results)))
    sys.exit(1 if dirty else 0)


def _tell(run: Run) -> None:
    print(f"seed {run.plan.seed}: {run.verdict}; {run.seconds:.0f} s, settled {run.settled_after:.0f} s after the plan")
    if not run.standing.is_settled:
        print(f"  not settled: {run.standing}")
    print(f"  ever made twice {run.made_twice}; usage {run.usage}")
    print(f"  crashes {run.crashes or 'none'}, illnesses {list(run.illnesses) or 'none'}")
    print("  " + ", ".join(f"{name} {number}" for name, number in sorted(run.tally.items())), flush=True)


def _read_seeds(text: str) -> Sequence[int]:
    """Read `7`, `1-20` or `3,5,8`."""
    first, dash, last = text.partition("-")
    return range(int(first), int(last) + 1) if dash else [int(one) for one in text.split(",")]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--invoices", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=6.0)
    parser.add_argument("--deadline", type=float, default=420.0, help="seconds within which all must be settled")
    parser.add_argument("--keep", action="store_true", help="keep logs and stories of clean runs too")
    parser.add_argument(
        "--as-shipped", action="store_true", help="the company has Microsoft's own set-up, and answers with old totals"
    )
    parser.add_argument("--report", type=Path, help="keep results, and write the report to this file")
    parser.add_argument("--results", type=Path, default=RESULTS, help="with --report: where results are kept")
    parser.add_argument("--again", action="store_true", help="with --report: run seeds that are kept already, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
