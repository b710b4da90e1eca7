"""On real sockets: a reset must reach the client as one."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.simulators.business_central.books import Running

DRAFT = {"customerNumber": "10000", "externalDocumentNumber": "F-1"}


class Desk:
    """A client of a running simulator."""

    def __init__(self, running: Running, http: httpx.AsyncClient) -> None:
        self.admin = running.listening.announcement()["admin"]
        self.company = running.company
        self.http = http

    async def fault(self, **rule: object) -> None:
        answer = await self.http.post(f"{self.admin}/faults", json=rule)
        assert answer.is_success, answer.text

    async def draft(self, deadline: float = 5) -> httpx.Response:
        return await self.http.post(f"{self.company}/salesInvoices", json=DRAFT, timeout=deadline)

    async def drafts(self) -> int:
        return (await self.http.get(f"{self.admin}/state")).json()["drafts"]


@pytest.fixture
async def desk(running: Running) -> AsyncIterator[Desk]:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {running.token()}"}) as http:
        yield Desk(running, http)


async def test_reset_before_leaves_nothing_behind(desk: Desk) -> None:
    await desk.fault(kind="reset_before", count=1, match={"method": "POST", "path_regex": "salesInvoices$"})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await desk.draft()
    assert await desk.drafts() == 0
    assert (await desk.draft()).status_code == 201


async def test_reset_after_leaves_the_draft(desk: Desk) -> None:
    await desk.fault(kind="reset_after", count=1, match={"method": "POST"})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await desk.draft()
    assert await desk.drafts() == 1


async def test_a_status_comes_before_or_after_the_work(desk: Desk) -> None:
    await desk.fault(kind="status", status=503, retry_after=3, count=1)
    answer = await desk.draft()
    assert (answer.status_code, answer.headers["Retry-After"], await desk.drafts()) == (503, "3", 0)
    await desk.fault(kind="status", status=504, after=True, count=1, match={"method": "POST"})
    assert (await desk.draft()).status_code == 504
    assert await desk.drafts() == 1


async def test_an_answer_past_the_deadline_is_written_all_the_same(desk: Desk) -> None:
    await desk.fault(kind="timeout_after", count=1, match={"method": "POST"})
    with pytest.raises(httpx.ReadTimeout):
        await desk.draft(0.1)
    assert await desk.drafts() == 1
    await desk.fault(kind="slow_after", delay_ms=300, count=1, match={"method": "POST"})
    with pytest.raises(httpx.ReadTimeout):
        await desk.draft(0.1)
    assert await desk.drafts() == 2


async def test_a_late_commit_appears_after_the_client_has_been_told_504(desk: Desk) -> None:
    await desk.fault(kind="late_commit", delay_ms=60, count=1, match={"method": "POST"})
    assert (await desk.draft()).status_code == 504
    assert await desk.drafts() == 0
    async with asyncio.timeout(5):
        while not await desk.drafts():
            pass
    await desk.fault(kind="late_commit", delay_ms=1, reset=True, count=1, match={"method": "POST"})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await desk.draft()


async def test_rules_strike_by_probability_and_can_be_taken_away(desk: Desk) -> None:
    await desk.fault(kind="status", status=502, probability=0.5, seed=1, match={"path_regex": "/items"})
    statuses = [(await desk.http.get(f"{desk.company}/items?$top=1")).status_code for _ in range(20)]
    assert 0 < statuses.count(502) < 20
    shown = (await desk.http.get(f"{desk.admin}/faults")).json()
    assert shown["applied"] == {"status": statuses.count(502)}
    assert (await desk.http.delete(f"{desk.admin}/faults/{shown['rules'][0]['id']}")).json()["rules"] == []


async def test_latency_adds_up_and_lets_the_request_through(desk: Desk) -> None:
    await desk.fault(kind="latency", delay_ms=20, count=1)
    started = asyncio.get_running_loop().time()
    assert (await desk.draft()).status_code == 201
    assert asyncio.get_running_loop().time() - started >= 0.02


async def test_the_journal_tells_of_a_write_that_arrived_and_was_carried_out_later(desk: Desk) -> None:
    await desk.fault(kind="late_commit", delay_ms=200, count=1, match={"method": "POST"})
    await desk.draft()
    assert (await desk.http.get(f"{desk.admin}/state")).json()["late_writes"] == 1
    async with asyncio.timeout(5):
        while (await desk.http.get(f"{desk.admin}/state")).json()["late_writes"]:  # noqa: ASYNC110 - no event over HTTP
            await asyncio.sleep(0.02)
    told = (await desk.http.get(f"{desk.admin}/journal/f-1")).json()
    assert [one["what"] for one in told] == ["arrived, late_commit fault_1", "carried out: 201"]
    assert (await desk.http.get(f"{desk.admin}/journal/another")).json() == []
