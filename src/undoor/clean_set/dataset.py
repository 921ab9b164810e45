"""The clean samples themselves, and the one place where they are checked against a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set.arrow import read_arrow
from undoor.clean_set.fit import fit_images, fit_labels, require_classes
from undoor.clean_set.folder import read_folder
from undoor.clean_set.npz import read_npz
from undoor.clean_set.parquet import read_parquet
from undoor.clean_set.samples import Sample, gather
from undoor.clean_set.shards import read_shards
from undoor.clean_set.source import Source, channels_first, class_numbers
from undoor.errors import UndoorError
from undoor.resizing import Resizing


@dataclass(frozen=True, eq=False)
class CleanSet:
    """Labelled samples that nobody has tampered with.

    Attributes
    ----------
    images : float32 [N, C, H, W]; 8-bit sources lie in [0, 1].
    labels : int64 [N].
    class_names : one name a class where the source has names.
    from_bytes : True where images were 8-bit and are not yet mapped to a model's bounds; False
        for floats, which are in the model's own units.
    skipped : what could not be read, "path: reason".

    >>> clean = CleanSet.from_arrays(np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 0, 1])
    >>> clean.images.shape, len(clean.balanced(1, seed=0))
    (torch.Size([4, 3, 8, 8]), 2)
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...] | None = None
    from_bytes: bool = False
    skipped: tuple[str, ...] = ()

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        *,
        size: tuple[int, int] | Resizing | None = None,
        class_names: Sequence[str] | None = None,
    ) -> CleanSet:
        """One sub-folder a class; images resized to `size`, (height, width) or a `Resizing`,
        where it is given.

        `class_names` are the model's: they number the folders of the same names.
        """
        return cls._of(read_folder(Path(path), size=size, class_names=class_names))

    @classmethod
    def from_npz(cls, path: str | Path, *, split: str | None = None) -> CleanSet:
        """Arrays `x` and `y`, or `x_SPLIT` and `y_SPLIT`."""
        return cls._of(read_npz(Path(path), split))

    @classmethod
    def from_parquet(
        cls,
        path: str | Path,
        *,
        split: str | None = None,
        size: tuple[int, int] | Resizing | None = None,
        class_names: Sequence[str] | None = None,
    ) -> CleanSet:
        """Columns `image` (encoded bytes) and `label` (number or name), and perhaps `split`."""
        source = read_parquet(Path(path), split=split, size=size, class_names=class_names)
        return cls._of(source)

    @classmethod
    def from_arrow(
        cls,
        path: str | Path,
        *,
        split: str | None = None,
        size: tuple[int, int] | Resizing | None = None,
        class_names: Sequence[str] | None = None,
    ) -> CleanSet:
        """A data set of Hugging Face on disk (`save_to_disk`): columns `image` and `label`."""
        return cls._of(read_arrow(Path(path), split=split, size=size, class_names=class_names))

    @classmethod
    def from_shards(
        cls,
        path: str | Path,
        *,
        size: tuple[int, int] | Resizing | None = None,
        class_names: Sequence[str] | None = None,
    ) -> CleanSet:
        """Tar files as WebDataset lays them out: one, a pattern (`clean-{000..003}.tar`), or a
        folder of them."""
        return cls._of(read_shards(Path(path), size=size, class_names=class_names))

    @classmethod
    def from_iterable(
        cls,
        samples: Iterable[tuple[object, object]],
        *,
        size: tuple[int, int] | Resizing | None = None,
        class_names: Sequence[str] | None = None,
    ) -> CleanSet:
        """Any iterable of (image, label), taken once: a torch data set, a WebDataset pipeline.

        Images are Pillow's, encoded bytes, or uint8 arrays or tensors [H, W], [H, W, C] or
        [C, H, W]; labels are numbers or names.

        Raises
        ------
        UndoorError : none can be used, or an image is no 8-bit one.

        >>> black = np.zeros((8, 8, 3), np.uint8)
        >>> CleanSet.from_iterable([(black, "cat"), (black, "dog")]).class_names
        ('cat', 'dog')
        """
        named = (
            Sample(f"sample {index}", image, label) for index, (image, label) in enumerate(samples)
        )
        return cls._of(gather(named, "the iterable", size=size, class_names=class_names))

    @classmethod
    def from_arrays(
        cls, images: Tensor | NDArray[Any], labels: Tensor | NDArray[Any] | Sequence[int]
    ) -> CleanSet:
        """Images [N, H, W, C], [N, C, H, W] or [N, H, W], uint8 or float, and labels [N]."""
        x = channels_first(_array(images), "the arrays")
        return cls._of(Source(x, class_numbers(_array(labels), len(x), "the arrays")))

    @classmethod
    def _of(cls, source: Source) -> CleanSet:
        return cls(
            to_float(source.images),
            torch.from_numpy(source.labels),
            source.class_names,
            source.images.dtype == np.uint8,
            source.skipped,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def balanced(self, per_class: int | None, seed: int) -> CleanSet:
        """At most `per_class` samples of each class (None: all), in a shuffled, seeded order."""
        if per_class is not None and per_class < 1:
            raise UndoorError(f"per_class must be 1 or more, or None for all, got {per_class}")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        labels = self.labels[order]
        keep = torch.zeros(len(self), dtype=torch.bool)
        for number in labels.unique():
            keep[(labels == number).nonzero()[:, 0][:per_class]] = True
        chosen = order[keep]
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])

    def for_classifier(
        self, classifier: Classifier, *, require_all_classes: bool = True
    ) -> CleanSet:
        """The set as the classifier takes it: checked, and within its bounds.

        Raises
        ------
        UndoorError : the set is empty, lacks a class, has labels beyond the model's classes, or
            its images differ from the model's inputs in shape, colour or range of values.
        """
        labels = fit_labels(self.labels, self.class_names, classifier)
        images = fit_images(self.images, classifier, from_bytes=self.from_bytes)
        require_classes(labels, classifier, every=require_all_classes)
        names = classifier.class_names
        return replace(self, images=images, labels=labels, class_names=names, from_bytes=False)


def to_float(images: NDArray[Any]) -> Tensor:
    """Images as float32; 8-bit ones in [0, 1]."""
    tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
    return tensor / 255 if images.dtype == np.uint8 else tensor


def _array(values: Tensor | NDArray[Any] | Sequence[int]) -> NDArray[Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)
