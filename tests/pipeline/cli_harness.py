"""The command `hub` as a process, on a real broker and Redis, against the simulators."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.cli.demo.simulators import BC_CLIENT_ID, BC_CLIENT_SECRET, BC_COMPANY, BC_ENVIRONMENT, Simulators
from simulators.business_central.default_seed import TENANT

_LONGEST = 60


@dataclass
class Ended:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class HubProcess:
    """Runs commands in one environment."""

    environment: Mapping[str, str]

    async def __call__(self, *words: str, **environment: str) -> Ended:
        """Run a command to its end; it may never end in a stack trace."""
        process = await self.start(*words, **environment)
        async with asyncio.timeout(_LONGEST):
            out, err = await process.communicate()
        ended = Ended(process.returncode or 0, out.decode(), err.decode())
        assert "Traceback" not in ended.out + ended.err, ended.err
        return ended

    async def start(self, *words: str, **environment: str) -> asyncio.subprocess.Process:
        """Start a command and leave it running."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub", *words),
            env={**self.environment, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


def build_environment(bootstrap: str, redis_url: str, directory: Path) -> dict[str, str]:
    """Build the least that commands need; the test's own HUB_ names stay outside."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return {
        **own,
        "COLUMNS": "200",
        "HUB_KAFKA_BOOTSTRAP": bootstrap,
        "HUB_REDIS_URL": redis_url,
        "HUB_SECRET_KEYS": "a-key-for-the-pipeline-tests",
        "HUB_DATA_DIR": str(directory),
    }


def name_simulators(simulators: Simulators) -> dict[str, str]:
    return {
        "HUB_STRIPE_API_BASE": simulators.stripe["api_base"],
        "HUB_BC_API_BASE": simulators.bc["api_base"],
        "HUB_ENTRA_AUTHORITY": simulators.bc["authority"],
        "HUB_CA_BUNDLE": simulators.bc["ca_bundle"],
        "STRIPE_API_KEY": simulators.stripe["api_key"],
        "BC_CLIENT_SECRET": BC_CLIENT_SECRET,
    }


def build_add_words(simulators: Simulators, *, company: str = BC_COMPANY, client: str = BC_CLIENT_ID) -> list[str]:
    """Build what `hub connections add` needs beside secrets, which come from the environment."""
    return [
        *("connections", "add", "--stripe-account", simulators.stripe["account"]),
        *("--bc-tenant", TENANT, "--bc-environment", BC_ENVIRONMENT, "--bc-company", company),
        *("--bc-client-id", client),
    ]
