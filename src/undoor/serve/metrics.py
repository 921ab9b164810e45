"""What Prometheus reads. Counters of all workers are added up; shares come from the database."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from undoor.rate import clopper_pearson
from undoor.serve.answers import BACKDOOR, Answers
from undoor.serve.served_model import ServedModel
from undoor.serve.store import Tested

log = logging.getLogger("undoor.serve")

# The folder in which the workers of one service count; prometheus_client reads it when imported.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
INPUTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one worker."""

    def __init__(self) -> None:
        own = self._own = CollectorRegistry()
        self.requests = Counter(
            "undoor_requests", "Requests by route and status.", ("route", "status"), registry=own
        )
        self.seconds = Histogram(
            "undoor_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ("route",),
            registry=own,
            buckets=SECONDS,
        )
        self.batches = Histogram(
            "undoor_batch_inputs", "Inputs per batch.", registry=own, buckets=INPUTS
        )
        self.batch_seconds = Histogram(
            "undoor_batch_seconds", "Seconds per batch.", registry=own, buckets=SECONDS
        )
        self.flagged = Counter(
            "undoor_flagged",
            "Flagged inputs by reason, and by target where a guard flagged them.",
            ("reason", "target"),
            registry=own,
        )
        self.inputs = Counter("undoor_inputs", "Inputs that were answered.", registry=own)
        self.kept = Counter("undoor_kept", "Flagged inputs that were kept.", registry=own)
        self.not_kept = Counter(
            "undoor_not_kept", "Flagged inputs that could not be kept.", registry=own
        )
        self.waiting = Gauge(
            "undoor_waiting_inputs",
            "Inputs that wait or are computed.",
            registry=own,
            multiprocess_mode="livesum",
        )

    def count(self, found: Answers) -> None:
        """Count the inputs of one request."""
        self.inputs.inc(len(found))
        if not found.flagged.any():
            return
        for reason, target in zip(found.reasons, found.targets.tolist(), strict=True):
            if reason is not None:
                self.flagged.labels(reason, target if reason == BACKDOOR else "").inc()

    def watch_batch(self, inputs: int, seconds: float) -> None:
        """Count one batch."""
        self.batches.observe(inputs)
        self.batch_seconds.observe(seconds)

    def page(self, shares: Collector) -> bytes:
        """Return the metrics of all workers, and `shares`, as Prometheus reads them."""
        of_workers = self._own
        if folder := os.environ.get(FOLDER):
            _forget_dead_workers(Path(folder))
            of_workers = CollectorRegistry()
            MultiProcessCollector(of_workers)
        of_database = CollectorRegistry()
        of_database.register(shares)
        return generate_latest(of_workers) + generate_latest(of_database)


def _forget_dead_workers(folder: Path) -> None:
    """Forget what workers that were killed had waiting; their counters stay."""
    for file in folder.glob("gauge_live*_*.db"):
        number = int(file.stem.rpartition("_")[2])
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            mark_process_dead(number, str(folder))


class Shares(Collector):
    """Shares flagged against what was promised, and the alarms."""

    def __init__(self, model: ServedModel, tests: Callable[[], Mapping[int, Tested]]) -> None:
        self._model, self._tests = model, tests

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return one gauge family after another, each with one value per target.

        There are none where the database fails: the counters of the workers do not need it.
        """
        try:
            found = self._tests()
        except SQLAlchemyError as error:
            log.error("metrics lack the shares flagged", extra={"error": str(error)[:500]})
            return
        for name, text, value in _GAUGES:
            family = GaugeMetricFamily(f"undoor_{name}", text, labels=("target", "class"))
            for guard in self._model.guards:
                number = value(found[guard.target], guard.promised)
                if number is not None:
                    label = str(guard.target), self._model.goal_name(guard.target) or ""
                    family.add_metric(label, number)
            yield family


def share_flagged(tested: Tested) -> tuple[float, float, float] | None:
    """Return the share flagged since the test began and its 95 % interval (Clopper-Pearson)."""
    test = tested.test
    if not test.judged:
        return None
    return test.flagged / test.judged, *clopper_pearson(test.flagged, test.judged)


def _of_share(place: int) -> Callable[[Tested, float], float | None]:
    def value(tested: Tested, _: float) -> float | None:
        found = share_flagged(tested)
        return None if found is None else found[place]

    return value


_GAUGES: tuple[tuple[str, str, Callable[[Tested, float], float | None]], ...] = (
    (
        "alarm",
        "1 where more inputs were flagged than promised, until it is acknowledged.",
        lambda tested, _: float(tested.test.alarm),
    ),
    (
        "judged_inputs",
        "Inputs that the model alone predicts as the target, since the test began.",
        lambda tested, _: float(tested.test.judged),
    ),
    ("share_flagged", "Share of the judged inputs that is flagged.", _of_share(0)),
    ("share_flagged_low", "Lower limit of its 95 % interval.", _of_share(1)),
    ("share_flagged_high", "Upper limit of its 95 % interval.", _of_share(2)),
    (
        "share_promised",
        "Largest share of clean inputs that may be flagged.",
        lambda _, promised: promised,
    ),
)
