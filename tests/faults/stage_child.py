"""A stage as a process of its own, for tests that kill, stop or end it.

    python -m tests.faults.stage_child BOOTSTRAP embedded|kafka UNIQUE PARTITIONS [RELEASE_FILE]

It says on stdout what it begins and ends, a line each. With a release file it ends nothing before that file exists.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal, cast

from faststream import FastStream

from hub.stage.dispatch import Window
from hub.stage.ports import Outgoing
from schemas.ids import build_message_key
from schemas.messages import StripeEventReceived
from tests.brokers import Broker
from tests.fakes import FakeHandler
from tests.pipeline.stage_harness import Place, Rig, build_policy


def say(what: str, message: StripeEventReceived) -> None:
    """Tell the parent; the line is out before anything else happens."""
    sys.stdout.write(f"{what} {message.object_id} {message.event_id}\n")
    sys.stdout.flush()


def wait_for(file: Path) -> None:
    """Block until the file exists."""
    while not file.exists():
        time.sleep(0.01)


async def main() -> None:
    """Run until SIGTERM, as a service does."""
    bootstrap, name, unique, partitions, *release = sys.argv[1:]
    place = Place(Broker(cast("Literal['embedded', 'kafka']", name), bootstrap), unique, int(partitions))

    async def work(message: StripeEventReceived) -> Sequence[Outgoing]:
        say("begun", message)
        if release:
            await asyncio.to_thread(wait_for, Path(release[0]))
        say("ended", message)
        return [Outgoing(place.target, build_message_key(message.connection, message.object_id), message)]

    policy = build_policy(place.broker, session_timeout=timedelta(seconds=2), window=Window(1024, 1024))
    rig = Rig(place, FakeHandler(work=work), policy)

    async def drain() -> None:
        draining = asyncio.create_task(rig.stage.drain())
        await asyncio.sleep(0)
        sys.stdout.write("draining\n")
        sys.stdout.flush()
        await draining

    application = FastStream(rig.kafka, logger=None, after_startup=[rig.stage.start], on_shutdown=[drain])
    await application.run()


if __name__ == "__main__":
    asyncio.run(main())
