"""Do these samples fit this model? Every question is asked here, once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set.source import are_words
from undoor.errors import UndoorError

TOLERANCE = 1e-3
COLOURS = {1: "grey", 3: "colour", 4: "colour with transparency"}


def fit_images(images: Tensor, classifier: Classifier, *, from_bytes: bool) -> Tensor:
    """Images [N, C, H, W] as the classifier takes them; 8-bit ones are mapped to its bounds.

    Raises
    ------
    UndoorError : their shape, colour or range of values is not the model's.
    """
    if from_bytes and images.shape[1] == 4 and classifier.input_shape[0] == 3:
        images = images[:, :3]
    _require_shape(tuple(images.shape[1:]), classifier.input_shape)
    low, high = classifier.bounds
    if from_bytes:
        return low + images * (high - low)
    _require_range(images, low, high)
    return images.clamp(low, high)


def fit_labels(
    labels: Tensor, class_names: tuple[str, ...] | None, classifier: Classifier
) -> Tensor:
    """Labels as the classifier numbers its classes, matched by name where both have names.

    Raises
    ------
    UndoorError : there are no samples, or some belong to no class of the model.
    """
    if not len(labels):
        raise UndoorError("the clean set is empty; give at least one image a class")
    count = classifier.num_classes
    own = classifier.class_names
    # A set numbered by itself may count the same classes in another order.
    if class_names and are_words(own) and are_words(class_names) and set(class_names) <= set(own):
        _require_within(labels, len(class_names))
        return torch.tensor([own.index(name) for name in class_names])[labels]
    if class_names and are_words(own) and set(class_names) & set(own):
        raise UndoorError(_misnamed(class_names, own))
    if class_names is not None and len(class_names) != count:
        raise UndoorError(
            f"the clean set has {len(class_names)} classes ({', '.join(class_names[:5])}"
            f"{', ...' if len(class_names) > 5 else ''}), the model {count}; name the class "
            "folders by class number, or give the model's class names"
        )
    _require_within(labels, count)
    return labels


def _misnamed(class_names: Sequence[str], own: Sequence[str]) -> str:
    """Some names are the model's: in what order the others stand for classes is anybody's guess."""
    unknown = [name for name in class_names if name not in own]
    close = difflib.get_close_matches(unknown[0], own, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    left = ", ".join([name for name in own if name not in class_names][:5])
    return (
        f"{', '.join(map(repr, unknown[:5]))} in the clean set: no class of the model{hint}; its "
        f"classes that are not named in the set: {left or 'none'}; call them alike, or say with "
        "--class-names what the model's are"
    )


def require_classes(labels: Tensor, classifier: Classifier, *, every: bool) -> None:
    """With `every`, each class of the model has an image."""
    if not every:
        return
    counts = torch.bincount(labels, minlength=classifier.num_classes)
    empty = [int(number) for number in (counts == 0).nonzero()[:, 0]]
    if classifier.num_classes - len(empty) < 2:
        raise UndoorError("all images are of one class; give images of every class")
    if empty:
        told = [_called(number, classifier) for number in empty[:8]]
        more = f" and {len(empty) - 8} more" if len(empty) > 8 else ""
        classes, verb = ("class", "has") if len(empty) == 1 else ("classes", "have")
        raise UndoorError(
            f"{classes} {', '.join(told)}{more} {verb} no images; every class needs at least one"
        )


def _require_within(labels: Tensor, count: int) -> None:
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


def _require_shape(got: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if got == wanted:
        return
    if len(wanted) == 3 and got[0] != wanted[0]:
        kinds = [COLOURS.get(shape[0], f"{shape[0]}-channel") for shape in (got, wanted)]
        raise UndoorError(
            f"the images are {kinds[0]} ({got[0]} channels), the model takes {kinds[1]} images "
            f"({wanted[0]} channels); convert them as they were when the model was trained"
        )
    raise UndoorError(
        f"the images have the shape {got}, the model takes {wanted}; "
        "resize them as they were when the model was trained"
    )


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
                f"{got}, the model's bounds are {low:g} to {high:g}; multiply the images by 255"
            )
        return
    if high <= 1 and lowest >= 0 and 1 < highest <= 255:
        hint = "divide the images by 255 or store them as uint8"
    elif low >= 0 and lowest < 0:
        hint = "undo their normalisation: images are given raw, mean and std belong to the model"
    else:
        hint = "scale the images to the model's bounds, or correct the bounds"
    raise UndoorError(f"{got}, but the model's bounds are {low:g} to {high:g}; {hint}")
