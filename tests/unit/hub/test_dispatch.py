"""One record at a time within a key, many keys at once."""

import asyncio
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.stage.dispatch import KeyedDispatcher, Window


class Workshop:
    """Work that lasts until it is let go."""

    def __init__(self, share: int = 64) -> None:
        self.begun: list[int] = []
        self.gates: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self.dispatcher: KeyedDispatcher[int] = KeyedDispatcher(self.work, share)

    async def work(self, item: int) -> None:
        self.begun.append(item)
        await self.gates[item].wait()

    async def finish(self, *items: int) -> None:
        for item in items:
            self.gates[item].set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_key_is_worked_on_in_order() -> None:
    shop = Workshop()
    for item in (1, 2, 3):
        assert shop.dispatcher.submit(b"con/a", item)
    await settle()
    assert shop.begun == [1]
    await shop.finish(1, 3)
    assert shop.begun == [1, 2]
    await shop.finish(2)
    assert shop.begun == [1, 2, 3]
    assert shop.dispatcher.in_hand == 0


async def test_keys_do_not_wait_for_each_other() -> None:
    shop = Workshop()
    for item, key in enumerate((b"con/a", b"con/b", b"con/c")):
        shop.dispatcher.submit(key, item)
    await settle()
    assert sorted(shop.begun) == [0, 1, 2]
    await shop.finish(0, 1, 2)


async def test_a_connection_gets_its_share_and_not_more() -> None:
    shop = Workshop(share=2)
    assert shop.dispatcher.submit(b"con/a", 1)
    assert shop.dispatcher.submit(b"con/a", 2)
    assert not shop.dispatcher.submit(b"con/b", 3)
    assert shop.dispatcher.submit(b"other/b", 4)
    await settle()
    await shop.finish(1)
    assert shop.dispatcher.submit(b"con/b", 5)
    await shop.finish(2, 4, 5)
    assert shop.dispatcher.in_hand == 0


async def test_dropped_items_free_their_place_and_what_runs_goes_on() -> None:
    shop = Workshop(share=3)
    for item in (1, 2, 3):
        shop.dispatcher.submit(b"con/a", item)
    await settle()
    assert shop.dispatcher.drop_queued(lambda item: item in {1, 2}) == [2]
    assert shop.dispatcher.in_hand == 2
    assert shop.dispatcher.submit(b"con/b", 4)
    await shop.finish(1, 2, 3, 4)
    assert sorted(shop.begun) == [1, 3, 4]
    assert shop.dispatcher.in_hand == 0


@given(st.data())
async def test_counts_are_right_whatever_is_dropped_and_finished(data: st.DataObject) -> None:
    keys = [b"con_a/1", b"con_a/2", b"con_b/1"]
    shop = Workshop(share=6)
    taken = [
        item
        for item, key in enumerate(data.draw(st.lists(st.sampled_from(keys), max_size=20)))
        if shop.dispatcher.submit(key, item)
    ]
    await settle()
    doomed = set(data.draw(st.lists(st.sampled_from(taken)))) if taken else set[int]()
    dropped = shop.dispatcher.drop_queued(doomed.__contains__)
    assert set(dropped) <= doomed - set(shop.begun)
    assert shop.dispatcher.in_hand == len(taken) - len(dropped)
    while shop.dispatcher.in_hand:
        await shop.finish(*shop.begun)
    assert sorted(shop.begun) == sorted(set(taken) - set(dropped))
    assert not shop.dispatcher._shares
    assert not shop.dispatcher._lines


async def test_what_work_raises_is_a_failure_of_the_runtime() -> None:
    async def work(item: int) -> None:
        raise ValueError(item)

    dispatcher: KeyedDispatcher[int] = KeyedDispatcher(work, 64)
    dispatcher.submit(b"con/a", 1)
    await settle()
    assert isinstance(dispatcher.failure, ValueError)
    assert dispatcher.in_hand == 0


async def test_work_that_is_cancelled_from_within_is_a_failure_too() -> None:
    async def work(_item: int) -> None:
        raise asyncio.CancelledError

    dispatcher: KeyedDispatcher[int] = KeyedDispatcher(work, 64)
    dispatcher.submit(b"con/a", 1)
    await settle()
    assert isinstance(dispatcher.failure, asyncio.CancelledError)


async def test_cancel_at_the_end_of_the_process_is_no_failure() -> None:
    shop = Workshop()
    shop.dispatcher.submit(b"con/a", 1)
    shop.dispatcher.submit(b"con/a", 2)
    await settle()
    shop.dispatcher.cancel()
    await settle()
    assert shop.dispatcher.failure is None
    assert shop.dispatcher.in_hand == 0


def test_a_window_smaller_than_a_share_is_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        Window(size=100, share=128)
    with pytest.raises(ValueError, match="share"):
        Window(share=10)
    assert Window(size=1000).low_mark == 500
