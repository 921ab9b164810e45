"""Requests to a service: as fast as it answers, or at a rate that does not wait for it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

PATH = "/v2/models/{name}/infer"
# Of a request that got no answer at all.
LOST = 0
ANSWER_SECONDS = 120.0


@dataclass
class Outcome:
    """What came of many requests.

    Attributes
    ----------
    seconds
        From the first request to the last answer.
    latencies
        Seconds of each request that was answered with 200; at a given rate from the moment when it
        was due, so that a service which holds its clients up is not flattered.
    statuses
        Answers by HTTP status, `LOST` where there was none.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        """Requests per second that were answered with 200."""
        return self.statuses[200] / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float | None:
        """Return the seconds below which this share of the answers came; None without any."""
        return float(np.quantile(self.latencies, share)) if self.latencies else None

    def note(self, status: int, seconds: float) -> None:
        """Count one request."""
        self.statuses[status] += 1
        if status == 200:
            self.latencies.append(seconds)


class Connection:
    """One connection that is kept alive."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """Return the status of the answer to a whole request; `LOST` where there is none."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._ask(request)
        except (OSError, EOFError, TimeoutError, ValueError):
            await self.close()
            return LOST

    async def _ask(self, request: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in head:
            await self.close()
        return int(head[9:12])

    async def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def request_of(name: str, body: bytes) -> bytes:
    """Return a whole request for inference."""
    head = (
        f"POST {PATH.format(name=name)} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def as_fast_as_answered(
    port: int, requests: Sequence[bytes], *, connections: int, seconds: float
) -> Outcome:
    """Send one request after another on each of several connections."""
    outcome, turn = Outcome(), cycle(requests)
    started = time.perf_counter()

    async def client() -> None:
        connection = Connection(port)
        while (begun := time.perf_counter()) < started + seconds:
            outcome.note(await connection.ask(next(turn)), time.perf_counter() - begun)
        await connection.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def at_rate(
    port: int,
    requests: Sequence[bytes],
    *,
    per_second: float,
    connections: int,
    seconds: float,
    every_second: Callable[[], Awaitable[None]] | None = None,
) -> Outcome:
    """Send requests at random moments (Poisson), whether or not earlier ones are answered.

    Parameters
    ----------
    connections
        So many at most are open; a request that is due waits for a free one.
    every_second
        Called every second meanwhile.
    """
    outcome, turn = Outcome(), cycle(requests)
    free, under_way = _connections(port, connections), set[asyncio.Task[None]]()
    gaps = np.random.default_rng(0)
    started = due = watch = time.perf_counter()

    async def send(request: bytes, since: float) -> None:
        connection = await free.get()
        outcome.note(await connection.ask(request), time.perf_counter() - since)
        free.put_nowait(connection)

    while due < started + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(send(next(turn), due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        due += float(gaps.exponential(1 / per_second))
        if every_second is not None and time.perf_counter() > watch + 1:
            watch = time.perf_counter()
            await every_second()
    await asyncio.gather(*under_way)
    outcome.seconds = time.perf_counter() - started
    while not free.empty():
        await free.get_nowait().close()
    return outcome


def _connections(port: int, count: int) -> asyncio.Queue[Connection]:
    free = asyncio.Queue[Connection]()
    for _ in range(count):
        free.put_nowait(Connection(port))
    return free
