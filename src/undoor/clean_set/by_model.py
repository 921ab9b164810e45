"""Inputs without labels, labelled by the model that is to be scanned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set.dataset import CleanSet
from undoor.clean_set.inputs import read_images
from undoor.errors import UndoorError


def labelled_by_model(
    images: Tensor, classifier: Classifier, *, per_class: int | None = None, seed: int = 0
) -> CleanSet:
    """Return inputs with the classes that the model itself predicts.

    A scan can search with them, but no longer see whether the model is fed as it should be: what a
    model predicts always agrees with itself. It says so, and calls no such model clean unless that
    is accepted.

    Parameters
    ----------
    images
        [N, ...], as the classifier takes them, without triggers.
    classifier
        The model, of one class per input.
    per_class, seed
        Draws at most `per_class` inputs per predicted class with `seed`.

    Raises
    ------
    UndoorError
        The model has no classes, or predicts all inputs as one class.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = net[1].weight.data.copy_(torch.tensor([[1.0] * 4, [-1.0] * 4]))
    >>> model = Classifier(net, input_shape=(1, 2, 2), bounds=(-1, 1))
    >>> images = torch.tensor([0.5, -0.5]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    >>> few = labelled_by_model(images, model)
    >>> few.labels.tolist(), few.by_model
    ([0, 1], True)
    """
    classifier.require_classes("labels by the model")
    labels = classifier.predict(images)
    if len(labels.unique()) < 2:
        raise UndoorError(
            f"expected images that the model predicts as at least two classes, got {len(images)} "
            f"that it all predicts as {classifier.class_names[int(labels[0])]!r}; give others, or "
            "see with `undoor inspect` whether the model is fed as it should be"
        )
    found = CleanSet(images, labels, by_model=True).for_classifier(classifier)
    return found.balanced(per_class, seed)


def read_labelled_by_model(
    paths: Sequence[str | Path],
    classifier: Classifier,
    *,
    split: str | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> CleanSet:
    """Read inputs without labels; see `read_images` and `labelled_by_model`.

    Parameters
    ----------
    paths
        Image files, folders of them and .npz archives; labels that they may have are not read.
    classifier, per_class, seed
        As of `labelled_by_model`.
    split
        Which arrays of an archive, `x_SPLIT`.

    Raises
    ------
    UndoorError
        Nothing can be read, or the model predicts all inputs as one class.
    """
    images, _, reading = read_images(paths, classifier, split=split)
    found = labelled_by_model(images, classifier, per_class=per_class, seed=seed)
    return replace(found, reading=reading)
