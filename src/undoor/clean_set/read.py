"""Read the clean set at a path, whatever it is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from undoor.classifier import Classifier
from undoor.clean_set.answers import read_answers
from undoor.clean_set.class_names import Classes
from undoor.clean_set.dataset import CleanSet
from undoor.clean_set.decoders import Decoder, decoder_of
from undoor.clean_set.folder import index_folder
from undoor.clean_set.index import Index, Selection, gather
from undoor.clean_set.looks import named_where_of_another_space
from undoor.clean_set.open import open_index
from undoor.clean_set.rows import read_rows
from undoor.clean_set.sentences import read_labelled_texts


def read_clean_set(
    path: str | Path,
    *,
    split: str | None = None,
    classifier: Classifier | None = None,
    require_several_classes: bool = True,
    classes: Classes | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> CleanSet:
    """Read the clean set at `path`, whatever it is (see `undoor.clean_set.open.open_index`).

    Labels are read first, then no more images than are wanted. With a classifier, they are resized
    as it wants them, names are matched with its class names, and the set is checked and mapped to
    its bounds (see `CleanSet.for_classifier`, also for `classes`).

    Parameters
    ----------
    path
        A file, a folder, or a pattern of shards.
    split
        The part of the data to read, such as "train".
    classifier
        The model that the images are for; None reads them as they are.
    require_several_classes
        False for test sets, which may be of one class.
    classes
        The data's names for the model's classes, see `CleanSet.for_classifier`.
    per_class, seed
        Draws at most `per_class` images per class with `seed`. Where the images would take more
        than 4 GiB as float32, fewer are drawn, which `reading.notes` reports.

    Raises
    ------
    UndoorError
        There is nothing that can be read, or it does not fit the classifier.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> np = __import__("numpy")
    >>> np.savez(folder / "d.npz", x=np.zeros((9, 4, 4, 3), np.uint8), y=np.arange(9) % 3)
    >>> read_clean_set(folder / "d.npz", per_class=2).labels.bincount()
    tensor([2, 2, 2])
    """
    with named_where_of_another_space(path, classifier):
        return _read(
            path,
            classifier,
            Parts(split, classes, per_class, seed),
            require_several_classes=require_several_classes,
        )


class Parts(NamedTuple):
    """What is read of the data, as of `read_clean_set`."""

    split: str | None
    classes: Classes | None
    per_class: int | None
    seed: int


def _read(
    path: str | Path,
    classifier: Classifier | None,
    parts: Parts,
    *,
    require_several_classes: bool,
) -> CleanSet:
    split, classes, per_class, seed = parts
    if classifier is not None and not classifier.task.numbered:
        answered = read_answers(Path(path), classifier, split)
        answered = answered.for_classifier(classifier, classes=classes)
        return answered.balanced(per_class, seed, classifier.task)
    if classifier is not None and (classifier.columns or classifier.tokenizer):
        found = (
            read_labelled_texts(
                Path(path),
                classifier.tokenizer,
                classifier.class_names,
                split=split,
                classes=classes,
            )
            if classifier.tokenizer
            else read_rows(
                Path(path), classifier.columns, classifier.class_names, split=split, classes=classes
            )
        )
        fitted = found.for_classifier(classifier, require_several_classes=require_several_classes)
        return fitted if per_class is None else fitted.balanced(per_class, seed)
    decoder = decoder_of(classifier) if classifier and Path(path).is_dir() else None
    chosen = Selection(
        size=classifier.resizing if classifier else None,
        per_class=per_class,
        seed=seed,
        class_names=classifier.class_names if classifier else None,
        classes=classes,
        channels=classifier.space.channels(classifier.input_shape) if classifier else 0,
        decoder=decoder.decode if decoder else None,
    )
    index = _index_of(path, split, decoder)
    clean = CleanSet.of(gather(index, chosen))
    if classifier is None:
        return clean
    return clean.for_classifier(classifier, require_several_classes=require_several_classes)


def _index_of(path: str | Path, split: str | None, decoder: Decoder | None) -> Index:
    if decoder is None:
        return open_index(path, split)
    return index_folder(Path(path, split or ""), decoder.suffixes, decoder.one)
