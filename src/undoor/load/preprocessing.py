"""The preprocessing that comes with a model, and the user's options that override it."""

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
    """The inputs of a network: pixels in [0, 1], normalised as (x - mean) / std.

    Attributes
    ----------
    shape
        (C, H, W) of one input.
    mean, std
        One value per channel; None where there is no normalisation.
    resizing
        How images of other sizes are resized.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    resizing: Resizing


def resized(preprocessing: Preprocessing, shape: Sequence[int] | None) -> Preprocessing:
    """Return the preprocessing for inputs of another shape, resized directly to it."""
    if shape is None or tuple(shape) == preprocessing.shape or not IMAGES.applies_to(tuple(shape)):
        return preprocessing
    if not all(isinstance(n, int) for n in shape):
        # Of a file: it is checked, and refused, with the other entries of its table.
        return preprocessing
    channels, height, width = shape
    straight = Resizing((height, width), resample=preprocessing.resizing.resample)
    return replace(preprocessing, shape=(channels, height, width), resizing=straight)


def given(options: Tables, table: str) -> dict[str, Any]:
    """Return one table of the user's options, without those that are None."""
    return {key: value for key, value in options.get(table, {}).items() if value is not None}


def require_own_model(options: Tables) -> None:
    """Refuse options on a network that its folder describes; only the output may be given.

    Raises
    ------
    UndoorError
        An architecture, arguments or a key are given.
    """
    unexpected = sorted(given(options, "model").keys() - {"output"})
    if unexpected:
        name = unexpected[0]
        raise UndoorError(f"the folder defines the {name} of its model; leave {name} out")


def classifier_of(
    network: nn.Module,
    preprocessing: Preprocessing,
    options: Tables,
    *,
    source: Path,
    class_names: Sequence[str] | None,
    output: Output = "logits",
) -> Classifier:
    """Return the classifier of a network with its preprocessing, overridden by `options`.

    Parameters
    ----------
    network
        Takes normalised inputs [N, C, H, W].
    preprocessing
        That comes with it.
    options
        Tables as of a model.toml.
    source
        Where they come from, for messages.
    class_names
        That come with the network; None where there are none.
    output
        What the network returns.

    Raises
    ------
    UndoorError
        An option is malformed, does not fit, or leaves open how values are scaled.
    """
    inputs = given(options, "input")
    preprocessing = resized(preprocessing, inputs.get("shape"))
    if "bounds" in inputs and not {"scale", "mean", "std"} <= inputs.keys():
        inputs.setdefault("scale", _scale_for(inputs["bounds"]))
    defaults = {"shape": preprocessing.shape, "mean": preprocessing.mean, "std": preprocessing.std}
    table = checked(InputTable, "input", {**defaults, **inputs}, source)
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
    """Return the factor from raw values to [0, 1], for which mean and std are meant."""
    try:
        low, high = (float(value) for value in bounds)
    except (TypeError, ValueError):
        return 1.0
    if low == 0 and high > 0:
        return 1 / high
    raise UndoorError(
        f"the model's mean and std are meant for values from 0 to 1, but the bounds are {low:g} to "
        f"{high:g}; give scale, mean and std too"
    )
