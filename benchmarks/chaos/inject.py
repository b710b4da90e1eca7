"""Carries out a plan's faults on the world, and keeps the timeline."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from benchmarks.chaos.cuts import CutKind
from benchmarks.chaos.fleet import Replica
from benchmarks.chaos.http_faults import build_all_background, build_burst, build_webhook_faults
from benchmarks.chaos.schedule import Fault, Plan, name_extra
from benchmarks.chaos.world import World
from hub.redis import CONNECTIONS, account_key, connection_key, settings_history_key, tokens_key


@dataclass
class Injector:
    """Does what the plan says, when it says so. Faults of one part follow each other; those of others overlap."""

    world: World
    plan: Plan
    background: Mapping[str, Mapping[str, dict[str, Any]]] = field(default_factory=build_all_background)
    """What goes wrong all the time: by system, rules by their name in the report."""
    webhook_faults: Mapping[str, Any] = field(default_factory=build_webhook_faults)
    timeline: list[str] = field(default_factory=list[str])
    tally: Counter[str] = field(default_factory=Counter[str])
    begun: float = field(default_factory=time.monotonic)
    wiped_at: float | None = None
    """When the ledger was lost last, as a Unix time."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict[str, asyncio.Lock])
    _rules: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """(system, id of the rule) -> what it is called in the report."""

    @property
    def now(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.begun

    async def run(self) -> None:
        """Carry out the whole plan, and return when its last fault is over."""
        async with asyncio.TaskGroup() as group:
            for fault in self.plan.faults:
                group.create_task(self._carry_out(fault))

    async def begin_background(self) -> None:
        """Turn on what goes wrong all the time, by each simulator's own seeded dice."""
        simulators = self.world.simulators
        for system, rules in self.background.items():
            await self._call(system, "POST", "seed_rng", {"seed": self.plan.seed})
            for label, rule in rules.items():
                await self._add_rule(system, label, rule)
        await simulators.call(simulators.stripe, "POST", "webhook_faults", self.webhook_faults)

    async def heal(self) -> None:
        """End everything that goes wrong; what is broken comes back by itself."""
        simulators = self.world.simulators
        for system, rule in list(self._rules):
            await self._remove_rule(system, rule)
        await simulators.call(simulators.stripe, "DELETE", "webhook_faults")
        for door in self.world.list_doors():
            door.mend()

    async def _carry_out(self, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, fault.at - self.now))
        async with self._locks.setdefault(_find_part(fault), asyncio.Lock()):
            words = f"{fault.kind} {fault.target} {fault.how}".strip()
            self.note(f"{words} begins")
            self.tally[fault.kind] += 1
            await self._strike(fault)
            self.note(f"{words} is over")

    def note(self, what: str) -> None:
        """Write something on the timeline."""
        self.timeline.append(f"{datetime.now(UTC):%H:%M:%S} {self.now:7.2f}  {what}")

    async def _strike(self, fault: Fault) -> None:
        kind = fault.kind
        if kind.startswith(("broker", "redis")):
            await self._disturb_server(fault)
        elif kind == "wipe":
            await wipe_ledger(self.world)
            self.wiped_at = time.time()
        elif kind == "cut":
            door = self.world.find_door(fault.target)
            door.cut(cast("CutKind", fault.how))
            await asyncio.sleep(fault.seconds)
            door.mend()
        elif kind == "bc_token_revoked":
            await self._call("bc", "POST", "revoke", {"client_id": "demo-client"})
        elif kind.startswith(("bc", "stripe")):
            system, rule = build_burst(kind)
            added = await self._add_rule(system, kind, rule)
            await asyncio.sleep(fault.seconds)
            await self._remove_rule(system, added)
        else:
            await self._disturb_replica(fault)

    async def _disturb_server(self, fault: Fault) -> None:
        part, _, what = fault.kind.partition("_")
        server = self.world.kafka if part == "broker" else self.world.redis_server
        if what == "pause":
            server.pause()
            await asyncio.sleep(fault.seconds)
            server.resume()
            return
        await asyncio.to_thread(server.stop if what == "restart" else server.kill)
        await asyncio.to_thread(server.start)

    async def _disturb_replica(self, fault: Fault) -> None:
        world = self.world
        name = name_extra(fault.target) if fault.kind == "join" else fault.target
        replica = world.replicas[name]
        match fault.kind:
            case "kill":
                replica.expected_end, replica.not_before = True, time.monotonic() + fault.seconds
                await asyncio.to_thread(replica.child.kill)
            case "freeze" | "zombie":
                replica.child.pause()
                await asyncio.sleep(fault.seconds)
                replica.child.resume()
            case "join":
                replica.expected_end, replica.is_wanted = True, True
                await asyncio.sleep(fault.seconds)
                await _dismiss(replica)
            case _:
                await _dismiss(replica)
                await asyncio.sleep(fault.seconds)
                replica.is_wanted = True

    async def _call(self, system: str, method: str, path: str, body: Any = None) -> Any:
        simulators = self.world.simulators
        return await simulators.call(getattr(simulators, system), method, path, body)

    async def _add_rule(self, system: str, label: str, rule: Mapping[str, Any]) -> str:
        added = (await self._call(system, "POST", "faults", rule))["rules"][-1]["id"]
        self._rules[system, added] = label
        return str(added)

    async def _remove_rule(self, system: str, rule: str) -> None:
        """Remove a rule, and count how often it struck."""
        shown = await self._call(system, "GET", "faults")
        fired = next((one["fired"] for one in shown["rules"] if one["id"] == rule), 0)
        self.tally[f"http {self._rules.pop((system, rule))}"] += int(fired)
        await self._call(system, "DELETE", f"faults/{rule}")


def _find_part(fault: Fault) -> str:
    """Name what a fault disturbs: one thing at a time happens to it."""
    if fault.kind == "wipe":
        return "redis"
    if fault.kind.startswith(("broker", "redis")):
        return fault.kind.partition("_")[0]
    return name_extra(fault.target) if fault.kind == "join" else fault.target or fault.kind


async def _dismiss(replica: Replica) -> None:
    """Take a replica away in good order."""
    replica.expected_end, replica.is_wanted = True, False
    await asyncio.to_thread(replica.child.stop)


async def wipe_ledger(world: World) -> None:
    """Lose Redis and everything in it; connections and settings come back from the backup."""
    redis = world.redis
    names = [CONNECTIONS, *(account_key(one.id) for one in world.accounts)]
    for one in world.accounts:
        names += [connection_key(one.connection), settings_history_key(one.connection), tokens_key(one.connection)]
    kept = {name: dump for name in names if (dump := await redis.dump(name)) is not None}
    async with redis.pipeline(transaction=True) as pipe:
        pipe.flushall()
        for name, dump in kept.items():
            pipe.restore(name, 0, dump)
        await pipe.execute()


@asynccontextmanager
async def injecting(injector: Injector) -> AsyncGenerator[asyncio.Task[None]]:
    """Run the plan beside the block. What goes wrong all the time goes on to the block's end; then all is healed."""
    await injector.begin_background()
    injector.begun = time.monotonic()
    task = asyncio.create_task(injector.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await injector.heal()
