"""One run: build the world, load it, disturb it, wait until all is settled, compare, and tell what went wrong."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.checker import Offence, Verdict, check, count_made_twice
from benchmarks.chaos.groups import count_rebalances
from benchmarks.chaos.history import tell_customer, tell_invoice
from benchmarks.chaos.inject import Injector, injecting
from benchmarks.chaos.schedule import Plan
from benchmarks.chaos.settle import Standing, wait_until_settled
from benchmarks.chaos.usage import UsageCheck, check_usage
from benchmarks.chaos.world import World, make_invoices, open_world

# Longer than what was woken and lost on its way takes to come round again (two minutes, hub/waiting.py).
_PATIENCE = 150.0
_STORIES = 5


@dataclass(frozen=True)
class Run:
    """How one seed went."""

    plan: Plan
    verdict: Verdict
    made_twice: dict[str, int]
    """Drafts and customers that were ever created more than once, whatever became of them."""
    usage: UsageCheck
    standing: Standing
    tally: Counter[str]
    seconds: float
    settled_after: float
    """Seconds from the end of the plan until all was settled, with what goes wrong all the time still going wrong."""
    timeline: Sequence[str] = ()
    stories: Sequence[str] = ()
    crashes: dict[str, int] = field(default_factory=dict[str, int])
    illnesses: Sequence[str] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled or untrue, and everything came to its end."""
        return (
            self.verdict.is_clean
            and self.standing.is_settled
            and not any(self.made_twice.values())
            and not self.usage.offences
        )

    @property
    def offences(self) -> list[Offence]:
        """All that was not as it ought to be."""
        return [*self.verdict.offences, *self.usage.offences]

    def count_offences(self) -> dict[str, int]:
        """Count the offences by kind."""
        return dict(Counter(one.wrong for one in self.offences))


async def run_plan(plan: Plan, directory: Path, *, deadline: float = 420.0) -> Run:
    """Run one plan in a directory of its own.

    Args:
        plan: What happens.
        directory: Gets logs, data and, if something went wrong, the story of each offence.
        deadline: Seconds after the load within which all must be settled.
    """
    begun = time.monotonic()
    async with open_world(directory, plan) as world:
        injector = Injector(world, plan)
        async with injecting(injector) as disturbing:
            jobs = await make_invoices(world, plan)
            await disturbing
            planned = time.monotonic()
            standing = await wait_until_settled(world, jobs, patience=_PATIENCE, deadline=deadline, note=injector.note)
            settled_after = time.monotonic() - planned
        verdict = standing.verdict or await check(world)
        usage = await check_usage(world, injector.wiped_at)
        injector.tally += await _count_webhook_faults(world)
        injector.tally["rebalance"] = await asyncio.to_thread(count_rebalances, directory / "logs")
        stories = await _tell(world, [*verdict.offences, *usage.offences])
        return Run(
            plan,
            verdict,
            await count_made_twice(world),
            usage,
            standing,
            injector.tally,
            time.monotonic() - begun,
            settled_after,
            injector.timeline,
            stories,
            dict(world.crashes),
            tuple(world.illnesses),
        )


async def _count_webhook_faults(world: World) -> Counter[str]:
    """Count deliveries that did not go as they ought."""
    state = await world.simulators.call(world.simulators.stripe, "GET", "state")
    found: dict[str, int] = state["webhook_deliveries"]
    return Counter({f"webhook {name}": found[name] for name in ("failed", "dropped")})


async def _tell(world: World, offences: Sequence[Offence]) -> list[str]:
    lines: list[str] = []
    for one in offences[:_STORIES]:
        lines.append(f"--- {one.wrong}: {one.about}: {one.words}")
        if one.about.startswith("in_"):
            lines += await tell_invoice(world, one.about)
        elif "@" in one.about:
            lines += await tell_customer(world, one.about)
    return lines


def write_stories(run: Run, directory: Path) -> Path:
    """Keep everything that is needed to understand a run that failed."""
    path = directory / f"seed-{run.plan.seed}.txt"
    lines = [
        f"seed {run.plan.seed}, {run.plan.invoices} invoices at {run.plan.per_second:g}/s, skews {run.plan.skews}",
        f"standing: {run.standing}",
        f"crashes: {run.crashes}, illnesses: {list(run.illnesses)}",
        f"ever made twice: {run.made_twice}",
        *(f"{one.wrong}: {one.about}: {one.words}" for one in run.offences),
        "",
        *run.timeline,
        "",
        *run.stories,
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def run_seed(plan: Plan, directory: Path, *, deadline: float = 420.0) -> Run:
    """Run one plan from synchronous code, in an event loop of its own."""
    import uvloop  # noqa: PLC0415 - not on every platform

    run_in = asyncio.run if sys.platform == "win32" else uvloop.run
    return run_in(run_plan(plan, directory, deadline=deadline))
