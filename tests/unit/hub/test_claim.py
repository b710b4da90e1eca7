"""A claim that is given up cuts pauses short, and nothing else."""

import asyncio

import pytest

from hub.stage.claim import Claim


async def test_a_pause_ends_by_itself_while_the_claim_stands() -> None:
    assert await Claim().pause(asyncio.sleep(5))


async def test_giving_up_cuts_a_pause_short() -> None:
    claim, loop = Claim(), asyncio.get_running_loop()
    began = loop.time()
    loop.call_later(1, claim.give_up)
    assert not await claim.pause(asyncio.sleep(600))
    assert loop.time() - began < 2


async def test_a_lost_claim_does_not_pause_at_all() -> None:
    claim = Claim()
    claim.give_up()
    claim.give_up()
    assert not await claim.pause(asyncio.sleep(600))


async def test_cancelling_who_pauses_ends_the_pause() -> None:
    claim = Claim()
    task = asyncio.create_task(claim.pause(asyncio.sleep(600)))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not claim.lost
