"""Labelled clean samples, from folders, files of several kinds, iterables or arrays."""

from __future__ import annotations

from pathlib import Path

from undoor.classifier import Classifier
from undoor.clean_set.arrow import is_arrow
from undoor.clean_set.dataset import CleanSet
from undoor.clean_set.inputs import read_images
from undoor.clean_set.shards import is_shards
from undoor.errors import UndoorError

EXPECTED = (
    "a folder of class folders, an .npz or a .parquet file, tar files of WebDataset, or a data set "
    "that Hugging Face's save_to_disk wrote"
)
__all__ = ["CleanSet", "read_clean_set", "read_images"]


def read_clean_set(
    path: str | Path,
    *,
    split: str | None = None,
    classifier: Classifier | None = None,
    require_all_classes: bool = True,
) -> CleanSet:
    """Read the clean set at `path`: a folder of class folders, an .npz or a Parquet file, tar files
    of WebDataset, or what Hugging Face's `save_to_disk` wrote.

    With a classifier, images are resized as it wants them, class folders are matched with its class
    names, and the set is checked and mapped to its bounds (see `CleanSet.for_classifier`).
    `split` chooses a part of the file, or a sub-folder. Test sets may lack classes
    (`require_all_classes=False`).
    """
    path = Path(path)
    if not path.exists() and not is_shards(path):
        raise UndoorError(f"{path} does not exist; expected {EXPECTED}")
    size = classifier.resizing if classifier else None
    names = classifier.class_names if classifier else None
    if is_shards(path):
        if split is not None:
            raise UndoorError(f"{path} has no splits; name the shards of one, and no --split")
        clean = CleanSet.from_shards(path, size=size, class_names=names)
    elif is_arrow(path):
        clean = CleanSet.from_arrow(path, split=split, size=size, class_names=names)
    elif path.is_dir():
        clean = CleanSet.from_folder(path / (split or ""), size=size, class_names=names)
    elif path.suffix == ".npz":
        clean = CleanSet.from_npz(path, split=split)
    elif path.suffix in (".parquet", ".pq"):
        clean = CleanSet.from_parquet(path, split=split, size=size, class_names=names)
    else:
        raise UndoorError(f"{path} is not a kind of data that can be read; expected {EXPECTED}")
    if classifier is None:
        return clean
    return clean.for_classifier(classifier, require_all_classes=require_all_classes)
