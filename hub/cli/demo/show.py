"""`hub demo`: the whole hub with no set-up, real messages over a real broker, counted in the two simulators."""

import asyncio
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from aiokafka import AIOKafkaConsumer
from rich.live import Live
from rich.table import Table

from hub.cli.context import Exit, find_data_dir, run_command
from hub.cli.demo.buyers import HOMES
from hub.cli.demo.count import Count, count, list_failures
from hub.cli.demo.judge import Verdict
from hub.cli.demo.scene import Scene, leave_out_hub, open_scene
from hub.cli.demo.strict import build_company, run_strict
from hub.cli.screen import err, out, print_json
from schemas.messages import StageName
from schemas.topics import TOPICS

NAME = "demo"
_FAILURES_SHOWN = 5
_SERVICES_OF = {
    "stripe.events": "ingest → contacts",
    "contacts.resolved": "contacts → invoices",
    "invoices.results": "invoices → metadata_writer",
    "metadata.updated": "metadata_writer → (dashboard)",
    "hub.dead": "what nobody could read",
}


@dataclass(frozen=True)
class Plan:
    """What to show."""

    invoices: int
    seed: int
    faults: bool
    kill: StageName | None
    quiet: bool
    patience: float
    keep: bool
    kafka: str | None
    strict: bool


@dataclass
class Progress:
    """What has been seen so far."""

    plan: Plan
    begun: float = field(default_factory=time.monotonic)
    messages: Counter[str] = field(default_factory=Counter[str])
    counted: Count | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the first invoice was made."""
        return time.monotonic() - self.begun

    def render(self) -> Table:
        """Draw the flow: messages by topic, then both sides' counts."""
        table = Table(title=f"{self.plan.invoices} Stripe invoices on their way to Business Central", min_width=72)
        for name, side in (("topic", "left"), ("from → to", "left"), ("messages", "right")):
            table.add_column(name, justify="right" if side == "right" else "left")
        for topic in TOPICS:
            table.add_row(topic.name, _SERVICES_OF[topic.name], str(self.messages[topic.name]))
        if (counted := self.counted) is not None:
            table.add_section()
            table.add_row("Stripe", "invoices finalized", str(counted.invoices))
            table.add_row("Business Central", "drafts", str(counted.drafts))
            table.add_row("Stripe", "metadata say synced", str(counted.metadata_written))
        table.caption = f"{self.seconds:.0f} s"
        return table


def command(
    invoices: Annotated[int, typer.Option(min=1, help="How many Stripe invoices to send through.")] = 50,
    seed: Annotated[int, typer.Option(help="Makes invoices and faults repeatable.")] = 1,
    faults: Annotated[bool, typer.Option("--faults", help="Resets, time-outs, 429s, lost webhooks and more.")] = False,
    kill: Annotated[
        StageName | None, typer.Option(help="SIGKILL this service in the middle and start it again.")
    ] = None,
    patience: Annotated[float, typer.Option(help="Give up after this many seconds without progress.")] = 90,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the logs, also when all went well.")] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Real books: customers of twelve countries, a company as Microsoft ships it. All drafts are posted.",
        ),
    ] = False,
    kafka: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Run on this Apache Kafka, which no hub may use; else embedded."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object last, nothing else.")] = False,
) -> None:
    """Run the hub against simulators of Stripe and Business Central. Needs no set-up and touches nothing outside.

    HUB_… names of the shell are ignored, but for HUB_DATA_DIR and the log's: they may name a real hub.
    """
    plan = Plan(invoices, seed, faults, kill, as_json, patience, keep, kafka, strict)
    if strict:
        _show_strict(run_command(_demo_strict(plan)), as_json=as_json)
        return
    counted, seconds = run_command(_demo(plan))
    if as_json:
        rate = round(counted.drafts / seconds, 2)
        print_json({**asdict(counted), "seconds": round(seconds, 2), "invoices_per_second": rate})
    else:
        _conclude(counted, seconds)
    if not counted.is_perfect:
        raise typer.Exit(int(Exit.PROBLEM))


async def _demo_strict(plan: Plan) -> Verdict:
    company = build_company(plan.seed, plan.invoices)
    async with _open_workplace() as place, open_scene(place.directory, _prepare(plan), company) as scene:
        if plan.faults:
            await scene.begin_faults(plan.seed)
        _note(f"{plan.invoices} invoices, to customers of {len(HOMES)} countries; then every draft is posted …")
        verdict = await run_strict(scene, seed=plan.seed, invoices=plan.invoices, patience=plan.patience)
        place.disposable = verdict.is_perfect and not plan.keep
        return verdict


def _show_strict(verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(verdict), "failures": dict(verdict.failures)})
    else:
        style = "green" if verdict.is_perfect else "bold red"
        out.print(f"[{style}]{verdict.describe()}[/]", soft_wrap=True)
        for code, number in sorted(verdict.failures.items()):
            out.print(f"  {number:4} {code}", markup=False, highlight=False)
        for finding in verdict.list_findings():
            out.print(f"  {finding}", markup=False, highlight=False, soft_wrap=True)
    if not verdict.is_perfect:
        raise typer.Exit(int(Exit.PROBLEM))


def _prepare(plan: Plan) -> dict[str, str]:
    """Return the environment of a demo, without what leads to a real hub."""
    environment, ignored = leave_out_hub(os.environ)
    if ignored:
        _note(f"Ignored, so that the demo touches no real hub: {', '.join(ignored)}")
    if plan.kafka is not None:
        environment["HUB_KAFKA_BOOTSTRAP"] = plan.kafka
    return environment


async def _demo(plan: Plan) -> tuple[Count, float]:
    environment = _prepare(plan)
    async with _open_workplace() as place, open_scene(place.directory, environment) as scene:
        if plan.faults:
            await scene.begin_faults(plan.seed)
        counted, seconds = await _watch(plan, scene)
        place.disposable = counted.is_perfect and not plan.keep
        return counted, seconds


def _note(sentence: str) -> None:
    """Say something beside the result: on stderr, for stdout may be a script's."""
    err.print(sentence, style="dim", highlight=False, markup=False, soft_wrap=True)


@dataclass
class _Workplace:
    directory: Path
    disposable: bool = False
    """Whether nobody will want the logs."""


@asynccontextmanager
async def _open_workplace() -> AsyncGenerator[_Workplace]:
    """A folder of its own for each run, so that two demos do not meet."""
    place = _Workplace(_make_directory())
    try:
        yield place
    finally:
        if place.disposable:
            await asyncio.to_thread(shutil.rmtree, place.directory, ignore_errors=True)
        else:
            _note(f"Logs of this run: {place.directory}")


def _make_directory() -> Path:
    base = find_data_dir().absolute()
    base.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="demo-", dir=base))


async def _watch(plan: Plan, scene: Scene) -> tuple[Count, float]:
    """Count both sides until all is done, or until nothing moves any more."""
    async with AsyncExitStack() as stack:
        progress = Progress(plan)
        if not plan.quiet:
            await stack.enter_async_context(_follow(scene, progress))
            stack.enter_context(Live(get_renderable=progress.render, console=out, refresh_per_second=4))
        progress.begun = time.monotonic()
        job = await scene.make_invoices(plan.invoices, seed=plan.seed, per_second=_choose_rate(plan))
        await _until_still(plan, scene, progress, job)
    for failure in list_failures(await scene.simulators.dump_stripe())[:_FAILURES_SHOWN]:
        err.print(failure, highlight=False, markup=False, soft_wrap=True)
    if progress.counted is None:
        raise RuntimeError("nothing was counted")
    return progress.counted, progress.seconds


def _choose_rate(plan: Plan) -> float:
    """Spread the invoices over a quarter of a minute at most, so that there is something to watch."""
    return max(20.0, plan.invoices / 15)


async def _until_still(plan: Plan, scene: Scene, progress: Progress, job: str) -> None:
    last_change = time.monotonic()
    victim = plan.kill
    while True:
        now = count(await scene.simulators.dump_stripe(), await scene.simulators.dump_bc())
        if now != progress.counted:
            progress.counted, last_change = now, time.monotonic()
        if victim is not None and now.drafts >= plan.invoices / 3:
            await scene.restart(victim)
            victim = None
        all_made = now.invoices >= plan.invoices and await scene.is_made(job)
        if all_made and now.metadata_written + now.failed >= now.invoices:
            return
        if time.monotonic() - last_change > plan.patience:
            return
        await asyncio.sleep(0.5)


@asynccontextmanager
async def _follow(scene: Scene, progress: Progress) -> AsyncGenerator[None]:
    """Count the messages on the topics, as a reader beside the services, without a group."""
    consumer = AIOKafkaConsumer(
        *(topic.name for topic in TOPICS),
        bootstrap_servers=scene.environment["HUB_KAFKA_BOOTSTRAP"],
        auto_offset_reset="earliest",
    )
    await consumer.start()

    async def read() -> None:
        async for record in consumer:
            progress.messages[str(record.topic)] += 1

    task = asyncio.create_task(read())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await consumer.stop()


def _conclude(counted: Count, seconds: float) -> None:
    style = "green" if counted.is_perfect else "bold red"
    out.print(
        f"[{style}]{counted.invoices} invoices, {counted.drafts} drafts in Business Central, "
        f"{counted.duplicates} doubled, "
        f"{counted.lost} lost, {counted.failed} failed, {counted.wrong_total} with a wrong total; "
        f"{counted.metadata_written} Stripe invoices say so. {seconds:.1f} s.[/]"
    )
    out.print(f"{counted.customers} customers in Business Central, {counted.duplicate_customers} of them twice.")
