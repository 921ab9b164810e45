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
from undoor.output_forms.classes import Classes
from undoor.output_forms.output_form import OutputForm
from undoor.output_forms.registry import read_form
from undoor.preparation import Preparation
from undoor.vocabulary import DEFAULT_TASK, FLAG, REJECT, RELABEL

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


def described_form(metadata: Mapping[str, Any], contract: Contract, file: Path) -> OutputForm:
    """Return what metadata say of outputs; those of before know classes alone.

    Raises
    ------
    KeyError, TypeError, ValueError
        They say nothing, or what does not fit the contract.
    UndoorError
        It is a file of before, and of no classes.
    """
    task, described = metadata["task"], metadata.get("outputs")
    if described is not None:
        form = read_form(described)
    elif task == DEFAULT_TASK:
        form = Classes(contract.class_names)
    else:
        raise UndoorError(
            f"{file}: expected an export that says what its outputs mean, got one for "
            f"{task!s:.100} that does not; export the model again, or run the file with ONNX "
            "Runtime, as undoor export shows"
        )
    if form.num_goals != len(contract.class_names):
        raise ValueError(f"outputs: {form.num_goals} goals of {len(contract.class_names)} names")
    return form


def require_agreement(
    graph: ServedGraph,
    preparation: Preparation,
    form: OutputForm,
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
    x = preparation.example(1)
    blank = _blank(graph, x, form)
    if blank is not None and not _alike(blank, form.blank(targets)):
        raise UndoorError(
            f"{file}: expected a graph that guards the targets {sorted(targets)} of its metadata, "
            f"got one that guards {form.excluded(blank)}; {ADVICE}"
        )
    found = _policy(graph, preparation, form, targets)
    if found is not None and found != policy:
        raise UndoorError(
            f"{file}: expected a graph with the policy {policy!r:.100} of its metadata, got one "
            f"with {found!r}; {ADVICE}"
        )


def _blank(graph: ServedGraph, x: Array, form: OutputForm) -> Array | None:
    """Return the outputs [K] of a graph where there is no prediction; None where it shows none."""
    bare = np.full((1, form.num_outputs), np.nan, np.float32)
    if x.dtype.kind == "f":
        x = np.full_like(x, np.nan)
    elif not graph.is_cut:
        return None
    logits, _, _ = graph.decide(x, bare)
    return np.asarray(logits[0])


def _alike(outputs: Array, expected: Array) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.allclose(outputs, expected, rtol=1e-5)


def _policy(
    graph: ServedGraph, preparation: Preparation, form: OutputForm, targets: tuple[int, ...]
) -> str | None:
    """Return the policy of a graph, by an input that is flagged, since it is out of range."""
    x, target = preparation.example(1), targets[0]
    low, high = preparation.contract.bounds
    if not graph.is_cut or x.dtype.kind != "f" or not form.shows_blank(target):
        return None
    bare = form.at(target)[None]
    logits, flagged, score = graph.decide(np.full_like(x, high + (high - low)), bare)
    if np.array_equal(logits, bare):
        return FLAG
    return REJECT if without_prediction(form, logits, flagged, score, targets)[0] else RELABEL
