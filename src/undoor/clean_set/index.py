"""What a source holds, known before one image of it is decoded; and the few that are wanted."""

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
# Pixels are kept as float32 in the end.
BYTES_A_VALUE = 4
MAX_MEMORY = 4 * 2**30


@dataclass(frozen=True, eq=False)
class Index:
    """The samples of a source, in a fixed order.

    Attributes
    ----------
    source
        How it is called in messages.
    labels
        One a sample, a name or a number or None.
    name
        What a sample is called.
    read
        The images of some samples, given in ascending order, one at a time.
    declared
        Class names in the order of the labels' numbers.
    strays
        Files that are no images of it, "path: reason".
    notes
        What was assumed, in words.
    doubt
        Why the names may be none of classes (a message), where they are not the model's.
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
    """Which samples are wanted, and how they are to look.

    Attributes
    ----------
    size
        What images are resized to.
    per_class
        At most so many of each class, drawn with `seed`; None for all.
    own, classes
        See `class_names.number`.
    most_memory
        Bytes that the images may take as float32; fewer of each class are drawn where all would
        take more.
    channels
        Of the model's input; 0 where that is not known.
    """

    size: Size = None
    per_class: int | None = None
    seed: int = 0
    own: Sequence[str] | None = None
    classes: Classes | None = None
    most_memory: int = MAX_MEMORY
    channels: int = 0

    def __post_init__(self) -> None:
        if self.per_class is not None and self.per_class < 1:
            raise UndoorError(f"per_class must be 1 or more, or None for all, got {self.per_class}")


def gather(index: Index, chosen: Selection) -> Source:
    """Decode what is wanted of a source, and nothing else; no more than that is ever held.

    Where an image cannot be used, another of its class takes its place, if `per_class` left any.
    All samples come in the order of the source, a part of them in the order drawn.

    Raises
    ------
    UndoorError
        Names do not fit the model, no image can be read, or even one a class is too much.
    """
    log = Log(skipped=list(index.strays), notes=list(index.notes))
    index = _told_apart(index, chosen)
    texts = _texts(index)
    _require_classes(index, texts, chosen)
    found = Found(_distinct(texts), index.source, index.declared)
    numbering = number(found, chosen.own, chosen.classes)
    log.notes += numbering.notes
    numbers = [LEFT_OUT if text is None else numbering.numbers[text] for text in texts]
    for row in (row for row, text in enumerate(texts) if text is None):
        log.lose(index.name(row), UnreadableError("no label", "no label"))
    per_class = _fitting(index, numbers, chosen, log)
    order = _order(len(numbers), per_class, chosen.seed)
    kept = _decode(index, numbers, order, per_class, chosen.size, log)
    if not kept:
        raise nothing_readable(index.source, log)
    rows = [row for row in order if row in kept]
    pixels = stack([kept.pop(row) for row in rows], index.source)
    labels = np.array([numbers[row] for row in rows], dtype=np.int64)
    return Source(channels_first(pixels, index.source), labels, numbering.names, log.reading())


def nothing_readable(source: str, log: Log) -> UndoorError:
    count = len(log.skipped)
    reason = f" ({count} left out, the first: {log.skipped[0]})" if log.skipped else ""
    return UndoorError(f"{source} holds no readable image{reason}; expected PNG, JPEG or WebP")


def pixels_of(raw: Raw, size: Size) -> Decoded:
    """Pixels [H, W, C] of one sample; arrays stay as they are, whatever the size."""
    if isinstance(raw, UnreadableError):
        raise raw
    if isinstance(raw, np.ndarray):
        return Decoded(raw)
    return decode_file(raw, size) if isinstance(raw, Path) else decode(raw, size)


def _texts(index: Index) -> list[str | None]:
    """Return the label of each sample as the name of a class.

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


def _told_apart(index: Index, chosen: Selection) -> Index:
    """Return the same; where several classes declared have one name, by their numbers alone."""
    declared = index.declared or ()
    if len(set(declared)) == len(declared):
        return index
    own = None if chosen.own is None else tuple(chosen.own)
    known = (None, declared, distinct_names(declared))
    if chosen.classes is None and (own in known or not is_named(own or ())):
        return replace(index, declared=None)
    twice = next(name for name, count in Counter(declared).items() if count > 1)
    raise UndoorError(
        f"{index.source} calls several classes {twice!r}, so they cannot be matched by name; name "
        "them apart, or give a model whose class names are the same"
    )


def _require_classes(index: Index, texts: Sequence[str | None], chosen: Selection) -> None:
    """Refuse names that are hardly those of classes, unless the model or the user calls them so."""
    if index.doubt is None or chosen.classes is not None:
        return
    found = _distinct(texts)
    if chosen.own is None or len(match(found, tuple(chosen.own))) < len(found):
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
    """Return how many of each class there may be so that all fit into memory."""
    wanted = [row for row, place in enumerate(numbers) if place != LEFT_OUT]
    counts = np.unique([numbers[row] for row in wanted], return_counts=True)[1]
    size = _size_of_one(index, wanted, chosen)
    asked = chosen.per_class

    def needed(per_class: int) -> int:
        return int(np.minimum(counts, per_class).sum()) * size

    if not len(counts) or needed(asked or int(counts.max())) <= chosen.most_memory:
        return asked
    fits = chosen.most_memory // (size * len(counts))
    if fits < 1:
        raise UndoorError(
            f"one image of each of the {len(counts)} classes of {index.source} takes "
            f"{needed(1) / 2**20:,.0f} MiB, more than the {chosen.most_memory / 2**20:,.0f} MiB "
            "that images may take; use fewer classes"
        )
    log.notes.append(
        f"{index.source} would take {needed(asked or int(counts.max())) / 2**20:,.0f} MiB; "
        f"{fits} images of each class are drawn, which take "
        f"{needed(fits) / 2**20:,.0f} MiB (--per-class draws fewer)"
    )
    return fits


def _size_of_one(index: Index, rows: Sequence[int], chosen: Selection) -> int:
    """Return bytes that the first readable image takes in the end."""
    for _, raw in index.read(rows):
        try:
            height, width, channels = pixels_of(raw, chosen.size).pixels.shape
            return int(height * width * max(channels, chosen.channels)) * BYTES_A_VALUE
        except UnreadableError:
            continue
    return 0


def _decode(
    index: Index,
    numbers: Sequence[int],
    order: Sequence[int],
    per_class: int | None,
    size: Size,
    log: Log,
) -> dict[int, NDArray[Any]]:
    """Pixels by sample: round after round, until each class has enough or has no more."""
    waiting: dict[int, list[int]] = {}
    for row in reversed(order):
        if numbers[row] != LEFT_OUT:
            waiting.setdefault(numbers[row], []).append(row)
    missing = {place: per_class or len(rows) for place, rows in waiting.items()}
    calls = _texts(index)
    kept: dict[int, NDArray[Any]] = {}
    while any(missing[place] and rows for place, rows in waiting.items()):
        batch: list[int] = []
        for place, rows in waiting.items():
            batch += [rows.pop() for _ in range(min(missing[place], len(rows)))]
        for row, raw in index.read(sorted(batch)):
            of = str(calls[row])
            log.tried(of)
            try:
                decoded = pixels_of(raw, size)
            except UnreadableError as error:
                log.lose(index.name(row), error, of)
                continue
            kept[row] = decoded.pixels
            log.changed.update(decoded.changed)
            missing[numbers[row]] -= 1
    return kept
