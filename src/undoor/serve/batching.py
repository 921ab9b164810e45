"""Inputs of many requests in few batches, with bounds on delay, waiting inputs and time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Generic, Protocol, TypeVar

from undoor.serve.limits import Limits
from undoor.serve.refusal import Refusal


class _Sized(Protocol):
    def __len__(self) -> int: ...


Given = TypeVar("Given", bound=_Sized)
Found = TypeVar("Found")
# How much the last batch counts in the estimate of inputs per second.
SHARE_OF_LAST = 0.2
MAX_RETRY_SECONDS = 60.0


@dataclass(eq=False)
class Job(Generic[Given, Found]):
    """The n inputs of one request, and where their answer goes."""

    x: Given
    answer: asyncio.Future[Found]
    arrived: float = field(default_factory=lambda: asyncio.get_running_loop().time())


class Batcher(Generic[Given, Found]):
    """Runs one batch at a time; while one runs, the next is gathered.

    Parameters
    ----------
    run
        From the inputs of several requests to the answer of each; called in `pool`.
    limits
        Of batch, delay, queue and time.
    pool
        The threads that batches run in.
    watch
        Called with the number of inputs and the seconds of each batch.
    """

    def __init__(
        self,
        run: Callable[[list[Given]], list[Found]],
        limits: Limits,
        pool: Executor,
        watch: Callable[[int, float], None] = lambda inputs, seconds: None,
    ) -> None:
        self._run, self._limits, self._pool, self._watch = run, limits, pool, watch
        self._jobs: deque[Job[Given, Found]] = deque()
        self._arrival = asyncio.Event()
        self._closed = False
        self._per_second = 0.0
        # Inputs that wait or are computed.
        self.waiting = 0
        self._task = asyncio.create_task(self._work())

    @property
    def works(self) -> bool:
        """Whether batches are run: False once an error of our own has ended that."""
        return not self._task.done()

    async def submit(self, x: Given) -> Found:
        """Return the answer to the inputs [n, ...] of one request, n at most that of a batch.

        Raises
        ------
        Refusal
            Too many inputs wait (429), the answer took too long, or the service ends (503).
        """
        self.require_room(len(x))
        job: Job[Given, Found] = Job(x, asyncio.get_running_loop().create_future())
        self.waiting += len(x)
        job.answer.add_done_callback(lambda _: self._leave(len(x)))
        self._jobs.append(job)
        self._arrival.set()
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await job.answer
        except TimeoutError:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"no answer within {self._limits.seconds:g} s; try again later",
                self.retry_after(),
            ) from None

    def require_room(self, inputs: int) -> None:
        """Refuse further inputs where there is no room for them.

        Raises
        ------
        Refusal
            Too many wait (429), or the service ends (503).
        """
        if self._closed:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the service is shutting down", 1.0)
        if self.waiting + inputs > self._limits.queue:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{self.waiting} inputs are waiting already, at most {self._limits.queue} may; "
                "try again later",
                self.retry_after(),
            )

    def retry_after(self) -> float:
        """Return after how many seconds the inputs that wait now should be done."""
        if not self._per_second:
            return 1.0
        return min(MAX_RETRY_SECONDS, self.waiting / self._per_second)

    async def close(self) -> None:
        """Answer what was accepted, and take nothing more."""
        self._closed = True
        self._arrival.set()
        await self._task

    def _leave(self, inputs: int) -> None:
        self.waiting -= inputs

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrival.wait()
            await self._gather()
            jobs = self._taken()
            if not jobs:
                if self._closed:
                    return
                self._arrival.clear()
                continue
            started = loop.time()
            await self._answer(jobs)
            self._note(sum(len(job.x) for job in jobs), loop.time() - started)

    async def _gather(self) -> None:
        """Wait until the first job has waited as long as it may, or a batch is full."""
        loop = asyncio.get_running_loop()
        while self._jobs and not self._closed:
            left = self._jobs[0].arrived + self._limits.delay - loop.time()
            if left <= 0 or sum(len(job.x) for job in self._jobs) >= self._limits.batch:
                return
            self._arrival.clear()
            try:
                async with asyncio.timeout(left):
                    await self._arrival.wait()
            except TimeoutError:
                self._arrival.set()

    def _taken(self) -> list[Job[Given, Found]]:
        """Return the next jobs that fit into one batch, without those that nobody waits for."""
        taken: list[Job[Given, Found]] = []
        inputs = 0
        while self._jobs:
            job = self._jobs[0]
            if job.answer.done():
                self._jobs.popleft()
                continue
            if inputs + len(job.x) > self._limits.batch and taken:
                break
            inputs += len(job.x)
            taken.append(self._jobs.popleft())
        return taken

    async def _answer(self, jobs: list[Job[Given, Found]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._pool, self._run, [job.x for job in jobs])
        except Exception as error:
            for job in jobs:
                if not job.answer.done():
                    job.answer.set_exception(error)
            return
        for job, answer in zip(jobs, found, strict=True):
            if not job.answer.done():
                job.answer.set_result(answer)

    def _note(self, inputs: int, seconds: float) -> None:
        self._watch(inputs, seconds)
        rate = inputs / max(seconds, 1e-6)
        share = SHARE_OF_LAST if self._per_second else 1.0
        self._per_second += share * (rate - self._per_second)
