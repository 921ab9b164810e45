"""Run a batch so that an input that the engine cannot take spoils no other."""

from __future__ import annotations

import logging

import numpy as np

from undoor.serve.answers import Answers, answers, failed, joined
from undoor.serve.served_model import Array, Engine, Inputs

log = logging.getLogger("undoor.serve")


def run_batch(engine: Engine, parts: list[Inputs]) -> list[Answers]:
    """Return the answers to the inputs of several requests, run as one batch per shape.

    Where the engine raises an error, the inputs are run again one by one, and those for which it
    raises again are flagged.

    Parameters
    ----------
    parts
        Inputs of each request, at least one, as `ServedModel.form` says.
    """
    rows = [row for part in parts for row in part]
    places: dict[tuple[int, ...], list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row.shape, []).append(place)
    found = joined(
        [
            _run_alike(engine, np.stack([rows[place] for place in group]))
            for group in places.values()
        ]
    )
    back = np.argsort([place for group in places.values() for place in group]).tolist()
    stops = np.cumsum([len(part) for part in parts]).tolist()
    return [
        found.at(back[stop - len(part) : stop]) for stop, part in zip(stops, parts, strict=True)
    ]


def _run_alike(engine: Engine, x: Array) -> Answers:
    try:
        return answers(engine.model, x, engine.run(x))
    except Exception as error:
        log.warning(
            "the engine failed on a batch, which is run again input by input",
            extra={"inputs": len(x), "error": f"{type(error).__name__}: {error}"[:500]},
        )
        return joined([_run_one(engine, row[None]) for row in x])


def _run_one(engine: Engine, x: Array) -> Answers:
    try:
        return answers(engine.model, x, engine.run(x))
    except Exception:
        return failed(engine.model)
