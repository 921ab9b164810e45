"""Batches: gathered, bounded, and nothing accepted is left without an answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from undoor.serve.batching import Batcher
from undoor.serve.limits import Limits
from undoor.serve.refusal import Refusal


@dataclass
class Work:
    """Doubles numbers, batch by batch."""

    batches: list[list[list[int]]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, parts: list[list[int]]) -> list[list[int]]:
        self.batches.append(parts)
        assert self.go_on.wait(20)
        return [[2 * number for number in part] for part in parts]


Numbers = Batcher[list[int], list[int]]


def run(scenario: Callable[[Numbers, Work], Awaitable[None]], limits: Limits) -> Work:
    work = Work()

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Numbers(work, limits, pool)
            await scenario(batcher, work)
            work.go_on.set()
            await batcher.close()

    asyncio.run(main())
    return work


async def until(reached: Callable[[], bool]) -> None:
    for _ in range(2000):
        if reached():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


def test_requests_share_a_batch() -> None:
    async def scenario(batcher: Numbers, work: Work) -> None:
        work.go_on.set()
        found = await asyncio.gather(*(batcher.submit([n]) for n in range(5)))
        assert found == [[0], [2], [4], [6], [8]]

    assert len(run(scenario, Limits(batch=8, delay=0.2)).batches) == 1


def test_no_batch_is_larger_than_allowed_and_order_is_kept() -> None:
    async def scenario(batcher: Numbers, work: Work) -> None:
        first = asyncio.create_task(batcher.submit([0]))
        await until(lambda: len(work.batches) == 1)
        others = [asyncio.create_task(batcher.submit([n, n])) for n in range(1, 6)]
        await until(lambda: batcher.waiting == 11)
        work.go_on.set()
        await asyncio.gather(first, *others)

    batches = run(scenario, Limits(batch=4, delay=0.0)).batches
    assert batches == [[[0]], [[1, 1], [2, 2]], [[3, 3], [4, 4]], [[5, 5]]]


def test_the_queue_is_bounded() -> None:
    async def scenario(batcher: Numbers, work: Work) -> None:
        accepted = [asyncio.create_task(batcher.submit([n])) for n in range(4)]
        await until(lambda: batcher.waiting == 4)
        with pytest.raises(Refusal) as caught:
            await batcher.submit([9])
        assert caught.value.status == 429
        assert caught.value.headers == {"Retry-After": "1"}
        work.go_on.set()
        assert await asyncio.gather(*accepted) == [[0], [2], [4], [6]]
        assert batcher.waiting == 0
        assert await batcher.submit([9]) == [18]

    run(scenario, Limits(batch=2, queue=4, delay=0.0))


def test_what_takes_too_long_is_not_computed() -> None:
    async def scenario(batcher: Numbers, work: Work) -> None:
        first = asyncio.create_task(batcher.submit([1]))
        await until(lambda: len(work.batches) == 1)
        for outcome in await asyncio.gather(first, batcher.submit([2]), return_exceptions=True):
            assert isinstance(outcome, Refusal)
            assert outcome.status == 503
        assert batcher.waiting == 0
        work.go_on.set()
        assert await batcher.submit([3]) == [6]

    assert run(scenario, Limits(batch=1, delay=0.0, seconds=0.1)).batches == [[[1]], [[3]]]


def test_a_client_that_leaves_costs_nothing() -> None:
    async def scenario(batcher: Numbers, work: Work) -> None:
        first = asyncio.create_task(batcher.submit([1]))
        await until(lambda: len(work.batches) == 1)
        gone = asyncio.create_task(batcher.submit([2]))
        await until(lambda: batcher.waiting == 2)
        gone.cancel()
        await until(lambda: batcher.waiting == 1)
        work.go_on.set()
        assert await first == [2]

    assert run(scenario, Limits(batch=1, delay=0.0)).batches == [[[1]]]


def test_close_answers_what_was_accepted() -> None:
    async def scenario(batcher: Numbers, work: Work) -> None:
        accepted = [asyncio.create_task(batcher.submit([n])) for n in range(6)]
        await until(lambda: batcher.waiting == 6)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as caught:
            await batcher.submit([9])
        assert caught.value.status == 503
        work.go_on.set()
        await closing
        assert await asyncio.gather(*accepted) == [[2 * n] for n in range(6)]

    run(scenario, Limits(batch=2, delay=0.0))


def test_a_fault_of_our_own_is_seen_from_outside() -> None:
    def fail(inputs: int, seconds: float) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Numbers(lambda parts: parts, Limits(delay=0.0), pool, fail)
            assert batcher.works
            assert await batcher.submit([1]) == [1]
            await until(lambda: not batcher.works)
            with pytest.raises(ZeroDivisionError):
                await batcher.close()

    asyncio.run(main())


def test_an_error_reaches_the_requests_of_its_batch_alone() -> None:
    def fail_on_odd(parts: list[list[int]]) -> list[list[int]]:
        if any(part[0] % 2 for part in parts):
            raise ValueError("odd")
        return parts

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Numbers(fail_on_odd, Limits(batch=1, delay=0.0), pool)
            found = await asyncio.gather(
                *(batcher.submit([n]) for n in range(3)), return_exceptions=True
            )
            assert [type(item) for item in found] == [list, ValueError, list]
            await batcher.close()

    asyncio.run(main())
