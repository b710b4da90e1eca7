"""Is each protection needed? Takes each out in turn, and aims faults at its step.

python -m benchmarks.chaos.protections --report docs/reliability.md [--only "doubt window"]
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.chaos.checker import check, count_made_twice
from benchmarks.chaos.http_faults import BC_CREATES
from benchmarks.chaos.inject import Injector, injecting
from benchmarks.chaos.protection_results import Caught, load_caught, save_caught
from benchmarks.chaos.report import build_report
from benchmarks.chaos.results import load_results
from benchmarks.chaos.schedule import LONGEST_OPERATION, Fault, Kind, Plan
from benchmarks.chaos.settle import wait_until_settled
from benchmarks.chaos.without import OVERFULL
from benchmarks.chaos.world import World, make_invoices, open_world

# With catch-up and the sweep off, what is lost stays lost: the checker, and nothing else, is to find it.
_OFF = {"HUB_CATCH_UP_SECONDS": "86400", "HUB_SWEEP_HOURS": "0"}
_SEEDS = (1, 2, 3)
_PATIENCE, _DEADLINE = 25.0, 90.0
# What was woken and lost comes round again after two minutes.
_FULL_PATIENCE, _FULL_DEADLINE = 150.0, 300.0
_BC_LOOKS = {"method": "GET", "path_regex": r"/salesInvoices\b"}
_BC_CUSTOMERS = {"method": "GET", "path_regex": r"/customers\b"}


@dataclass(frozen=True)
class Attack:
    """Faults aimed at one protection's step."""

    protection: str
    words: str
    rules: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Of Business Central, by name."""
    kind: Kind | None = None
    """What happens to the replicas of a service, again and again."""
    target: str = "invoices"
    every: float = 4.0
    seconds: float = 0.0
    invoices: int = 80
    per_second: float = 5.0
    window: int | None = None
    is_patient: bool = False
    """Wait as long as with all protections in: while anything is under way, what is missing does not count as lost."""


ATTACKS: Sequence[Attack] = (
    Attack(
        "invoice lease",
        "looks that take 1 s, a replica of invoices frozen beyond session and lease every 12 s",
        {"slow looks": {"match": _BC_LOOKS, "kind": "latency", "delay_ms": 1000}},
        "zombie", every=12.0, seconds=8.5, invoices=160,
    ),
    Attack(
        "customer lease",
        "looks for customers that take 1.5 s, two accounts with the same new customers",
        {"slow looks": {"match": _BC_CUSTOMERS, "kind": "latency", "delay_ms": 1500}},
    ),
    Attack(
        "look before POST",
        "a third of the answers lost after the POST was carried out",
        {"lost": {"match": BC_CREATES, "kind": "reset_after", "probability": 0.33}},
    ),
    Attack(
        "doubt window",
        "a third of the POSTs carried out 1.5 s after a 504",
        {"late": {
            "match": BC_CREATES, "kind": "late_commit", "delay_ms": LONGEST_OPERATION * 1000, "probability": 0.33,
        }},
    ),
    Attack(
        "contiguous commit",
        "a tenth of the POSTs take 3.5 s, a replica of invoices killed every 12 s",
        {"slow": {"match": BC_CREATES, "kind": "latency", "delay_ms": 3500, "probability": 0.1}},
        # Not oftener: a killed request keeps its slot at Business Central for 15 s, and nothing would overtake it.
        "kill", every=12.0, invoices=480, per_second=8.0, is_patient=True,
    ),
    Attack(
        "publish before commit",
        "a replica of contacts killed every 6 s",
        kind="kill", target="contacts", every=6.0, invoices=120,
    ),
    Attack(
        "pause after rebalance",
        "looks that take 4.5 s, a full window of 64, a replica of invoices frozen beyond its session every 8 s",
        {"slow looks": {"match": _BC_LOOKS, "kind": "latency", "delay_ms": 4500}},
        "freeze", every=8.0, seconds=4.5, invoices=900, per_second=60.0, window=64,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What one attack did."""

    wrong: Mapping[str, int]

    def __str__(self) -> str:
        """Say it in a few words."""
        return ", ".join(f"{number} {name}" for name, number in self.wrong.items() if number) or "nothing"


def build_attack_plan(attack: Attack, seed: int) -> Plan:
    """Build the faults of an attack, at times drawn from the seed."""
    rng = random.Random(seed)
    length = attack.invoices / attack.per_second + 10
    faults: list[Fault] = []
    if attack.kind is not None:
        turns = range(int(length / attack.every))
        faults = [
            Fault(
                turn * attack.every + rng.uniform(1, attack.every),
                attack.kind,
                f"{attack.target}-{1 + turn % 2}",
                attack.seconds,
            )
            for turn in turns
        ]
    return Plan(seed, attack.invoices, attack.per_second, sorted(faults))


async def run_attack(attack: Attack, seed: int, directory: Path, *, is_intact: bool) -> Finding:
    """Run one attack in a directory of its own, with or without the protection."""
    plan = build_attack_plan(attack, seed)
    words = () if is_intact else ("--without", attack.protection)
    words += ("--window", str(attack.window)) if attack.window else ()
    async with open_world(directory, plan, service_words=words, environ=_OFF) as world:
        injector = Injector(world, plan, {"bc": attack.rules}, {})
        async with injecting(injector) as disturbing:
            jobs = await make_invoices(world, plan)
            await disturbing
            is_patient = is_intact or attack.is_patient
            patience, deadline = (_FULL_PATIENCE, _FULL_DEADLINE) if is_patient else (_PATIENCE, _DEADLINE)
            last = await wait_until_settled(world, jobs, patience=patience, deadline=deadline, note=injector.note)
        found = await _find(world, directory / "logs", is_quiet=last.is_quiet)
        if is_intact and not last.is_quiet:
            # With all protections in, what does not come to rest in time is wrong, too.
            return Finding({**found.wrong, f"not settled ({last})": 1})
        return found


async def _find(world: World, logs: Path, *, is_quiet: bool) -> Finding:
    """Count what went wrong; while something is under way, what is missing may yet come."""
    verdict, twice = await check(world), await count_made_twice(world)
    wrong = {f"{kind} made twice": number for kind, number in twice.items()}
    for one in verdict.offences:
        if not is_quiet and one.wrong in {"lost", "untrue status"}:
            continue
        wrong[one.wrong] = wrong.get(one.wrong, 0) + 1
    wrong["batches beyond a full window"] = await asyncio.to_thread(_count_overfull, logs)
    return Finding(wrong)


def _count_overfull(logs: Path) -> int:
    return sum(log.read_text(errors="replace").count(OVERFULL) for log in logs.glob("*.log"))


def prove(attack: Attack, base: Path) -> Caught:
    """Find the first seed that catches the missing protection; then run that seed with all protections in."""
    for seed in _SEEDS:
        found = _run(attack, seed, base, is_intact=False)
        if any(found.wrong.values()):
            intact = _run(attack, seed, base, is_intact=True)
            return Caught(attack.protection, attack.words, seed, str(found), str(intact))
    return Caught(attack.protection, attack.words, None, "nothing", "")


def _run(attack: Attack, seed: int, base: Path, *, is_intact: bool) -> Finding:
    begun = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="protection-", dir=base))
    found = uvloop.run(run_attack(attack, seed, directory, is_intact=is_intact))
    how = "with all protections" if is_intact else f"without {attack.protection}"
    kept = ""
    if is_intact and any(found.wrong.values()):
        kept = f"; kept: {directory}"
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{attack.protection}, {how}, seed {seed}: {found}; {time.monotonic() - begun:.0f} s{kept}", flush=True)
    return found


def main() -> None:
    """Prove all, or one; ends with 1 if a protection was not missed, or its faults found something with all in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, help="keep what was found, and write the report to this file")
    parser.add_argument("--only", choices=[attack.protection for attack in ATTACKS])
    options = parser.parse_args()
    base = Path(".hub").absolute()
    base.mkdir(exist_ok=True)
    bad = 0
    for attack in ATTACKS:
        if options.only not in {None, attack.protection}:
            continue
        caught = prove(attack, base)
        bad += caught.seed is None or caught.intact != "nothing"
        if options.report:
            save_caught(caught)
            options.report.write_text(build_report(load_results()))
    print(f"{len(load_caught())} protections are kept")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
