"""Requests are counted as they were answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from undoor_bench.service.load import LOST, Outcome, as_fast_as_answered, at_rate, request_of

REQUEST = request_of("m", b"{}")


def against(
    answer: Callable[[int], bytes | None], scenario: Callable[[int], Awaitable[Outcome]]
) -> Outcome:
    """What came of a scenario with a server that answers request 0, 1, ... so; None hangs up."""

    async def main() -> Outcome:
        count = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            while not reader.at_eof():
                try:
                    await reader.readexactly(len(REQUEST))
                except asyncio.IncompleteReadError:
                    break
                content = answer(count)
                count += 1
                if content is None:
                    break
                writer.write(content)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await scenario(server.sockets[0].getsockname()[1])

    return asyncio.run(main())


def http(status: int) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}".encode()


def test_as_fast_as_answered() -> None:
    found = against(
        lambda _: http(200),
        lambda port: as_fast_as_answered(port, [REQUEST], connections=2, seconds=0.2),
    )
    assert set(found.statuses) == {200}
    assert found.statuses[200] == len(found.latencies) > 1
    assert found.per_second == found.statuses[200] / found.seconds
    assert 0 < (found.percentile(0.5) or 0) <= (found.percentile(0.99) or 0)


def test_at_rate() -> None:
    statuses = (200, 429, 503)
    found = against(
        lambda number: http(statuses[number % 3]),
        lambda port: at_rate(port, [REQUEST], per_second=300, connections=4, seconds=0.4),
    )
    assert set(found.statuses) == {200, 429, 503}
    # Poisson with mean 120.
    assert 60 < sum(found.statuses.values()) < 190
    assert len(found.latencies) == found.statuses[200]


def test_requests_that_are_lost_are_counted() -> None:
    found = against(
        lambda number: None if number % 2 else http(200),
        lambda port: at_rate(port, [REQUEST], per_second=100, connections=1, seconds=0.3),
    )
    assert found.statuses[LOST] >= 1
    assert found.statuses[200] >= 1


def test_nothing_answered() -> None:
    assert Outcome().percentile(0.5) is None
    assert Outcome().per_second == 0
