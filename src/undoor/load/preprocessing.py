"""What comes before a network that brings its own preprocessing, and what the user says instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.load.spec import ClassesTable, InputTable, Tables, checked
from undoor.resizing import Resizing
from undoor.spaces.images import IMAGES
from undoor.vocabulary import Output


@dataclass(frozen=True)
class Preprocessing:
    """What a network takes: pixels in [0, 1], of which it sees (x - mean) / std.

    Attributes
    ----------
    shape
        (C, H, W).
    resizing
        How pictures of other sizes get there.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    resizing: Resizing


def resized(preprocessing: Preprocessing, shape: Sequence[int] | None) -> Preprocessing:
    """Return the same for inputs of another shape, resized straight to it."""
    if shape is None or tuple(shape) == preprocessing.shape or not IMAGES.applies_to(tuple(shape)):
        return preprocessing
    channels, height, width = shape
    straight = Resizing((height, width), resample=preprocessing.resizing.resample)
    return replace(preprocessing, shape=(channels, height, width), resizing=straight)


def given(options: Tables, table: str) -> dict[str, Any]:
    """Return what a table of the user's options says; None says nothing."""
    return {key: value for key, value in options.get(table, {}).items() if value is not None}


def require_own_model(options: Tables) -> None:
    """Refuse what the user says of a network that its folder describes; the output is not in it.

    Raises
    ------
    UndoorError
        An architecture, arguments or a key are given.
    """
    told = sorted(given(options, "model").keys() - {"output"})
    if told:
        raise UndoorError(f"the folder says its own {told[0]}; leave {told[0]} out")


def classifier_of(
    network: nn.Module,
    preprocessing: Preprocessing,
    options: Tables,
    *,
    source: Path,
    class_names: Sequence[str] | None,
    output: Output = "logits",
) -> Classifier:
    """Return the classifier of a network that brings its preprocessing; what `options` say wins.

    Raises
    ------
    UndoorError
        An option is malformed, does not fit, or leaves open how values are scaled.
    """
    own = given(options, "input")
    preprocessing = resized(preprocessing, own.get("shape"))
    if "bounds" in own and not {"scale", "mean", "std"} <= own.keys():
        own.setdefault("scale", _scale_for(own["bounds"]))
    defaults = {"shape": preprocessing.shape, "mean": preprocessing.mean, "std": preprocessing.std}
    table = checked(InputTable, "input", {**defaults, **own}, source)
    named = checked(
        ClassesTable, "classes", {"names": class_names, **given(options, "classes")}, source
    )
    resizing = preprocessing.resizing
    return Classifier(
        network,
        input_shape=table.shape,
        bounds=table.bounds,
        scale=table.scale,
        mean=table.mean,
        std=table.std,
        output=output,
        class_names=named.names,
        space=table.space,
        task=named.task,
        resizing=resizing if resizing.size == table.shape[1:] else None,
    )


def _scale_for(bounds: Any) -> float:
    """Return by what raw values are multiplied to reach [0, 1], for which mean and std are
    meant.
    """
    try:
        low, high = (float(value) for value in bounds)
    except (TypeError, ValueError):
        return 1.0
    if low == 0 and high > 0:
        return 1 / high
    raise UndoorError(
        f"the model's own mean and std are meant for values from 0 to 1, the bounds are {low:g} to "
        f"{high:g}; give scale, mean and std too"
    )
