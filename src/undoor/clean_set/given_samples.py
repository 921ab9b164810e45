"""Clean samples given in Python: a set that was read, or inputs and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set.dataset import CleanSet, as_array, to_float
from undoor.clean_set.source import Source, channels_first, class_numbers
from undoor.errors import UndoorError
from undoor.kinds import require_hint

Array: TypeAlias = Tensor | NDArray[Any] | Sequence[Any]
Clean: TypeAlias = CleanSet | tuple[Array, Array]


def given(
    clean: Clean, classifier: Classifier, *, require_several_classes: bool = True
) -> CleanSet:
    """Return the samples as the classifier takes them, checked: see `CleanSet.for_classifier`.

    Parameters
    ----------
    clean
        A `CleanSet`, or a pair of inputs [N, ...] and labels [N]. Inputs are floats in the
        classifier's units, or bytes; images may have their channels last.
    classifier
        The model that they are for.
    require_several_classes
        False for test samples, which may be of one class.

    Raises
    ------
    UndoorError
        It is neither of these, or does not fit the model.
    """
    require_hint(classifier, Classifier, "classifier")
    if not isinstance(clean, CleanSet):
        clean = _of_pair(clean, classifier)
    return clean.for_classifier(classifier, require_several_classes=require_several_classes)


def _of_pair(clean: object, classifier: Classifier) -> CleanSet:
    if not isinstance(clean, tuple | list) or len(clean) != 2:
        raise UndoorError(
            "expected the clean samples as a CleanSet or as a pair (inputs, labels), got "
            f"{type(clean).__name__}; read files with undoor.CleanSet.from_folder, from_npz or "
            "from_parquet, and a Dataset or DataLoader with from_iterable"
        )
    x, y = clean
    if isinstance(x, str | bytes) or not hasattr(x, "__len__") or not hasattr(y, "__len__"):
        raise UndoorError(
            "expected arrays or tensors in the pair (inputs, labels), got "
            f"{type(x).__name__} and {type(y).__name__}"
        )
    images, labels = as_array(x), as_array(y)
    if not classifier.task.numbered:
        return _with_answers(images, labels, classifier)
    # Of the model's own shape: nothing to guess about where the channels stand.
    if images.shape[1:] == classifier.input_shape and images.dtype.kind in "uif":
        numbers = class_numbers(labels, len(images), "the pair (inputs, labels)")
        bytes_or_floats = images if images.dtype == np.uint8 else images.astype(np.float32)
        return CleanSet.of(Source(bytes_or_floats, numbers))
    return CleanSet.from_arrays(images, labels)


def _with_answers(images: NDArray[Any], labels: NDArray[Any], classifier: Classifier) -> CleanSet:
    """Return samples of a task whose labels are numbers, and no numbers of classes."""
    if labels.dtype.kind not in "buif" or len(labels) != len(images):
        raise UndoorError(
            f"the labels of the pair (inputs, labels) are {labels.dtype} of shape {labels.shape}; "
            f"expected numbers, one or a row of them for each of the {len(images)} inputs"
        )
    own = images.shape[1:] == classifier.input_shape and images.dtype.kind in "uif"
    x = images if own else channels_first(images, "the arrays")
    bytes_or_floats = x if x.dtype == np.uint8 else x.astype(np.float32)
    numbers = torch.from_numpy(labels.astype(np.float64))
    return CleanSet(to_float(bytes_or_floats), numbers, from_bytes=x.dtype == np.uint8)
