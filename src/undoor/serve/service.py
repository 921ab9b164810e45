"""The guarded model in operation: batches, counts, kept inputs; no HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from undoor.serve.answers import Answers
from undoor.serve.batching import Batcher
from undoor.serve.held_bytes import HeldBytes
from undoor.serve.kept_input import KeptInput
from undoor.serve.metrics import Metrics, Shares
from undoor.serve.refusal import Refusal
from undoor.serve.sequential import ALARM_LEVEL
from undoor.serve.served_model import Array, Engine, Inputs, ServedModel
from undoor.serve.settings import Settings
from undoor.serve.singly import run_batch
from undoor.serve.store import Store

log = logging.getLogger("undoor.serve")
Value = TypeVar("Value")

FLUSH_SECONDS = 1.0
# Inputs that are written in one transaction.
MAX_KEPT_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Reply:
    """The answers to one request, and the numbers under which flagged inputs are kept.

    Attributes
    ----------
    kept
        One for each input: its number, None where it is not kept.
    """

    answers: Answers
    kept: tuple[int | None, ...]


class Service:
    """One worker. It is started and stopped on the event loop that it answers on."""

    def __init__(self, engine: Engine, settings: Settings, store: Store, metrics: Metrics) -> None:
        self.engine, self.settings, self.store, self.metrics = engine, settings, store, metrics
        self._started = False
        self._held = HeldBytes("inputs", settings.limits.bodies)
        self._counts: dict[int, tuple[int, int]] = {}
        self._engine_pool = ThreadPoolExecutor(1, "engine")
        self._store_pool = ThreadPoolExecutor(1, "store")

    @property
    def model(self) -> ServedModel:
        """What is served."""
        return self.engine.model

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self._started and self._batcher.works

    async def start(self) -> None:
        """Begin to answer."""
        limits = self.settings.limits
        self._batcher: Batcher[Inputs, Answers] = Batcher(
            partial(run_batch, self.engine), limits, self._engine_pool, self.metrics.watch_batch
        )
        # What is flagged at the same time is written in one transaction.
        self._keeper: Batcher[list[KeptInput], list[int]] = Batcher(
            self._keep_parts,
            replace(
                limits,
                delay=0.0,
                batch=MAX_KEPT_AT_ONCE,
                queue=max(limits.queue, 2 * MAX_KEPT_AT_ONCE),
            ),
            self._store_pool,
        )
        self._flusher = asyncio.create_task(self._flush_often())
        self._started = True

    async def stop(self) -> None:
        """Answer and write what was accepted, then end."""
        self._started = False
        try:
            await self._batcher.close()
            await self._keeper.close()
            self._flusher.cancel()
            with suppress(asyncio.CancelledError):
                await self._flusher
            await self._flush()
        finally:
            self._engine_pool.shutdown()
            self._store_pool.shutdown()
            self.store.close()

    async def classify(self, x: Inputs) -> Reply:
        """Return the answers to the N inputs of one request.

        Raises
        ------
        Refusal
            Too many inputs wait, or too large ones, or it took too long.
        """
        size = sum(row.nbytes for row in x)
        self._held.hold(size)
        self.metrics.waiting.inc(len(x))
        try:
            found = await self._batcher.submit(x)
        finally:
            self._held.release(size)
            self.metrics.waiting.dec(len(x))
        self.metrics.count(found)
        for target in self.model.targets:
            judged, flagged = self._counts.get(target, (0, 0))
            more, of_these = found.judged(target)
            self._counts[target] = judged + more, flagged + of_these
        return Reply(found, await self._kept(x, found))

    def require_room(self) -> None:
        """Refuse a request before it is read, where there is no room for even one input.

        Raises
        ------
        Refusal
            Too many inputs wait, or the service ends.
        """
        self._batcher.require_room(1)

    async def in_store(self, work: Callable[[], Value]) -> Value:
        """Return the result of work with the database, done in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._store_pool, work)

    def shares(self) -> Shares:
        """Return the shares flagged, for Prometheus."""
        return Shares(
            self.model, lambda: self.store.tests(self.model.repair_sha256, self.model.targets)
        )

    async def _kept(self, x: Inputs, found: Answers) -> tuple[int | None, ...]:
        nothing: tuple[int | None, ...] = (None,) * len(found)
        rows = found.flagged.nonzero()[0].tolist()
        if not self.settings.keep or not rows:
            return nothing
        items = await asyncio.to_thread(_kept_inputs, self.model, x, found, rows)
        try:
            numbers = await self._keeper.submit(items)
        except (SQLAlchemyError, Refusal) as error:
            # The answer stands, and says that its input was not kept.
            self.metrics.not_kept.inc(len(items))
            log.error("flagged inputs are not kept", extra={"error": str(error)[:500]})
            return nothing
        self.metrics.kept.inc(len(items))
        by_row = dict(zip(rows, numbers, strict=True))
        return tuple(by_row.get(row) for row in range(len(found)))

    def _keep_parts(self, parts: list[list[KeptInput]]) -> list[list[int]]:
        items = [item for part in parts for item in part]
        numbers = iter(self.store.keep(items, self.settings.keep))
        return [[next(numbers) for _ in part] for part in parts]

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        """Write the counts; where that fails, they are written with the next ones."""
        counts = {target: pair for target, pair in self._counts.items() if pair[0]}
        if not counts:
            return
        self._counts = {}
        promised = {guard.target: guard.promised for guard in self.model.guards}
        repair = self.model.repair_sha256
        try:
            raised = await self.in_store(
                partial(self.store.count, repair, counts, promised, ALARM_LEVEL)
            )
        except Exception as error:
            # Whatever it is: nothing else would count and raise alarms from here on.
            for target, (judged, flagged) in counts.items():
                more, of_these = self._counts.get(target, (0, 0))
                self._counts[target] = judged + more, flagged + of_these
            log.error("counts are not written yet", extra={"error": f"{error!r:.500}"})
            return
        for target in raised:
            log.warning(
                "alarm: more inputs are flagged than the repair promised",
                extra={"target": target, "promised": promised[target]},
            )


def _kept_inputs(model: ServedModel, x: Inputs, found: Answers, rows: list[int]) -> list[KeptInput]:
    return [_kept_input(model, model.raw(x[row]), found, row) for row in rows]


def _kept_input(model: ServedModel, x: Array, found: Answers, row: int) -> KeptInput:
    target = int(found.targets[row])
    return KeptInput(
        time=time.time(),
        model_sha256=model.model_sha256,
        repair_sha256=model.repair_sha256,
        target=None if target < 0 else target,
        label=found.form.plain(found.labels[row]),
        score=found.known_score(row),
        reason=str(found.reasons[row]),
        x=x,
    )
