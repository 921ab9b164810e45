"""Image and text classifiers of Hugging Face Transformers, from a folder on disk.

Expected: config.json with one architecture for the classification of images or sequences, beside it
preprocessor_config.json or tokenizer.json, and safetensors. Code in a folder is never run, and
nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError, first_line
from undoor.load.config_paths import require_no_paths
from undoor.load.hub import (
    CONFIG,
    config_says,
    folder_of,
    from_library,
    offline,
    read_json,
    require_depth,
    require_unmarked,
)
from undoor.load.hugging_face_text import KIND as TEXT_KIND
from undoor.load.hugging_face_text import text_classifier
from undoor.load.preprocessing import Preprocessing, classifier_of, given, require_own_model
from undoor.load.processor import read_preprocessing
from undoor.load.safetensors_header import require_safe_header
from undoor.load.spec import Tables

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
KIND = "ForImageClassification"
EXTRA: Final = "transformers"
SHOWN = 3


class Logits(nn.Module):
    """A model of Transformers that returns class scores alone.

    Parameters
    ----------
    model
        Returns an object with `logits`.
    flipped
        Whether it takes the colours in the opposite order (BGR).
    """

    def __init__(self, model: nn.Module, *, flipped: bool = False) -> None:
        super().__init__()
        self.model = model
        self.flipped = flipped

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores [N, classes] of images [N, C, H, W]."""
        return self.model(pixel_values=x.flip(1) if self.flipped else x).logits


def recognises(path: Path) -> bool:
    """Return whether there is a config.json that names architectures of Transformers."""
    return config_says(path, "architectures") or config_says(path, "auto_map")


def read(path: Path, options: Tables) -> Classifier:
    """Return the classifier in a folder.

    Parameters
    ----------
    path
        The folder, or its config.json.
    options
        Tables as of a model.toml; its input and class names override those of the folder.

    Raises
    ------
    UndoorError
        The folder needs code of its own, holds no safetensors, is damaged, is no classifier of
        single images, or its preprocessing cannot be reproduced.
    """
    folder = folder_of(path)
    require_own_model(options)
    config = read_json(folder / CONFIG)
    for text in (CONFIG, *PROCESSORS):
        require_unmarked(folder / text)
    name = _architecture(config, folder)
    shapes = _shapes(folder)
    with offline(EXTRA), _quiet():
        model = _model(folder, config, name, shapes)
        settings: Any = model.config
        if TEXT_KIND in name:
            names = _names(settings.id2label, folder)
            return text_classifier(model, settings, folder, options, names)
        preprocessing, flipped = _preprocessing(folder, settings, options)
    return classifier_of(
        Logits(model, flipped=flipped),
        preprocessing,
        options,
        source=folder,
        class_names=_names(settings.id2label, folder),
        output=given(options, "model").get("output", "logits"),
    )


def _architecture(config: Mapping[str, Any], folder: Path) -> str:
    """Return the class name of the network, if Transformers can build it without foreign code."""
    texts = [config, *(read_json(folder / f) for f in PROCESSORS if (folder / f).exists())]
    if any("auto_map" in text or "custom_pipelines" in text for text in texts):
        raise UndoorError(
            f"{folder} needs its own code to be run (auto_map), which is never done; if "
            "Transformers has the architecture, remove auto_map; else describe the network in a "
            "model.toml with code that you trust"
        )
    for text in texts:
        require_no_paths(text, folder / CONFIG)
    if (folder / "adapter_config.json").exists() or "quantization_config" in config:
        raise UndoorError(
            f"{folder} holds an adapter or quantised weights; expected a whole network in floating "
            "point: merge or dequantise it, and save it again"
        )
    names = config.get("architectures")
    kinds = (KIND, TEXT_KIND)
    found = names if isinstance(names, list) and len(names) == 1 else [""]
    if not any(kind in str(found[0]) for kind in kinds):
        raise UndoorError(
            f"{folder / CONFIG}: architectures is {names!r}; expected one that ends in "
            f"{' or '.join(kinds)}"
        )
    if config.get("problem_type") == "multi_label_classification":
        raise UndoorError(
            f"{folder} predicts several labels per input (problem_type "
            "multi_label_classification); expected one class per input"
        )
    return str(found[0])


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all stored tensors, by the headers of the safetensors."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in _weight_files(folder):
        shapes |= {key: shape for key, (_, shape) in require_safe_header(file).items()}
    if any(".correction." in f".{key}" for key in shapes):
        raise UndoorError(
            f"{folder} holds a repaired model: undoor's corrections, which would do harm without "
            "them; load the original weights and attach the repair with undoor.guard"
        )
    return shapes


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        pickles = [name for name in PICKLES if (folder / name).exists()]
        got = f"only {pickles[0]}, which could run code" if pickles else "none"
        raise UndoorError(
            f"{folder}: expected {WEIGHTS}, got {got}; on a machine you trust, load the model with "
            "Transformers and save it with save_pretrained(folder, safe_serialization=True)"
        )
    parts = read_json(folder / INDEX).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise UndoorError(f"{folder / INDEX} has no weight_map; copy it again")
    for part in sorted({str(part) for part in parts.values()}):
        if not re.fullmatch(r"[\w.-]+\.safetensors", part):
            raise UndoorError(
                f"{folder / INDEX} names the part {part!r}; expected safetensors in this folder "
                "alone, and nothing outside of it is opened"
            )
        if not (folder / part).is_file():
            raise UndoorError(f"{folder} lacks {part}, which its index names; copy it too")
    return [folder / part for part in sorted(set(parts.values()))]


def _model(
    folder: Path, config: Mapping[str, Any], name: str, shapes: Mapping[str, tuple[int, ...]]
) -> nn.Module:
    (kind,) = from_library("transformers", name, extra=EXTRA)
    if not kind.__module__.startswith("transformers.models."):
        raise UndoorError(f"{name} is no architecture of Transformers; see {folder / CONFIG}")
    _require_size(kind, config, shapes, folder)
    try:
        model, seen = kind.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            # Whatever the configuration has: other implementations may be fetched from the hub.
            attn_implementation="eager",
            output_loading_info=True,
        )
    except Exception as error:
        raise UndoorError(
            f"{folder} cannot be opened as {name} ({first_line(error)}); check that config.json "
            "and the weights belong together"
        ) from error
    _require_fit(seen, folder, name)
    return model


def _require_size(
    kind: Any, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], folder: Path
) -> None:
    """Refuse a network far larger than the stored tensors, before memory is taken."""
    require_depth(config, len(shapes), folder / CONFIG)
    stored = sum(torch.Size(shape).numel() for shape in shapes.values())
    try:
        with torch.device("meta"):
            parsed = kind.config_class.from_pretrained(folder, local_files_only=True)
            parsed._attn_implementation = "eager"
            wanted = sum(p.numel() for p in kind(parsed).parameters())
    except Exception as error:
        raise UndoorError(
            f"{folder / CONFIG} fits no {kind.__name__} ({first_line(error)}); copy it again"
        ) from error
    if wanted > 2 * stored:
        raise UndoorError(
            f"{folder / CONFIG} describes a network far larger than the {stored:,} numbers stored; "
            "check that config.json and the weights belong together"
        )


def _require_fit(seen: Mapping[str, Any], folder: Path, name: str) -> None:
    for what in ("missing", "unexpected", "mismatched"):
        keys = sorted(map(str, seen.get(f"{what}_keys") or ()))
        keys = [key for key in keys if not key.endswith(("num_batches_tracked", "position_ids"))]
        if keys:
            more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
            raise UndoorError(
                f"{folder} does not fit {name}: {len(keys)} {what} ({', '.join(keys[:SHOWN])}"
                f"{more}); check that config.json and the weights belong together"
            )


def _preprocessing(folder: Path, config: Any, options: Tables) -> tuple[Preprocessing, bool]:
    inputs = given(options, "input")
    if {"shape", "mean", "std"} <= inputs.keys():
        return _stated(inputs, folder), False
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise UndoorError(
            f"{folder} has no {PROCESSORS[0]}, so that size, mean and std of its inputs are "
            "unknown; copy it too, or give input_shape, mean and std"
        )
    (automatic,) = from_library("transformers", "AutoImageProcessor", extra=EXTRA)
    try:
        processor = automatic.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, backend="pil"
        )
    except Exception as error:
        raise UndoorError(
            f"the preprocessing of {folder} cannot be read ({first_line(error)}); give "
            "input_shape, mean and std"
        ) from error
    return read_preprocessing(
        processor, getattr(config, "num_channels", 3), getattr(config, "image_size", None)
    )


def _stated(inputs: Mapping[str, Any], folder: Path) -> Preprocessing:
    from undoor.load.spec import InputTable, checked
    from undoor.resizing import Resizing
    from undoor.spaces.images import IMAGES

    table = checked(InputTable, "input", inputs, folder)
    if not IMAGES.applies_to(table.shape):
        raise UndoorError(f"expected an input_shape such as (3, 32, 32), got {table.shape}")
    channels, height, width = table.shape
    return Preprocessing(
        (channels, height, width), table.mean, table.std, Resizing((height, width))
    )


def _names(id2label: Mapping[Any, Any], folder: Path) -> tuple[str, ...]:
    try:
        return tuple(str(id2label[number]) for number in range(len(id2label)))
    except KeyError as error:
        raise UndoorError(
            f"{folder / CONFIG}: id2label has no class {error}; expected 0 to {len(id2label) - 1}"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings and progress bars of Transformers; refusals name the fault."""
    (logging,) = from_library("transformers.utils", "logging", extra=EXTRA)
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
