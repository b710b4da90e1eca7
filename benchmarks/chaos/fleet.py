"""The replicas of one run: processes of the hub that see the world through their own doors only."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx

from benchmarks.chaos.cuts import Door
from benchmarks.chaos.schedule import FAR_ENDS
from hub.child_process import ChildProcess
from hub.embedded import HOST, find_free_port
from schemas.messages import StageName
from tests.brokers import Entrance

_FAR_NAMES = {
    "bc": "HUB_BC_API_BASE",
    "stripe": "HUB_STRIPE_API_BASE",
    "sign_in": "HUB_ENTRA_AUTHORITY",
}


@dataclass
class Replica:
    """One process of a service, the doors it looks through, and whether it is to run."""

    name: str
    service: StageName
    child: ChildProcess
    port: int
    admin_port: int
    doors: Mapping[str, Door]
    is_wanted: bool = False
    not_before: float = 0.0
    """When it may be started again, on the monotonic clock."""
    expected_end: bool = False
    """It was the bench that ended it."""

    async def is_ready(self, http: httpx.AsyncClient) -> bool:
        """Ask /readyz."""
        with suppress(httpx.HTTPError):
            return (await http.get(f"http://{HOST}:{self.admin_port}/readyz")).is_success
        return False

    async def find_illness(self, http: httpx.AsyncClient) -> str | None:
        """Ask /healthz for what is wrong; no answer at all is no illness, for it may be frozen or starting."""
        with suppress(httpx.HTTPError):
            return cast("str | None", (await http.get(f"http://{HOST}:{self.admin_port}/healthz")).json()["problem"])
        return None


@dataclass(frozen=True)
class Site:
    """Where replicas run: what they are told of the world as it is, and where their logs go."""

    environment: Mapping[str, str]
    logs: Path
    words: tuple[str, ...] = ()
    """Passed to every service, see service.py."""


def plan_doors(names: Sequence[str]) -> tuple[dict[str, dict[str, Door]], list[Entrance]]:
    """Give each replica a door to each far end; Kafka's lead to an entrance of their own."""
    doors = {name: {end: Door(f"{name}>{end}") for end in FAR_ENDS} for name in names}
    entrances: list[Entrance] = []
    for its in doors.values():
        entrance = Entrance(port=find_free_port(), advertised=its["kafka"].port)
        its["kafka"].targets = [entrance.port]
        entrances.append(entrance)
    return doors, entrances


def build_replica(name: str, port: int, doors: Mapping[str, Door], site: Site, skew: float = 0.0) -> Replica:
    """Build a replica, and lead its doors to the far ends. Nothing is started."""
    service = cast("StageName", name.rpartition("-")[0])
    outside, admin_port = site.environment, find_free_port()
    for end, key in {**_FAR_NAMES, "redis": "HUB_REDIS_URL"}.items():
        doors[end].targets = [cast("int", httpx.URL(outside[key]).port)]
    environment = {
        **outside,
        "HUB_HTTP_PORT": str(port),
        "HUB_ADMIN_PORT": str(admin_port),
        "HUB_KAFKA_BOOTSTRAP": f"{HOST}:{doors['kafka'].port}",
        "HUB_REDIS_URL": f"redis://{HOST}:{doors['redis'].port}/0",
        **{key: str(httpx.URL(outside[key]).copy_with(port=doors[end].port)) for end, key in _FAR_NAMES.items()},
    }
    command = (sys.executable, "-m", "benchmarks.chaos.service", service, "--skew", f"{skew:.1f}", *site.words)
    child = ChildProcess(name, command, site.logs / f"{name}.log", environment)
    return Replica(name, service, child, port, admin_port, doors)
