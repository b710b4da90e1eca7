"""What aiokafka 0.14 reads past in the answers of a group's coordinator."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.errors import NotCoordinatorForGroupError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest


def heed_coordinator(consumer: Any) -> None:
    """Take a coordinator that can't tell committed offsets yet at its word. A second call does nothing.

    From version 2 on, the answer as a whole carries the error, and no partitions. aiokafka looks at the partitions
    alone, and so takes *still loading*, which every broker says for a moment after its start, for *nothing was ever
    committed*: the stage would begin anew at the oldest record of its topic.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - there is no other way to its answers
    if coordinator is None or hasattr(coordinator, "heeded_by_hub"):
        return
    send: Callable[[Any], Awaitable[Any]] = coordinator._send_req  # noqa: SLF001

    async def heed(request: Any) -> Any:
        answer = await send(request)
        code = getattr(answer, "error_code", 0) if isinstance(request, OffsetFetchRequest) else 0
        if code:
            error = for_code(code)
            if error is NotCoordinatorForGroupError:
                coordinator.coordinator_dead()
            # aiokafka asks again after a retriable one.
            raise error
        return answer

    coordinator._send_req = heed  # noqa: SLF001
    coordinator.heeded_by_hub = True
