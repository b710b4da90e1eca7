"""Whatever Redis raises, the message tries again; a defect of ours stays one."""

import pytest
from redis.exceptions import ResponseError

from hub.redis import run
from schemas.errors import RetrySoon


async def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        ResponseError("LOADING Redis is loading the dataset in memory"),
        ConnectionResetError(),
        TimeoutError(),
        RuntimeError(
            "unable to perform operation on <TCPTransport closed=True reading=False 0x5>; the handler is closed"
        ),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_ledger_that_does_not_answer_is_tried_again(error: Exception) -> None:
    with pytest.raises(RetrySoon) as raised:
        await run(_raise(error))
    assert raised.value.code == "ledger.unavailable"


async def test_a_defect_is_not_taken_for_an_outage() -> None:
    with pytest.raises(RuntimeError, match="dictionary changed"):
        await run(_raise(RuntimeError("dictionary changed size during iteration")))
