"""The clean set, and the one place where it is checked against a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set.class_names import LEFT_OUT, UNNAMED, Classes
from undoor.clean_set.fit import (
    fit_answers,
    fit_images,
    fit_labels,
    require_readable,
    without_images,
)
from undoor.clean_set.folder import index_folder
from undoor.clean_set.index import Selection, gather
from undoor.clean_set.iterable import read_iterable
from undoor.clean_set.npz import index_npz
from undoor.clean_set.parquet import index_parquet
from undoor.clean_set.reading import Reading
from undoor.clean_set.source import Source, channels_first, class_numbers
from undoor.device import on, on_cpu, shuffled
from undoor.errors import UndoorError
from undoor.kinds import checked
from undoor.resizing import Resizing
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.tasks.task import Task


@dataclass(frozen=True, eq=False, repr=False)
class CleanSet:
    """Labelled samples that nobody has tampered with.

    Attributes
    ----------
    images
        Float32 [N, C, H, W]; from 8-bit sources, in [0, 1].
    labels
        Int64 [N], numbers of classes; of a regression float32 [N], of a multi-label model int64
        [N, L] of 0 and 1.
    class_names
        One name per class where the source has names.
    from_bytes
        True where images were 8-bit and are not yet mapped to a model's bounds; False for floats,
        which are in the model's own units.
    reading
        What was lost or changed on the way, and what was assumed.
    by_model
        Whether the labels are the predictions of the model itself
        (`undoor.clean_set.by_model`).

    Examples
    --------
    >>> clean = CleanSet.from_arrays(np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 0, 1])
    >>> clean.images.shape, len(clean.balanced(1, seed=0))
    (torch.Size([4, 3, 8, 8]), 2)
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...] | None = None
    from_bytes: bool = False
    reading: Reading = field(default_factory=Reading)
    by_model: bool = False

    def __post_init__(self) -> None:
        """Refuse what would fail only where it is used.

        Raises
        ------
        UndoorError
            Images or labels are no tensors.
        """
        for name in ("images", "labels"):
            if not isinstance(value := getattr(self, name), Tensor):
                raise UndoorError(
                    f"expected {name} as a torch.Tensor, got {type(value).__name__}; give arrays "
                    "to undoor.CleanSet.from_arrays(images, labels)"
                )

    @classmethod
    @checked
    def from_folder(
        cls,
        path: str | Path,
        *,
        size: tuple[int, int] | Resizing | None = None,
        class_names: Sequence[str] | None = None,
        per_class: int | None = None,
        seed: int = 0,
    ) -> CleanSet:
        """Read a folder with one sub-folder per class.

        Parameters
        ----------
        path
            The folder.
        size
            (height, width), or a `Resizing`, that images are resized to; None keeps their size.
        class_names
            The model's: they number the folders of the same names.
        per_class, seed
            At most `per_class` images per class are drawn with `seed`; no others are opened.

        Raises
        ------
        UndoorError
            There is no class folder, or nothing that can be read.
        """
        chosen = Selection(size, per_class, seed, class_names)
        return cls.of(gather(index_folder(Path(path)), chosen))

    @classmethod
    @checked
    def from_npz(cls, path: str | Path, *, split: str | None = None) -> CleanSet:
        """Read a NumPy archive with arrays `x` and `y`, or `x_SPLIT` and `y_SPLIT`."""
        return cls.of(gather(index_npz(Path(path), split), Selection()))

    @classmethod
    @checked
    def from_parquet(
        cls,
        path: str | Path,
        *,
        split: str | None = None,
        size: tuple[int, int] | Resizing | None = None,
        class_names: Sequence[str] | None = None,
        per_class: int | None = None,
        seed: int = 0,
    ) -> CleanSet:
        """Read a Parquet file with columns `image` (encoded bytes) and `label` (number or name).

        `split` chooses the rows by a column of that name; see `from_folder` for the others.
        """
        index = index_parquet([Path(path)], str(path), split)
        return cls.of(gather(index, Selection(size, per_class, seed, class_names)))

    @classmethod
    @checked
    def from_iterable(
        cls,
        iterable: Iterable[Any],
        *,
        size: tuple[int, int] | Resizing | None = None,
        class_names: Sequence[str] | None = None,
        per_class: int | None = None,
        seed: int = 0,
    ) -> CleanSet:
        """Read pairs (image, label), or dictionaries with both, in one pass over an iterable.

        A torch Dataset or DataLoader (batches are taken apart), webdataset, a generator.

        Images are Pillow images or the bytes of one (resized to `size`), or tensors or arrays of
        one image, uint8 or float as in `from_arrays`; labels are class numbers or names. With
        `per_class`, at most that many images per class are drawn, each with the same probability.

        Raises
        ------
        UndoorError
            An item is no sample, nothing can be read, names do not fit, or without `per_class` the
            images take more than 4 GiB as float32.

        Examples
        --------
        >>> pairs = ((np.full((8, 8, 3), i, np.uint8), i % 2) for i in range(100))
        >>> CleanSet.from_iterable(pairs, per_class=5).labels.bincount()
        tensor([5, 5])
        """
        source = read_iterable(
            iterable, size=size, per_class=per_class, seed=seed, class_names=class_names
        )
        return cls.of(source)

    @classmethod
    def from_arrays(
        cls, images: Tensor | NDArray[Any], labels: Tensor | NDArray[Any] | Sequence[int]
    ) -> CleanSet:
        """Return images [N, H, W, C], [N, C, H, W] or [N, H, W], uint8 or float, and labels [N]."""
        x = channels_first(as_array(images), "the arrays")
        return cls.of(Source(x, class_numbers(as_array(labels), len(x), "the arrays")))

    @classmethod
    def of(cls, source: Source) -> CleanSet:
        """Return the samples of a source that was read."""
        return cls(
            to_float(source.images),
            torch.from_numpy(source.labels),
            source.class_names,
            source.images.dtype == np.uint8,
            source.reading,
        )

    @property
    def skipped(self) -> tuple[str, ...]:
        """What could not be read, "path: reason"."""
        return self.reading.skipped

    def __repr__(self) -> str:
        shape, classes = tuple(self.images.shape[1:]), len(self.labels.unique(dim=0))
        return f"CleanSet({len(self)} samples of shape {shape}, {classes} classes)"

    def __len__(self) -> int:
        return len(self.labels)

    def on(self, device: torch.device) -> CleanSet:
        """Return the set with images and labels on a device; what users hold is on the CPU."""
        return replace(self, images=on(device, self.images), labels=on(device, self.labels))

    def balanced(self, per_class: int | None, seed: int, task: Task = SINGLE_LABEL) -> CleanSet:
        """Draw at most `per_class` samples per class (None: all), shuffled with `seed`.

        Of labels that are no numbers of classes, per group of labels that the task makes.
        """
        if per_class is not None and per_class < 1:
            raise UndoorError(f"per_class must be at least 1, or None for all, got {per_class}")
        order = shuffled(len(self), torch.Generator().manual_seed(seed), self.labels.device)
        labels = task.groups(self.labels)[order]
        keep = torch.zeros_like(order, dtype=torch.bool)
        for number in labels.unique():
            keep[(labels == number).nonzero()[:, 0][:per_class]] = True
        chosen = order[keep]
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])

    def for_classifier(
        self,
        classifier: Classifier,
        *,
        require_several_classes: bool = True,
        classes: Classes | None = None,
    ) -> CleanSet:
        """Return the set as the classifier takes it: checked, and within its bounds.

        Parameters
        ----------
        classifier
            The model.
        require_several_classes
            Refuse a set of images of one class alone. Classes without images are noted.
        classes
            How the set calls the model's classes: names in the order of the model's numbers, or for
            each name (or number) of the set a class of the model, None leaving it out.

        Raises
        ------
        UndoorError
            The set is empty or of one class, has labels beyond the model's classes or names that
            are not the model's, lost too many images while it was read, or its images differ from
            the model's inputs in shape, colour or range of values.
        """
        require_readable(self.reading, classifier.space.noun.many)
        if not classifier.task.numbered:
            labels = fit_answers(self.labels, self.class_names, classifier, classes)
            return self._fitted(self.images, labels, classifier, ())
        labels, notes = fit_labels(self.labels, self.class_names, classifier, classes)
        if any(note.startswith(UNNAMED) for note in self.reading.notes):
            notes = ()  # Reported when the set was read for this model.
        known = labels != LEFT_OUT
        labels, images = labels[known], self.images if known.all() else self.images[known]
        if require_several_classes:
            lacking = without_images(labels, classifier)
            notes = (*notes, *(note for note in lacking if note not in self.reading.notes))
        return self._fitted(images, labels, classifier, notes)

    def _fitted(
        self, images: Tensor, labels: Tensor, classifier: Classifier, notes: tuple[str, ...]
    ) -> CleanSet:
        images, changed = fit_images(images, classifier, from_bytes=self.from_bytes)
        return replace(
            self,
            images=images,
            labels=labels,
            class_names=classifier.class_names if classifier.task.numbered else None,
            from_bytes=False,
            reading=replace(
                self.reading,
                notes=(*self.reading.notes, *notes),
                changed={**self.reading.changed, **({changed: len(images)} if changed else {})},
            ),
        )


def to_float(images: NDArray[Any]) -> Tensor:
    """Return images as float32; 8-bit ones in [0, 1]."""
    tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
    return tensor.div_(255) if images.dtype == np.uint8 else tensor


def as_array(values: Tensor | NDArray[Any] | Sequence[int]) -> NDArray[Any]:
    """Return values as a NumPy array in memory of the CPU, bfloat16 as float32."""
    if isinstance(values, Tensor):
        values = on_cpu(values)
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)
