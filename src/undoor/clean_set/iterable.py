"""Clean samples from iterables of images and labels: webdataset, torch, generators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from undoor.clean_set.batches import plain, singly
from undoor.clean_set.class_names import Found, number
from undoor.clean_set.images import Size, decode, stack
from undoor.clean_set.index import BYTES_PER_VALUE, MAX_MEMORY, nothing_readable
from undoor.clean_set.reading import Log, UnreadableError
from undoor.clean_set.source import CHANNELS, Source, channels_first
from undoor.errors import UndoorError

SOURCE = "the iterable"
IMAGE_KEYS = ("image", "img", "jpg", "jpeg", "png", "webp", "pixel_values")
LABEL_KEYS = ("label", "labels", "cls", "class", "target")


class _Sample(NamedTuple):
    """One sample of a reservoir: its place in the stream, its pixels, what was changed."""

    place: int
    pixels: NDArray[Any]
    changed: tuple[str, ...]


@dataclass
class _Reservoir:
    """A uniform draw from the samples of a class seen so far (algorithm R, Vitter 1985)."""

    samples: list[_Sample] = field(default_factory=list)
    seen: int = 0

    def take(self, sample: _Sample, limit: int | None, generator: np.random.Generator) -> bool:
        """Draw a sample or let it go; return whether the reservoir has grown."""
        self.seen += 1
        if limit is None or len(self.samples) < limit:
            self.samples.append(sample)
            return True
        slot = int(generator.integers(self.seen))
        if slot < limit:
            self.samples[slot] = sample
        return False


def read_iterable(
    iterable: Iterable[Any],
    *,
    size: Size,
    per_class: int | None,
    seed: int,
    class_names: Sequence[str] | None,
    max_memory: int = MAX_MEMORY,
) -> Source:
    """Read an iterable in one pass, with a reservoir of `per_class` samples for each class.

    Parameters
    ----------
    iterable
        Of pairs (image, label), dictionaries with both, or batches of them.
    size
        (height, width), or a `Resizing`, that encoded images are resized to.
    per_class, seed
        At most `per_class` samples per class are drawn with `seed`; None for all.
    class_names
        The model's class names; None where there is no model.
    max_memory
        Bytes that the images may take as float32.

    Raises
    ------
    UndoorError
        An item is no sample, nothing can be read, names do not fit, or the images would take more
        than `max_memory` bytes.
    """
    if per_class is not None and per_class < 1:
        raise UndoorError(f"per_class must be at least 1, or None for all, got {per_class}")
    log = Log()
    generator = np.random.default_rng(seed)
    reservoirs: dict[str, _Reservoir] = {}
    memory = 0
    for place, (image, label) in enumerate(_singly(iterable)):
        name = f"{SOURCE}[{place}]"
        text = _text(label, name)
        if text is None:
            log.lose(name, UnreadableError("no label", "no label"))
            continue
        log.tried(text)
        try:
            sample = _Sample(place, *_pixels(image, size, name))
        except UnreadableError as error:
            log.lose(name, error, text)
            continue
        if reservoirs.setdefault(text, _Reservoir()).take(sample, per_class, generator):
            memory += sample.pixels.size * BYTES_PER_VALUE
            _require_memory(memory, max_memory)
    return _source({text: found.samples for text, found in reservoirs.items()}, class_names, log)


def _source(drawn: dict[str, list[_Sample]], class_names: Sequence[str] | None, log: Log) -> Source:
    numbering = number(Found(sorted(drawn), SOURCE), class_names)
    log.notes += numbering.notes
    chosen = sorted(
        (
            (sample, numbering.numbers[text])
            for text, samples in drawn.items()
            for sample in samples
        ),
        key=lambda pair: pair[0].place,
    )
    if not chosen:
        raise nothing_readable(SOURCE, log)
    for sample, _ in chosen:
        log.changed.update(sample.changed)
    pixels = stack([sample.pixels for sample, _ in chosen], SOURCE)
    labels = np.array([label for _, label in chosen], dtype=np.int64)
    return Source(channels_first(pixels, SOURCE), labels, numbering.names, log.reading())


def _singly(iterable: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield samples one by one, taking batches, as a DataLoader makes them, apart."""
    for item in iterable:
        yield from singly(*_pair(item), SOURCE)


def _pair(item: Any) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        image = next((item[key] for key in IMAGE_KEYS if key in item), None)
        label = next((item[key] for key in LABEL_KEYS if key in item), None)
        if image is not None:
            return image, label
    if isinstance(item, list | tuple) and len(item) == 2:
        return item[0], item[1]
    got = f"a {type(item).__name__}"
    got += f" with {', '.join(map(str, item))}" if isinstance(item, Mapping) else ""
    raise UndoorError(
        f"{SOURCE} gave {got}; expected pairs (image, label), or dictionaries with an image "
        f"({', '.join(IMAGE_KEYS)}) and a label ({', '.join(LABEL_KEYS)})"
    )


def _text(label: Any, name: str) -> str | None:
    """Return a label as the name of a class; None where there is none."""
    label = plain(label)
    if isinstance(label, np.ndarray | np.generic) and np.ndim(label) == 0:
        label = label.item()
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace").strip()
    if label is None or (isinstance(label, int) and label < 0):
        return None
    if isinstance(label, str) and not label:
        return None
    if isinstance(label, bool) or not isinstance(label, int | str):
        shown = " ".join(str(label).split())[:60]
        raise UndoorError(
            f"the label of {name} is {shown!r} ({type(label).__name__}); expected a class number "
            "or a class name"
        )
    return str(label)


def _pixels(image: Any, size: Size, name: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return a copy of the pixels [H, W, C]; arrays must have the right size already."""
    if isinstance(image, bytes | Image.Image):
        pixels, changed = decode(image, size)
        return pixels, changed
    if isinstance(image, Tensor) and image.ndim == 3 and image.shape[0] in CHANNELS:
        # Tensors have their channels first, whatever the other sides are.
        image = image.permute(1, 2, 0)
    image = plain(image)
    if not isinstance(image, np.ndarray):
        raise UndoorError(
            f"the image of {name} is a {type(image).__name__}; expected a Pillow image, the bytes "
            "of one, a tensor or an array"
        )
    pixels = channels_first(image[None], name)[0].transpose(1, 2, 0)
    # A view would keep the whole batch alive.
    return pixels.astype(np.uint8 if pixels.dtype == np.uint8 else np.float32), ()


def _require_memory(memory: int, limit: int) -> None:
    if memory > limit:
        raise UndoorError(
            f"the images of {SOURCE} take more than {limit / 2**20:,.0f} MiB; give per_class=N to "
            "draw N images per class"
        )
