"""The index of a source, known before any image is decoded, and the selection of images from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from undoor.clean_set.class_names import LEFT_OUT, Classes, Found, is_named, match, number
from undoor.clean_set.images import Decoded, Size, decode, decode_file, stack
from undoor.clean_set.reading import Log, UnreadableError
from undoor.clean_set.source import Source, channels_first
from undoor.distinct_names import distinct_names
from undoor.errors import UndoorError

Label = str | int | None
# An encoded image, the file of one, pixels [H, W, C], or why there is none.
Raw = bytes | Path | NDArray[Any] | UnreadableError
# Images end as float32.
BYTES_PER_VALUE = 4
MAX_MEMORY = 4 * 2**30


@dataclass(frozen=True, eq=False)
class Index:
    """The samples of a source, in a fixed order.

    Attributes
    ----------
    source
        Its name in messages.
    labels
        One per sample: a name, a number, or None.
    name
        Returns the name of a sample, for messages.
    read
        Yields the images of some samples, given in ascending order, one at a time.
    declared
        Class names in the order of the labels' numbers; None where the source has none.
    strays
        Files that are no images of the source, "path: reason".
    notes
        What was assumed, in words.
    doubt
        Why the names may not be those of classes, as a message; used where they are not the
        model's.
    """

    source: str
    labels: Sequence[Label]
    name: Callable[[int], str]
    read: Callable[[Sequence[int]], Iterator[tuple[int, Raw]]]
    declared: tuple[str, ...] | None = None
    strays: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    doubt: str | None = None


@dataclass(frozen=True)
class Selection:
    """Which samples are wanted, and in what size.

    Attributes
    ----------
    size
        (height, width), or a `Resizing`, that images are resized to; None keeps their size.
    per_class
        At most this many images per class are drawn; None for all.
    seed
        Of the draw.
    class_names
        The model's class names; None where there is no model.
    classes
        The data's names for the model's classes, see `class_names.number`.
    max_memory
        Bytes that the images may take as float32; fewer images per class are drawn where all would
        take more.
    channels
        Of the model's input; 0 where they are not known.
    decoder
        Decodes a file as [H, W, C] where it is none of an image.
    """

    size: Size = None
    per_class: int | None = None
    seed: int = 0
    class_names: Sequence[str] | None = None
    classes: Classes | None = None
    max_memory: int = MAX_MEMORY
    channels: int = 0
    decoder: Callable[[Path], Decoded] | None = None

    def __post_init__(self) -> None:
        if self.per_class is not None and self.per_class < 1:
            raise UndoorError(
                f"per_class must be at least 1, or None for all, got {self.per_class}"
            )

    def decoded(self, raw: Raw) -> Decoded:
        """Return one sample [H, W, C], in the size that is wanted."""
        if self.decoder is not None and isinstance(raw, Path):
            return self.decoder(raw)
        return pixels_of(raw, self.size)


def gather(index: Index, chosen: Selection) -> Source:
    """Decode the samples of a source that are wanted, and no others.

    Where an image cannot be used, another of its class takes its place, if `per_class` left any.
    All samples are returned in the order of the source, drawn ones in the order of the draw.

    Parameters
    ----------
    index
        Of the source.
    chosen
        Which samples are wanted.

    Raises
    ------
    UndoorError
        Names do not fit the model, no image can be read, or even one per class is too large.
    """
    log = Log(skipped=list(index.strays), notes=list(index.notes))
    index = _with_distinct_names(index, chosen)
    texts = _texts(index)
    _require_classes(index, texts, chosen)
    found = Found(_distinct(texts), index.source, index.declared)
    numbering = number(found, chosen.class_names, chosen.classes)
    log.notes += numbering.notes
    numbers = [LEFT_OUT if text is None else numbering.numbers[text] for text in texts]
    for row in (row for row, text in enumerate(texts) if text is None):
        log.lose(index.name(row), UnreadableError("no label", "no label"))
    per_class = _fitting(index, numbers, chosen, log)
    order = _order(len(numbers), per_class, chosen.seed)
    decoded = _decode(index, numbers, order, per_class, chosen, log)
    if not decoded:
        raise nothing_readable(index.source, log, images=chosen.decoder is None)
    rows = [row for row in order if row in decoded]
    pixels = stack([decoded.pop(row) for row in rows], index.source)
    labels = np.array([numbers[row] for row in rows], dtype=np.int64)
    return Source(channels_first(pixels, index.source), labels, numbering.names, log.reading())


def nothing_readable(source: str, log: Log, *, images: bool = True) -> UndoorError:
    """Return the error for a source of which no file could be read.

    The first one that was left out says what a decoder of other files than images expected.
    """
    count = len(log.skipped)
    reason = f" ({count} left out, the first: {log.skipped[0]})" if log.skipped else ""
    if not images:
        return UndoorError(f"{source} holds no readable file{reason}")
    return UndoorError(f"{source} holds no readable image{reason}; expected PNG, JPEG or WebP")


def pixels_of(raw: Raw, size: Size) -> Decoded:
    """Return the pixels [H, W, C] of one sample; arrays as they are, whatever their size."""
    if isinstance(raw, UnreadableError):
        raise raw
    if isinstance(raw, np.ndarray):
        return Decoded(raw)
    return decode_file(raw, size) if isinstance(raw, Path) else decode(raw, size)


def _texts(index: Index) -> list[str | None]:
    """Return the label of each sample as the name of a class; None where it has none.

    Numbers below 0 and beyond those declared stand for no label.
    """
    declared = index.declared

    def text(label: Label) -> str | None:
        if isinstance(label, str) or label is None:
            return label
        if label < 0 or (declared is not None and label >= len(declared)):
            return None
        return str(label) if declared is None else declared[label]

    return [text(label) for label in index.labels]


def _with_distinct_names(index: Index, chosen: Selection) -> Index:
    """Return the index with distinct class names, or numbers alone where declared names repeat."""
    declared = index.declared or ()
    if len(set(declared)) == len(declared):
        return index
    model_names = None if chosen.class_names is None else tuple(chosen.class_names)
    known = (None, declared, distinct_names(declared))
    if chosen.classes is None and (model_names in known or not is_named(model_names or ())):
        return replace(index, declared=None)
    twice = next(name for name, count in Counter(declared).items() if count > 1)
    raise UndoorError(
        f"{index.source} has several classes named {twice!r}, which cannot be matched by name; "
        "give each class a name of its own, or a model whose class names are the same"
    )


def _require_classes(index: Index, texts: Sequence[str | None], chosen: Selection) -> None:
    """Refuse names that are hardly those of classes, unless the model or the user has them."""
    if index.doubt is None or chosen.classes is not None:
        return
    found = _distinct(texts)
    if chosen.class_names is None or len(match(found, tuple(chosen.class_names))) < len(found):
        raise UndoorError(index.doubt)


def _distinct(texts: Sequence[str | None]) -> list[str]:
    return sorted({text for text in texts if text is not None})


def _order(count: int, per_class: int | None, seed: int) -> list[int]:
    if per_class is None:
        return list(range(count))
    # As CleanSet.balanced draws.
    drawn = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return drawn.tolist()


def _fitting(index: Index, numbers: Sequence[int], chosen: Selection, log: Log) -> int | None:
    """Return how many images per class may be drawn so that all fit into memory."""
    wanted = [row for row, place in enumerate(numbers) if place != LEFT_OUT]
    counts = np.unique([numbers[row] for row in wanted], return_counts=True)[1]
    size = _size_of_one(index, wanted, chosen)
    requested = chosen.per_class

    def needed(per_class: int) -> int:
        return int(np.minimum(counts, per_class).sum()) * size

    if not len(counts) or needed(requested or int(counts.max())) <= chosen.max_memory:
        return requested
    fits = chosen.max_memory // (size * len(counts))
    if fits < 1:
        raise UndoorError(
            f"one image of each of the {len(counts)} classes of {index.source} takes "
            f"{needed(1) / 2**20:,.0f} MiB, more than the {chosen.max_memory / 2**20:,.0f} MiB "
            "that images may take; use fewer classes"
        )
    log.notes.append(
        f"{index.source} would take {needed(requested or int(counts.max())) / 2**20:,.0f} MiB; "
        f"{fits} images per class are drawn, which take "
        f"{needed(fits) / 2**20:,.0f} MiB (--per-class draws fewer)"
    )
    return fits


def _size_of_one(index: Index, rows: Sequence[int], chosen: Selection) -> int:
    """Return the bytes that the first readable image takes as float32."""
    for _, raw in index.read(rows):
        try:
            height, width, channels = chosen.decoded(raw).pixels.shape
            return int(height * width * max(channels, chosen.channels)) * BYTES_PER_VALUE
        except UnreadableError:
            continue
    return 0


def _decode(
    index: Index,
    numbers: Sequence[int],
    order: Sequence[int],
    per_class: int | None,
    chosen: Selection,
    log: Log,
) -> dict[int, NDArray[Any]]:
    """Return pixels by sample, decoded in rounds until each class has enough or has no more."""
    waiting: dict[int, list[int]] = {}
    for row in reversed(order):
        if numbers[row] != LEFT_OUT:
            waiting.setdefault(numbers[row], []).append(row)
    missing = {place: per_class or len(rows) for place, rows in waiting.items()}
    calls = _texts(index)
    pixels: dict[int, NDArray[Any]] = {}
    while any(missing[place] and rows for place, rows in waiting.items()):
        batch: list[int] = []
        for place, rows in waiting.items():
            batch += [rows.pop() for _ in range(min(missing[place], len(rows)))]
        for row, raw in index.read(sorted(batch)):
            of = str(calls[row])
            log.tried(of)
            try:
                decoded = chosen.decoded(raw)
            except UnreadableError as error:
                log.lose(index.name(row), error, of)
                continue
            pixels[row] = decoded.pixels
            log.changed.update(decoded.changed)
            missing[numbers[row]] -= 1
    return pixels
