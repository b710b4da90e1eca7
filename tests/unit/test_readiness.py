"""What /readyz says of a stage that meets defects: one connection's are named, several alike make it not ready."""

from typing import Any

import httpx
import pytest

from hub.app import Service, build_admin
from hub.stage.defects import DefectRun


class Answers:
    """A broker and a ledger that are there."""

    @property
    def broker(self) -> "Answers":
        return self

    @property
    def redis(self) -> "Answers":
        return self

    async def ping(self, **_: Any) -> bool:
        return True


async def ask(defects: DefectRun) -> tuple[int, dict[str, Any]]:
    foundation: Any = Answers()
    service = Service("contacts", foundation, defects=defects)
    service.ready.set()
    transport = httpx.ASGITransport(build_admin(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()


@pytest.fixture
def defects() -> DefectRun:
    return DefectRun("contacts")


async def test_all_is_well(defects: DefectRun) -> None:
    status, told = await ask(defects)
    assert (status, told["held"], told["missing"]) == (200, [], [])


async def test_a_connection_that_is_held_is_named_and_the_stage_stays_ready(defects: DefectRun) -> None:
    for _ in range(5):
        defects.count_failure("con_bad", "unexpected.KeyError")
    status, told = await ask(defects)
    assert (status, told["held"]) == (200, ["con_bad"])


async def test_a_stage_that_holds_everything_is_not_ready(defects: DefectRun) -> None:
    for number in range(5):
        defects.count_failure(f"con_{number}", "unexpected.KeyError")
    status, told = await ask(defects)
    assert (status, told["ready"]) == (503, False)
    assert any("holds all" in one for one in told["missing"])
