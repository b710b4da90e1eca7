"""An HTTP load of raw keep-alive connections: little enough CPU of its own to find a server's limit on two cores."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Load:
    """What a load found. Times are seconds."""

    answered: int = 0
    refused: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list[float])

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Latency below which this share of answers came."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def build_request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Build a POST as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send one request and read its answer; returns the status."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if length:
        await reader.readexactly(length)
    return int(head[9:12])


async def saturate(port: int, build: Callable[[int], bytes], *, number: int, connections: int) -> Load:
    """Send `number` requests as fast as the server answers, over some connections."""
    load = Load()
    counter = iter(range(number))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for index in counter:
            await _one(load, reader, writer, build(index))
        writer.close()
        await writer.wait_closed()

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    load.seconds = time.perf_counter() - begun
    return load


async def pace(port: int, build: Callable[[int], bytes], *, rate: float, seconds: float, connections: int) -> Load:
    """Send at a fixed rate; latency counts from when a request was due, so that a stall is not hidden."""
    load = Load()
    number = int(rate * seconds)
    due: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
    begun = time.perf_counter()

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            index, since = await due.get()
            if index < 0:
                break
            await _one(load, reader, writer, build(index), since)
        writer.close()
        await writer.wait_closed()

    workers = [asyncio.create_task(work()) for _ in range(connections)]
    for index in range(number):
        when = begun + index / rate
        await asyncio.sleep(max(0.0, when - time.perf_counter()))
        due.put_nowait((index, when))
    for _ in workers:
        due.put_nowait((-1, 0.0))
    await asyncio.gather(*workers)
    load.seconds = time.perf_counter() - begun
    return load


async def _one(
    load: Load,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: bytes,
    since: float | None = None,
) -> None:
    begun = since if since is not None else time.perf_counter()
    status = await exchange(reader, writer, request)
    load.latencies.append(time.perf_counter() - begun)
    if status == 200:
        load.answered += 1
    else:
        load.refused += 1
