"""Descriptions of repairs as fuzzers have them: JSON, each tensor as a shape and one number."""

from __future__ import annotations

import json
import math
from typing import Any

import torch
from torch import Tensor

from undoor.errors import UndoorError
from undoor.repairs.encoding import SCHEMA, WEIGHTS_ONLY

MAX_SIDES, MAX_VALUES = 6, 4096
SITE = {"name": "entry", "extent": 2, "granularity": "position", "moved": 0.5}
TARGET: dict[str, Any] = {
    "target": 1,
    "sources": [0],
    "threshold": 0.0,
    "calibration": {"wanted_fpr": 0.02, "n": 0, "flagged": None, "flagged_interval": None},
    "chosen": "finest",
    "asr": 0.01,
    "sia": 0.9,
    "fpr": 0.02,
    "trials": [{"name": "finest", "sia": 0.9, "fpr": 0.01, "score": 0.9}],
    "adapted": None,
    "quick": False,
    "sites": [SITE],
    "trigger": {"kind": "stamp", "family": "patch", "mode": "replace"},
}
MODEL = {
    **dict.fromkeys(("sha256", "weights_sha256"), "0" * 64),
    **dict.fromkeys(("structure_sha256", "graph_sha256", "call_sha256", "code_sha256")),
    **{"code": [], "preprocessing": None, "probe": None},
    **{"input_shape": [1, 2, 2], "bounds": [0.0, 1.0], "class_names": ["a", "b"]},
}
DESCRIPTION: dict[str, Any] = {
    "schema": SCHEMA,
    "undoor": "0.1",
    "model": MODEL,
    "verdict": "backdoored",
    "fit": "paired",
    "targets": [TARGET],
}
PARTS = {"scale": 1.0, "shift": 0.1, "low": -1.0, "high": 2.0}
TENSORS: dict[str, Any] = {
    **{f"repair/1/correction/entry/{name}": [[1, 2, 2], value] for name, value in PARTS.items()},
    "repair/1/trigger/mask": [[2, 2], 1.0],
    "repair/1/trigger/pattern": [[2, 2, 1], 0.5],
}


def read(data: bytes) -> tuple[Any, dict[str, Tensor]]:
    """The description and its tensors.

    Raises
    ------
    UndoorError : the data are no such pair, which says nothing of our parser.
    """
    try:
        description, tensors = json.loads(data)
        return description, {str(name): _tensor(*told) for name, told in tensors.items()}
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise UndoorError(f"not a description and its tensors: {error}") from None


def valid() -> list[bytes]:
    old = {**DESCRIPTION, "schema": WEIGHTS_ONLY}
    old["model"] = {**MODEL, "sha256": MODEL["weights_sha256"]}
    return [_written(DESCRIPTION), _written(old)]


def hostile() -> list[bytes]:
    """Of the right form, and wrong in one entry."""
    numbers: tuple[Any, ...] = (math.inf, -1, 2**64, 10**400, 1e308, True, None, "1", [], {})
    changed = [with_entry(path, n) for path in paths(DESCRIPTION) for n in numbers]
    kinds = [_with_trigger({"kind": kind}) for kind in ("warp", "tone", "generator", "latent", "")]
    spoilt = [
        _written(DESCRIPTION, {**TENSORS, name: told})
        for name in TENSORS
        for told in ([[], 1.0], [[0], 1.0], [[1, 2, 2], math.nan], [[1, 2, 2], 3e38], [[7], 0.0])
    ]
    return [*changed, *kinds, *spoilt]


def with_entry(path: tuple[Any, ...], value: Any, tensors: Any = TENSORS) -> bytes:
    """The valid description with another value at one place."""
    changed = json.loads(json.dumps(DESCRIPTION))
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return _written(changed, tensors)


def _written(description: Any, tensors: Any = TENSORS) -> bytes:
    return json.dumps([description, tensors]).encode()


def _with_trigger(words: dict[str, str]) -> bytes:
    target = {**TARGET, "trigger": TARGET["trigger"] | words}
    return _written({**DESCRIPTION, "targets": [target]})


def paths(document: Any) -> list[tuple[Any, ...]]:
    """The way to every entry."""
    pairs: Any = ()
    if isinstance(document, dict):
        pairs = document.items()
    elif isinstance(document, list):
        pairs = enumerate(document)
    return [way for key, value in pairs for way in ((key,), *((key, *p) for p in paths(value)))]


def _tensor(shape: list[int], value: float) -> Tensor:
    sides = [int(side) for side in shape]
    if len(sides) > MAX_SIDES or min(sides, default=0) < 0 or math.prod(sides) > MAX_VALUES:
        raise ValueError(f"too large, or no shape: {shape}")
    return torch.full(sides, float(value), dtype=torch.float64).float()
