"""Checks that clean samples fit a model, and their conversion to its inputs and labels."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set.class_names import LEFT_OUT, Classes, Found, number
from undoor.clean_set.reading import Reading
from undoor.errors import UndoorError

TOLERANCE = 1e-3
# Largest shares of unreadable images, over the whole set and within one class.
MAX_LOST = 0.25
MAX_LOST_OF_CLASS = 0.5
# Without a second class there is nothing to move images to whose own images are known.
MIN_CLASSES = 2
# Classes that a note names.
SHOWN = 8


def fit_images(
    images: Tensor, classifier: Classifier, *, from_bytes: bool, any_range: bool = False
) -> tuple[Tensor, str | None]:
    """Return images as the classifier takes them, and how their colours were changed.

    Parameters
    ----------
    images
        [N, C, H, W], in [0, 1] where they come from bytes, else in the classifier's units.
    classifier
        The model.
    from_bytes
        Whether they were 8-bit, and are to be mapped to the classifier's bounds.
    any_range
        Take values outside its bounds, NaN and infinity as they are: a guard flags such inputs, and
        one among many must not keep the others from being checked.

    Returns
    -------
    Tensor
        [N, *input_shape], within the classifier's bounds unless `any_range`.
    str or None
        See `undoor.spaces.space.Space.matched`.

    Raises
    ------
    UndoorError
        Their shape, colour or, without `any_range`, range of values is not the model's.
    """
    space, wanted = classifier.space, classifier.input_shape
    images, changed = space.matched(images, wanted, from_bytes=from_bytes)
    got = tuple(images.shape[1:])
    if got != wanted:
        raise UndoorError(space.misfit(got, wanted))
    low, high = classifier.bounds
    if from_bytes:
        # Images may fill half of the memory: no more copies than one.
        return (images if (low, high) == (0, 1) else images.mul(high - low).add_(low)), changed
    try:
        _require_range(images, low, high)
    except UndoorError:
        odd = ~((images >= low) & (images <= high)).flatten(1).all(1)
        if any_range and bool(odd.any()):
            return images, changed
        raise
    return images.clamp(low, high), changed


def fit_labels(
    labels: Tensor,
    class_names: tuple[str, ...] | None,
    classifier: Classifier,
    classes: Classes | None = None,
) -> tuple[Tensor, tuple[str, ...]]:
    """Return labels as the classifier numbers its classes, and what was assumed, in words.

    They are matched by name where both have names, and -1 where `classes` leaves them out.

    Raises
    ------
    UndoorError
        There are no samples, or some belong to no class of the model.
    """
    if not len(labels):
        raise UndoorError("the clean set is empty; give at least one image per class")
    if classes is None and class_names in (None, classifier.class_names):
        _require_within(labels, classifier.num_classes)
        return labels, ()
    if class_names is not None:
        _require_within(labels, len(class_names))
    present = [int(place) for place in labels.unique()]
    called = {place: class_names[place] if class_names else str(place) for place in present}
    found = Found(list(called.values()), "the clean set", class_names)
    numbers, _, notes = number(found, classifier.class_names, classes)
    fitted = torch.full((max(present) + 1,), LEFT_OUT)
    for place in present:
        fitted[place] = numbers[called[place]]
    fitted = fitted[labels]
    _require_within(fitted[fitted != LEFT_OUT], classifier.num_classes)
    return fitted, notes


def fit_answers(
    labels: Tensor,
    class_names: tuple[str, ...] | None,
    classifier: Classifier,
    classes: Classes | None = None,
) -> Tensor:
    """Return labels that are no numbers of classes, as the task of a classifier has them.

    Raises
    ------
    UndoorError
        There are no samples, or labels that the task does not have.
    """
    if classes is not None or class_names is not None:
        raise UndoorError(
            f"expected the labels of a model for {classifier.task.name} as numbers, got names of "
            "classes; leave --classes out, and give an .npz, or columns of a table"
        )
    if not len(labels):
        raise UndoorError("the clean set is empty; give at least one input")
    return classifier.task.required_labels(labels, classifier.num_outputs)


def require_readable(reading: Reading, many: str) -> None:
    """Refuse a set of which too many inputs were lost while it was read.

    A verdict on the remaining ones would be one on other data.

    Parameters
    ----------
    reading
        What was lost.
    many
        What inputs are called, as "images".

    Raises
    ------
    UndoorError
        More than a quarter of the inputs, or half of those of a class, were lost.
    """
    lost, tried = sum(reading.lost_of.values()), sum(reading.tried_of.values())
    lost += reading.lost.get("no label", 0)
    tried += reading.lost.get("no label", 0)
    kinds = ", ".join(f"{count} {kind}" for kind, count in reading.lost.items())
    why = f"({kinds}; the first: {reading.skipped[0] if reading.skipped else ''})"
    if lost > MAX_LOST * tried:
        raise UndoorError(
            f"{lost} of {tried} {many} could not be used {why}, and the others may not represent "
            f"the whole; repair the data, or remove the broken {many} yourself"
        )
    for name, count in reading.lost_of.items():
        if count > MAX_LOST_OF_CLASS * reading.tried_of[name]:
            raise UndoorError(
                f"{count} of {reading.tried_of[name]} {many} of the class {name!r} could not be "
                f"used {why}; repair the data, or remove the broken {many} yourself"
            )


def without_images(labels: Tensor, classifier: Classifier) -> tuple[str, ...]:
    """Return which classes have no images, as a note; nothing where all have some.

    They are searched as targets, for which no image is needed.

    Raises
    ------
    UndoorError
        There are images of fewer than two classes: none of them could be moved to the other.
    """
    many = classifier.space.noun.many
    counts = torch.bincount(labels, minlength=classifier.num_classes)
    empty = [int(number) for number in (counts == 0).nonzero()[:, 0]]
    if classifier.num_classes - len(empty) < MIN_CLASSES:
        raise UndoorError(
            f"expected {many} of at least {MIN_CLASSES} classes, got some of one; give {many} of "
            "as many classes as you can"
        )
    if not empty:
        return ()
    shown = [_called(number, classifier) for number in empty[:SHOWN]]
    more = f" and {len(empty) - SHOWN} more" if len(empty) > SHOWN else ""
    classes, verb = ("class", "has") if len(empty) == 1 else ("classes", "have")
    return (
        f"{classes} {', '.join(shown)}{more} {verb} no {many}: a backdoor that moves {many} of "
        "these classes alone cannot be found",
    )


def _require_within(labels: Tensor, count: int) -> None:
    if not len(labels):
        raise UndoorError("all images are of classes that --classes leaves out; map some")
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= count:
        wrong = lowest if lowest < 0 else highest
        raise UndoorError(
            f"label {wrong} is no class of the model, whose {count} classes are 0 to {count - 1}; "
            "use the numbers the model was trained with"
        )


def _called(number: int, classifier: Classifier) -> str:
    name = classifier.class_names[number]
    return str(number) if name == str(number) else f"{number} ({name})"


def _require_range(images: Tensor, low: float, high: float) -> None:
    if not bool(torch.isfinite(images).all()):
        raise UndoorError("the images hold NaN or infinite values; remove or repair these images")
    lowest, highest = float(images.min()), float(images.max())
    slack = TOLERANCE * (high - low)
    got = f"the images' values reach from {lowest:.4g} to {highest:.4g}"
    if lowest >= low - slack and highest <= high + slack:
        # Pictures of bytes that never exceed 1 are black: they were divided by 255 before.
        if high >= 100 and highest <= 1:
            raise UndoorError(
                f"{got}, but the model's bounds are {low:g} to {high:g}; multiply the images by 255"
            )
        return
    if high <= 1 and lowest >= 0 and 1 < highest <= 255:
        hint = "divide the images by 255 or store them as uint8"
    elif low >= 0 and lowest < 0:
        hint = "undo their normalisation: images are given raw, mean and std belong to the model"
    else:
        hint = "scale the images to the model's bounds, or correct the bounds"
    raise UndoorError(f"{got}, but the model's bounds are {low:g} to {high:g}; {hint}")
