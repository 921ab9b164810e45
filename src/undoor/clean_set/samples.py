"""Samples one by one, from whatever source, as one set."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from undoor.clean_set.images import Bytes, UnreadableError, decode, pixels_of, stack
from undoor.clean_set.source import Source, channels_first, class_numbers, number_names
from undoor.errors import UndoorError
from undoor.resizing import Resizing

Size = tuple[int, int] | Resizing | None


class Sample(NamedTuple):
    """image : encoded bytes, a file, a Pillow image, or an array or tensor of 8 bits, [H, W],
    [H, W, C] or [C, H, W]. label : the number of its class or its name. An `UnreadableError`
    in the place of either says why the sample cannot be used."""

    name: str
    image: object
    label: object


def gather(
    samples: Iterable[Sample],
    source: str,
    *,
    size: Size,
    class_names: Sequence[str] | None,
    names_of_numbers: Sequence[str] | None = None,
) -> Source:
    """All samples that can be read, one after the other; the others are named in `skipped`.

    Only the pixels that the model takes are kept of each, so that no more of the source is in
    memory than one sample.

    class_names : the model's, which number samples of these names. names_of_numbers : what the
    source calls its own numbers.

    Raises
    ------
    UndoorError : nothing can be read, or a name is no class of the model.
    """
    images: list[Bytes] = []
    labels: list[Any] = []
    skipped: list[str] = []
    for sample in samples:
        try:
            label = _label(sample.label)
            images.append(_image(sample, size))
            labels.append(label)
        except UnreadableError as error:
            skipped.append(f"{sample.name}: {error}")
    if not images:
        reason = f" ({len(skipped)} skipped, the first: {skipped[0]})" if skipped else ""
        raise UndoorError(f"{source} holds no readable image{reason}; expected PNG, JPEG or WebP")
    names = tuple(names_of_numbers) if names_of_numbers else None
    if any(isinstance(label, str) for label in labels):
        labels = [str(label) for label in labels]
        known, names = number_names(sorted(set(labels)), class_names, source)
        labels = [known[label] for label in labels]
    pixels = channels_first(stack(images, source), source)
    return Source(
        pixels, class_numbers(np.array(labels), len(images), source), names, tuple(skipped)
    )


def _label(label: object) -> int | str:
    if isinstance(label, UnreadableError):
        raise label
    if isinstance(label, torch.Tensor | np.ndarray) and label.size in (1, torch.Size([])):
        label = label.item()
    if isinstance(label, torch.Tensor) and label.numel() == 1:
        label = label.item()
    if isinstance(label, str):
        return label
    if isinstance(label, numbers.Integral) and not isinstance(label, bool):
        return int(label)
    raise UnreadableError("no label" if label is None else f"its label is {label!r:.80}")


def _image(sample: Sample, size: Size) -> Bytes:
    image = sample.image
    if isinstance(image, UnreadableError):
        raise image
    if isinstance(image, bytes | Path):
        return decode(image, sample.name, size)
    if isinstance(image, Image.Image):
        return pixels_of(image, sample.name, size)
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else image
    if not isinstance(array, np.ndarray):
        raise UnreadableError(f"its image is a {type(image).__name__}")
    if array.dtype != np.uint8:
        raise UndoorError(
            f"{sample.name} is {array.dtype}, whose range cannot be known one by one; expected "
            "uint8, or all of them as arrays (CleanSet.from_arrays)"
        )
    array = channels_first(array[None], sample.name)[0].transpose(1, 2, 0)
    picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    return pixels_of(picture, sample.name, size)
