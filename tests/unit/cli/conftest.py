"""A command line over a real, empty ledger; and the services' world for what replays would do."""

import asyncio
import gc
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from pydantic import SecretStr
from typer.testing import CliRunner

from hub.cli.main import app
from hub.directory import Directory
from hub.redis import build_redis
from hub.secrets import SecretBox
from tests.builders import SETTINGS, build_connection, build_secrets
from tests.service_fakes import World

T = TypeVar("T")
OLD_KEY, NEW_KEY = "the-old-key-is-long-enough", "the-new-key-is-long-enough"


@dataclass
class Result:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


@dataclass
class Hub:
    """The command `hub` in an environment of its own."""

    redis_url: str
    environment: dict[str, str]

    def __call__(self, *words: str, answers: str = "", **environment: str) -> Result:
        """Run a command; nothing may ever end in a stack trace."""
        done = CliRunner().invoke(app, list(words), input=answers, env={**self.environment, **environment})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert "Traceback" not in done.output
        assert "The command met a defect" not in done.output, done.output
        return Result(done.exit_code, done.stdout, done.stderr)

    def prepare(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Do something to the ledger, in a loop of its own."""

        async def run() -> T:
            redis = build_redis(self.redis_url)
            try:
                return await work(redis)
            finally:
                await redis.aclose(close_connection_pool=True)

        return asyncio.run(run())

    def build_directory(self, redis: Any) -> Directory:
        return Directory(redis, SecretBox([SecretStr(OLD_KEY)]))

    def connect(self, **changes: Any) -> str:
        """Store a connection."""
        connection = build_connection(**changes)
        self.prepare(lambda redis: self.build_directory(redis).add(connection, build_secrets(), SETTINGS))
        return connection.id


@pytest.fixture
def _open_pools() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """A command's process ends with it; here the pools that it leaves open must not trouble another test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture
def hub(_open_pools: None, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The command line on an empty ledger, with a broker that is not there."""
    monkeypatch.setenv("COLUMNS", "200")
    return Hub(
        redis_url,
        {
            "HUB_REDIS_URL": redis_url,
            "HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1",
            "HUB_SECRET_KEYS": OLD_KEY,
            "HUB_DATA_DIR": str(tmp_path),
        },
    )


@pytest.fixture
def bare(tmp_path: Path) -> Hub:
    """The command line without any configuration."""
    return Hub("", {"HUB_DATA_DIR": str(tmp_path)})


@pytest_asyncio.fixture
async def world(redis_url: str) -> AsyncGenerator[World]:
    """A connection on fakes of both systems and a real ledger."""
    made = World(redis_url)
    await made.open()
    yield made
    await made.close()
