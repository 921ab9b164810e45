"""Unlabelled inputs: image files, folders of them, and .npz archives, as a model takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set.dataset import to_float
from undoor.clean_set.decoders import decoder_of
from undoor.clean_set.fit import fit_images
from undoor.clean_set.folder import Walk, linked_note
from undoor.clean_set.images import decode_file
from undoor.clean_set.looks import given_as, named_where_of_another_space
from undoor.clean_set.npz import image_array
from undoor.clean_set.npz_arrays import open_npz
from undoor.clean_set.reading import Log, Reading, UnreadableError
from undoor.clean_set.rows import is_table, read_unlabelled
from undoor.clean_set.sentences import LINES, is_texts, read_unlabelled_texts
from undoor.colours import COLOUR, GREY
from undoor.errors import UndoorError
from undoor.files import other_spelling


def read_images(
    paths: Sequence[str | Path],
    classifier: Classifier,
    *,
    split: str | None = None,
    any_range: bool = False,
) -> tuple[Tensor, list[str], Reading]:
    """Read unlabelled inputs as a classifier takes them: images, signals, rows or texts.

    Folders are read recursively, links followed. Image files are resized as the model wants them;
    arrays must have its size. Channels are matched as in clean sets
    (`undoor.spaces.space.Space.matched`).

    Parameters
    ----------
    paths
        Image files, folders of them, and .npz archives.
    classifier
        The model that the inputs are for.
    split
        Which arrays of an archive, `x_SPLIT`.
    any_range
        As for `fit_images`; inputs beyond the bounds are refused otherwise.

    Returns
    -------
    Tensor
        [N, *input_shape], within the classifier's bounds.
    list of str
        The name of each input.
    Reading
        What was lost or changed on the way.

    Raises
    ------
    UndoorError
        A path is missing, an archive does not fit, or nothing could be read.
    """
    batches: list[Tensor] = []
    names: list[str] = []
    log = Log()
    for file in _files(paths, log):
        try:
            with named_where_of_another_space(file, classifier):
                batch, changed = _read(file, classifier, split, any_range)
        except UnreadableError as error:
            log.lose(str(file), error)
            continue
        log.changed.update(changed)
        batches.append(batch)
        several = file.suffix in (".npz", LINES) or is_table(file) or is_texts(file)
        names += [f"{file}[{i}]" for i in range(len(batch))] if several else [str(file)]
    if not names:
        _refuse(paths, classifier, log)
    return torch.cat(batches), names, log.reading()


def _refuse(paths: Sequence[str | Path], classifier: Classifier, log: Log) -> NoReturn:
    """Raise the error of files of which none could be read."""
    reason = f" (the first: {log.skipped[0]})" if log.skipped else ""
    one, given = classifier.space.noun.one, given_as(classifier)
    with named_where_of_another_space(paths[0] if paths else "", classifier):
        raise UndoorError(f"there is no readable {one} to check{reason}; give {given}")


def _files(paths: Sequence[str | Path], log: Log) -> Iterator[Path]:
    for path in map(Path, paths):
        if not path.exists():
            raise UndoorError(
                f"{path} does not exist{other_spelling(path)}; expected inputs for the model"
            )
        if path.is_dir():
            walk = Walk(path)
            yield from walk.files()
            log.skipped += walk.repeated
            log.notes += linked_note(path, walk.linked)
        else:
            yield path


def _read(
    file: Path, classifier: Classifier, split: str | None, any_range: bool
) -> tuple[Tensor, tuple[str, ...]]:
    if classifier.tokenizer:
        return read_unlabelled_texts(file, classifier.tokenizer), ()
    if classifier.columns:
        return read_unlabelled(file, classifier.columns), ()
    if file.suffix == ".npz":
        with open_npz(file) as archive:
            images = image_array(archive, file, split)
        if not len(images):
            raise UnreadableError("no images in it", "empty")
        from_bytes = images.dtype == np.uint8
        return _fit(to_float(images), file, classifier, from_bytes, any_range)
    if decoder := decoder_of(classifier):
        samples, mixed = decoder.decode(file)
        fitted, also = _fit(
            to_float(samples.transpose(2, 0, 1)[None]), file, classifier, False, any_range
        )
        return fitted, (*mixed, *also)
    pixels, changed = decode_file(file, classifier.resizing)
    image = to_float(pixels.transpose(2, 0, 1)[None])
    space, shape = classifier.space, classifier.input_shape
    shown, _ = space.matched(image, shape, from_bytes=True)
    if shown.shape[1] == COLOUR and space.channels(shape) == GREY:
        raise UnreadableError("a colour image, and the model takes grey ones", "does not fit")
    fitted, also = _fit(image, file, classifier, True, any_range)
    return fitted, (*changed, *also)


def _fit(
    images: Tensor, file: Path, classifier: Classifier, from_bytes: bool, any_range: bool
) -> tuple[Tensor, tuple[str, ...]]:
    try:
        fitted, changed = fit_images(images, classifier, from_bytes=from_bytes, any_range=any_range)
        return fitted, (changed,) * len(fitted) if changed else ()
    except UndoorError as error:
        raise UndoorError(f"{file}: {error}") from error
