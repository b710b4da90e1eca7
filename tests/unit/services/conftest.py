from collections.abc import AsyncGenerator

import pytest_asyncio

from tests.service_fakes import World


@pytest_asyncio.fixture
async def world(redis_url: str) -> AsyncGenerator[World]:
    """A connection on both fakes and a real ledger, which was born long ago and may read drafts."""
    made = World(redis_url)
    await made.open()
    yield made
    made.steps.revive()
    await made.close()
