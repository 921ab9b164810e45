"""Networks of timm: by name with a checkpoint on disk, or a folder that timm wrote.

`architecture = "timm:NAME"` builds the network and takes size, mean, std, interpolation and crop
from timm's settings for that name. Nothing is fetched: the weights are the caller's.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError, first_line
from undoor.load.bounded import build_bounded
from undoor.load.config_paths import require_no_paths
from undoor.load.fitting import load_fitting
from undoor.load.hub import (
    CONFIG,
    config_says,
    folder_of,
    from_library,
    offline,
    read_json,
    require_depth,
)
from undoor.load.preprocessing import Preprocessing, classifier_of, given, require_own_model
from undoor.load.spec import ModelTable, Tables, checked
from undoor.load.state_dicts import StateDict
from undoor.load.weights import read_states
from undoor.resizing import Resizing
from undoor.spaces.images import IMAGES

SCHEME = "timm:"
WEIGHTS = "model.safetensors"
EXTRA: Final = "timm"
# Arguments of timm.create_model that open or fetch other weights than those given, or change what
# it returns.
FORBIDDEN = frozenset(
    {"pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
    | {"features_only", "scriptable", "exportable"}
)


def is_name(architecture: object) -> bool:
    """Return whether an architecture is one of timm, "timm:NAME"."""
    return isinstance(architecture, str) and architecture.startswith(SCHEME)


def recognises(path: Path) -> bool:
    """Return whether `path` is a folder that timm wrote, or no file at all but "timm:NAME"."""
    return is_name(path.as_posix()) or config_says(path, "architecture")


def read(path: Path, options: Tables) -> Classifier:
    """Return the classifier in a folder that timm wrote.

    Parameters
    ----------
    path
        The folder, or its config.json.
    options
        Tables as of a model.toml; its input and class names override those of the folder.

    Raises
    ------
    UndoorError
        The folder holds no safetensors, or its files do not belong together.
    """
    if is_name(path.as_posix()):
        raise UndoorError(
            f"{path} is an architecture without weights, and none are fetched; give a checkpoint "
            f"as the model, and {path} as its architecture"
        )
    folder = folder_of(path)
    require_own_model(options)
    config = read_json(folder / CONFIG)
    require_no_paths(config, folder / CONFIG)
    if not (folder / WEIGHTS).is_file():
        raise UndoorError(
            f"{folder}: expected {WEIGHTS}; save it with timm's save_for_hf(..., "
            f"safe_serialization=True), or give the checkpoint itself as the model and "
            f"{SCHEME}{config['architecture']} as its architecture"
        )
    model = {
        "weights": folder / WEIGHTS,
        "architecture": f"{SCHEME}{config['architecture']}",
        "arguments": {**_dictionary(config, "model_args"), **_classes(config)},
        **given(options, "model"),
    }
    names = config.get("label_names")
    known = {"model": model, "input": given(options, "input"), "classes": given(options, "classes")}
    return read_tables(known, folder, _dictionary(config, "pretrained_cfg"), names)


def read_tables(
    tables: Tables,
    source: Path,
    settings: Mapping[str, Any] | None = None,
    class_names: Any = None,
) -> Classifier:
    """Return the classifier that the tables of a model.toml describe, with a network of timm.

    Parameters
    ----------
    tables
        Of a model.toml.
    source
        Where the tables come from, for messages.
    settings
        Of a folder; they override timm's settings for that name.
    class_names
        Of a folder; None where there are none.

    Raises
    ------
    UndoorError
        Timm has no such network, or the checkpoint does not fit it.
    """
    table = checked(ModelTable, "model", tables.get("model", {}), source)
    name = str(table.architecture).removeprefix(SCHEME)
    states = read_states(table.weights, key=table.key)
    # Sizes are read off the largest; which one fits is decided below.
    state = max(states.values(), key=len)
    settings = {**_settings(name), **(settings or {})}
    arguments = _arguments(table.arguments, settings, state, given(tables, "input"), name)
    require_depth(arguments, len(state), source)
    network = build_bounded(lambda: _create(name, arguments), states)
    load_fitting(network, states, file=table.weights, architecture=f"{SCHEME}{name}")
    preprocessing = _preprocessing(settings, arguments, given(tables, "input"), source)
    return classifier_of(
        network, preprocessing, tables, source=source, class_names=class_names, output=table.output
    )


def _settings(name: str) -> dict[str, Any]:
    """Return the settings that timm has for a network: its classifier, first layer and input."""
    is_model, get_settings, names = from_library(
        "timm.models", "is_model", "get_pretrained_cfg", "list_models", extra=EXTRA
    )
    plain = name.partition(".")[0]
    if ":" in name or "/" in name or not is_model(plain):
        close = ", ".join(difflib.get_close_matches(plain, names(), 5))
        raise UndoorError(
            f"timm has no network {name!r}{f' (similar: {close})' if close else ''}; "
            "expected timm:NAME, NAME one of timm.list_models()"
        )
    try:
        found = get_settings(name, allow_unregistered=True)
    except RuntimeError as error:
        raise UndoorError(
            f"timm:{name}: {first_line(error)}; leave out the dot and what follows it"
        ) from error
    return found.to_dict() if found else {}


def _arguments(
    arguments: Mapping[str, Any],
    settings: Mapping[str, Any],
    state: StateDict,
    inputs: Mapping[str, Any],
    name: str,
) -> dict[str, Any]:
    """Return the arguments for timm, completed from the shapes of checkpoint and input."""
    forbidden = sorted(FORBIDDEN & arguments.keys())
    if forbidden:
        raise UndoorError(
            f"timm:{name}: expected no argument {forbidden[0]}; the weights are those of the "
            "checkpoint alone"
        )
    require_no_paths(arguments, f"timm:{name}, arguments")
    found = dict(arguments)
    classes = _stored(state, settings.get("classifier"))
    if classes:
        found.setdefault("num_classes", classes[0])
    first = _stored(state, settings.get("first_conv"))
    if first and len(first) == 4 and first[1] in (1, 2, 4):
        found.setdefault("in_chans", first[1])
    shape = inputs.get("shape")
    if shape is not None and IMAGES.applies_to(tuple(shape)):
        if settings.get("fixed_input_size"):
            found.setdefault("img_size", tuple(shape[1:]))
        if shape[0] != 3:
            found.setdefault("in_chans", shape[0])
    return found


def _stored(state: StateDict, layer: Any) -> tuple[int, ...]:
    """Return the shape of the weight of a layer, with any prefix of its name.

    () where there is none, or where there are several shapes.
    """
    layer = layer[0] if isinstance(layer, list | tuple) and layer else layer
    if not isinstance(layer, str):
        return ()
    wanted = f"{layer}.weight"
    exact = [key for key in state if key.endswith(wanted) and key[: -len(wanted)][-1:] in ("", ".")]
    shapes = {tuple(state[key].shape) for key in exact}
    return shapes.pop() if len(shapes) == 1 else ()


def _create(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    (create,) = from_library("timm", "create_model", extra=EXTRA)
    call = f"timm.create_model({name!r}, {', '.join(f'{k}={v!r}' for k, v in arguments.items())})"
    try:
        with offline(EXTRA):
            return create(name, pretrained=False, **arguments)
    except UndoorError:
        raise
    except Exception as error:
        raise UndoorError(
            f"{call} failed with {type(error).__name__}: {first_line(error)}; check the arguments"
        ) from error


def _preprocessing(
    settings: Mapping[str, Any],
    arguments: Mapping[str, Any],
    inputs: Mapping[str, Any],
    source: Path,
) -> Preprocessing:
    """Return the preprocessing of timm's settings; a shape that the user gives is not cropped."""
    channels, height, width = settings.get("input_size") or (3, 224, 224)
    native = (height, width)
    size = arguments.get("img_size", native)
    size = (size, size) if isinstance(size, int) else tuple(size)
    channels = arguments.get("in_chans", channels)
    mean, std = settings.get("mean"), settings.get("std")
    if channels != len(mean or ()) and not {"mean", "std"} <= inputs.keys():
        raise UndoorError(
            f"{source}: timm's mean and std are meant for {len(mean or ())} channels, but the "
            f"network takes {channels}; give mean and std"
        )
    filter_ = str(settings.get("interpolation") or "bicubic")
    filter_ = "bicubic" if filter_ == "random" else filter_
    first = None if size != native or "shape" in inputs else _first(settings, size, source)
    return Preprocessing(
        (channels, *size),
        tuple(inputs.get("mean", mean)),
        tuple(inputs.get("std", std)),
        Resizing(size, first=first, resample=filter_),  # type: ignore[arg-type]
    )


def _first(
    settings: Mapping[str, Any], size: tuple[int, int], source: Path
) -> tuple[int, int] | int | None:
    """Return the size to which timm's evaluation resizes images before it crops the centre."""
    share = settings.get("crop_pct") or 0.875
    mode = settings.get("crop_mode") or "center"
    whole = (math.floor(size[0] / share), math.floor(size[1] / share))
    if mode == "center" and whole[0] == whole[1]:
        return whole[0]
    if mode == "squash":
        return whole
    raise UndoorError(
        f"{source}: timm resizes for this network in a way that is not supported (crop_mode {mode} "
        f"to {size[0]}x{size[1]}); give input_shape, and images are resized directly to it"
    )


def _classes(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"num_classes": config["num_classes"]} if "num_classes" in config else {}


def _dictionary(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key) or {}
    if not isinstance(value, dict):
        raise UndoorError(f"{CONFIG}: {key} is a {type(value).__name__}; expected an object")
    return value
