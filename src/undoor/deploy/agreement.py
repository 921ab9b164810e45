"""Whether what an exported file says of its guard is what its graph does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from undoor.contract import Contract
from undoor.deploy.graph import Array, ServedGraph
from undoor.deploy.prediction import without_prediction
from undoor.errors import UndoorError
from undoor.preparation import Preparation
from undoor.vocabulary import FLAG, NO_SCORE, REJECT, RELABEL

ADVICE = "the file was changed after its export; export the model again"


def described_targets(metadata: Mapping[str, Any], classes: int) -> tuple[int, ...]:
    """Return the targets that metadata name.

    Raises
    ------
    KeyError, OverflowError, TypeError, ValueError
        They are not classes, each once, with as many finite thresholds.
    """
    targets, thresholds = metadata["targets"], metadata["thresholds"]
    are_classes = all(type(target) is int and 0 <= target < classes for target in targets)
    if not targets or not are_classes or len(set(targets)) != len(targets):
        raise ValueError(
            f"targets: expected numbers from 0 to {classes - 1}, each once, got {targets!s:.100}"
        )
    if len(thresholds) != len(targets) or not all(map(math.isfinite, thresholds)):
        raise ValueError(
            f"thresholds: expected {len(targets)} finite numbers, got {thresholds!s:.100}"
        )
    return tuple(targets)


def require_agreement(
    graph: ServedGraph,
    preparation: Preparation,
    targets: tuple[int, ...],
    policy: object,
    file: Path,
) -> None:
    """Refuse a file whose graph guards other targets, or answers by another policy, than it says.

    The policy is checked of graphs that are cut and take numbers; the targets of those that are
    cut or take numbers.

    Raises
    ------
    UndoorError
        They differ, or ONNX Runtime fails on one input.
    """
    contract = preparation.contract
    x = preparation.example(1)
    guarded = _guarded(graph, x, contract)
    if guarded is not None and guarded != set(targets):
        raise UndoorError(
            f"{file}: expected a graph that guards the targets {sorted(targets)} of its metadata, "
            f"got one that guards {sorted(guarded)}; {ADVICE}"
        )
    found = _policy(graph, x, contract, targets[0])
    if found is not None and found != policy:
        raise UndoorError(
            f"{file}: expected a graph with the policy {policy!r:.100} of its metadata, got one "
            f"with {found!r}; {ADVICE}"
        )


def _guarded(graph: ServedGraph, x: Array, contract: Contract) -> set[int] | None:
    """Return the targets of a graph: what is excluded where there is no prediction."""
    bare = np.full((1, len(contract.class_names)), np.nan, np.float32)
    if x.dtype.kind == "f":
        x = np.full_like(x, np.nan)
    elif not graph.is_cut:
        return None
    logits, _, _ = graph.decide(x, bare)
    return set(np.flatnonzero(logits[0] <= NO_SCORE).tolist())


def _policy(graph: ServedGraph, x: Array, contract: Contract, target: int) -> str | None:
    """Return the policy of a graph, by an input that is flagged, since it is out of range."""
    low, high = contract.bounds
    if not graph.is_cut or x.dtype.kind != "f":
        return None
    bare = np.zeros((1, len(contract.class_names)), np.float32)
    bare[0, target] = 1
    logits, flagged, _ = graph.decide(np.full_like(x, high + (high - low)), bare)
    if np.array_equal(logits, bare):
        return FLAG
    return REJECT if without_prediction(logits, flagged)[0] else RELABEL
