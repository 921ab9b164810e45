"""Guarded against bare, at 80 % of the capacity, and far beyond it."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import undoor
from undoor.classifier import Classifier
from undoor.device import array
from undoor.guard import guard
from undoor.progress import Progress, silent
from undoor.repairs.record import Repair
from undoor_bench.service.load import Outcome, as_fast_as_answered, at_rate, request_of
from undoor_bench.service.servers import Load, Running, export_bare, running

LOAD_SHARE = 0.8
OVERLOAD = 10.0
INPUTS = 64
# Of the clean images, enough to find triggered ones that are flagged.
TRIED = 512


@dataclass(frozen=True)
class Plan:
    """How long and how wide to measure."""

    seconds: float = 5.0
    rounds: int = 3
    connections: int = 32
    overload_seconds: float = 60.0
    overload_connections: int = 512
    workers: int = 1
    threads: int = 1


def requests(x: Tensor) -> list[bytes]:
    """Return one request for each input [N, ...]."""
    bodies = (
        {
            "inputs": [
                {
                    "name": "images",
                    "datatype": "FP32",
                    "shape": [1, *x.shape[1:]],
                    "data": row.ravel().tolist(),
                }
            ]
        }
        for row in array(x)
    )
    return [request_of("model", json.dumps(body).encode()) for body in bodies]


def inputs(classifier: Classifier, repair: Repair, clean: Tensor) -> dict[str, Tensor]:
    """Return inputs that are all flagged, and inputs of which none is.

    Parameters
    ----------
    clean
        Raw images [N, ...] that carry no trigger, in random order.

    Raises
    ------
    UndoorError
        There are none of one kind.
    """
    guarded = guard(classifier, repair).eval()
    plain = clean[:TRIED].to(classifier.device)
    triggered = torch.cat([item.trigger(plain) for item in repair.targets])
    found = {}
    for name, x, wanted in (("nothing flagged", plain, False), ("all flagged", triggered, True)):
        _, flagged, _ = guarded(x)
        chosen = x[flagged == wanted][:INPUTS]
        if not len(chosen):
            raise undoor.UndoorError(
                f"expected inputs of the kind '{name}' among {len(x)}, got none; take clean images "
                "of the data set of the model, and a repair whose trigger acts on them"
            )
        found[name] = chosen
    return found


def measure(
    classifier: Classifier,
    repair: Repair,
    clean: Tensor,
    folder: Path,
    plan: Plan,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Return the record of all measurements.

    Parameters
    ----------
    clean
        As for `inputs`.
    folder
        Gets the files of the models.
    """
    guarded, bare = folder / "guarded.onnx", folder / "bare.onnx"
    given = inputs(classifier, repair, clean)
    undoor.export(classifier, repair, guarded)
    export_bare(classifier, bare)
    kinds = {name: requests(x) for name, x in given.items()}
    record: dict[str, Any] = {
        "plan": vars(plan),
        "inputs": {name: len(x) for name, x in given.items()},
        "ratios": {},
    }
    with (
        running(Load(guarded, None, plan.threads), folder, workers=plan.workers) as ours,
        running(Load(guarded, bare, plan.threads), folder, workers=plan.workers) as theirs,
    ):
        for done, (name, sent) in enumerate(kinds.items()):
            progress("requests", done, len(kinds) + 2)
            record["ratios"][name] = ratio(ours, theirs, sent, plan)
        capacity = record["ratios"]["nothing flagged"]["guarded"]
        sent = kinds["nothing flagged"]
        progress("80 % load", len(kinds), len(kinds) + 2)
        record["load"] = load(ours, sent, LOAD_SHARE * capacity, plan)
        progress("overload", len(kinds) + 1, len(kinds) + 2)
        record["overload"] = overload(ours, sent, OVERLOAD * capacity, plan)
        progress("overload", len(kinds) + 2, len(kinds) + 2)
    return record


def ratio(ours: Running, theirs: Running, given: list[bytes], plan: Plan) -> dict[str, Any]:
    """Return requests per second of both in turns, and the ratio of each pair of rounds.

    The other one goes first in every second round, so that a machine that slows down favours none.
    """
    rates: dict[str, list[float]] = {"guarded": [], "bare": []}
    for service in (ours, theirs):
        _closed(service, given, plan.connections, min(1.0, plan.seconds))
    for number in range(plan.rounds):
        pair = [("guarded", ours), ("bare", theirs)]
        for name, service in pair if number % 2 else reversed(pair):
            outcome = _closed(service, given, plan.connections, plan.seconds)
            rates[name].append(outcome.per_second)
    ratios = [a / b for a, b in zip(rates["guarded"], rates["bare"], strict=True)]
    return {
        "guarded": statistics.median(rates["guarded"]),
        "bare": statistics.median(rates["bare"]),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def load(service: Running, given: list[bytes], per_second: float, plan: Plan) -> dict[str, Any]:
    """Return the latencies at a rate, in seconds."""
    outcome = asyncio.run(
        at_rate(
            service.port,
            given,
            per_second=per_second,
            connections=plan.overload_connections,
            seconds=plan.seconds * plan.rounds,
        )
    )
    p50, p99 = outcome.percentile(0.5), outcome.percentile(0.99)
    times = None if p50 is None or p99 is None else p99 / p50
    return _described(outcome) | {"wanted": per_second, "p50": p50, "p99": p99, "p99_by_p50": times}


def overload(service: Running, given: list[bytes], per_second: float, plan: Plan) -> dict[str, Any]:
    """Return what came of requests far beyond the capacity, and the memory meanwhile."""
    memory: list[int] = [service.memory()]

    async def watch() -> None:
        memory.append(service.memory())

    outcome = asyncio.run(
        at_rate(
            service.port,
            given,
            per_second=per_second,
            connections=plan.overload_connections,
            seconds=plan.overload_seconds,
            every_second=watch,
        )
    )
    after = _closed(service, given, 1, min(1.0, plan.seconds))
    return _described(outcome) | {
        "wanted": per_second,
        "memory_before": memory[0],
        "memory_highest": max(memory),
        "memory_last": memory[-1],
        "answers_after": after.statuses[200],
    }


def _closed(service: Running, given: list[bytes], connections: int, seconds: float) -> Outcome:
    return asyncio.run(
        as_fast_as_answered(service.port, given, connections=connections, seconds=seconds)
    )


def _described(outcome: Outcome) -> dict[str, Any]:
    return {
        "per_second": outcome.per_second,
        "seconds": outcome.seconds,
        "statuses": {str(status): count for status, count in sorted(outcome.statuses.items())},
    }


def rows(record: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Return the record as lines for people: what, and its number."""
    for name, item in record["ratios"].items():
        yield f"requests per second, {name}: guarded / bare", f"{item['ratio']:.2f}"
    times = record["load"]["p99_by_p50"]
    yield "p99 / p50 at 80 % load", "none answered" if times is None else f"{times:.1f}"
    over = record["overload"]
    yield "answers in the overload by status", json.dumps(over["statuses"])
    growth = over["memory_highest"] / max(1, over["memory_before"])
    yield "highest memory in the overload / before", f"{growth:.2f}"
