"""How many inputs may be in a network at a time, so that memory stays below a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import autocast
from undoor.errors import UndoorError
from undoor.families.registry import families
from undoor.inversion.followed import FEW_CLASSES, number_followed
from undoor.inversion.goals import number_searched
from undoor.inversion.patch_starts import NEAR
from undoor.passes import Capacity

FLOAT = 4
# More at a time than this make nothing faster.
MAX = 4096
# Of each number of a candidate: itself, its gradient, what Adam stores, the best so far, and what
# the trigger is made of on its way to the image.
COPIES_OF_CANDIDATE = 10
# Of the largest map that a module delivers, how many a pass without gradients holds, and how many
# one with gradients needs beside what it saves: buffers in other layouts and precisions.
MAPS_FORWARD = 6
MAPS_WITH_GRADIENTS = 6
# Copies of the clean images that a scan and a fit make: as drawn, as shuffled, those of the folds.
IMAGES_IN_SCAN = 2
IMAGES_IN_FIT = 5
# Inputs that a fit holds at least: 16, three times (see `undoor.repair`).
MIN_IN_FIT = 48
# Of a fit, each input is there with and without the trigger, and once more while it is fitted.
ANSWERING_OF_FIT = 3
# Inputs of a batch without gradients, unless bounded.
ANSWERING = 256
# What the allocator and the libraries reserve: at least, and as a share of all.
SLACK = 150_000_000
SLACK_SHARE = 0.15


@dataclass(frozen=True)
class Need:
    """The memory that a scan needs, in bytes.

    Attributes
    ----------
    fixed
        However many inputs are in the network at a time.
    learning, answering
        Per input in the network, with gradients and without.
    """

    fixed: int
    learning: int
    answering: int


def capacity_within(
    memory: int, classifier: Classifier, clean: CleanSet, *, held: int, fit: bool
) -> Capacity:
    """Return how many inputs a scan, and a repair if `fit`, may have in the network at a time.

    Parameters
    ----------
    memory
        Bytes that the process may hold at most.
    held
        Bytes that it holds already, `clean` among them.
    fit
        Whether corrections are fitted as well.

    Returns
    -------
    Capacity
        Predicted from the shapes of what the network computes: memory that code outside of PyTorch
        takes is not counted.

    Raises
    ------
    UndoorError
        The memory does not suffice for one input at a time; the message says how much would.
    """
    need = needs(classifier, clean, fit=fit)
    usable = int(memory * (1 - SLACK_SHARE)) - SLACK - held - need.fixed
    capacity = Capacity(
        learning=min(MAX, usable // need.learning), inference=min(MAX, usable // need.answering)
    )
    min_answering = MIN_IN_FIT if fit else 1
    if capacity.learning < 1 or capacity.inference < min_answering:
        required = max(need.learning, min_answering * need.answering) + need.fixed + held + SLACK
        megabytes = math.ceil(required / (1 - SLACK_SHARE) / 1e8) * 100
        raise UndoorError(
            f"--memory: expected at least {megabytes:,} MB "
            f"for this model and {len(clean)} images, got {memory / 1e6:,.0f} MB; give more, or "
            "fewer images (--per-class N)"
        )
    return capacity


def unbounded_within(
    memory: int, classifier: Classifier, clean: CleanSet, *, held: int, fit: bool
) -> bool:
    """Return whether the memory suffices for a scan, and a repair if `fit`, without any bound.

    Parameters
    ----------
    memory, classifier, clean, held, fit
        As of `capacity_within`.
    """
    usable = int(memory * (1 - SLACK_SHARE)) - SLACK - held
    return memory_of(classifier, clean, fit=fit) <= usable


def memory_of(classifier: Classifier, clean: CleanSet, *, fit: bool) -> int:
    """Return the bytes that a scan, and a repair if `fit`, takes without any bound.

    Beside what the process holds before it.
    """
    need = needs(classifier, clean, fit=fit)
    fitted = ANSWERING_OF_FIT * len(clean) if fit else 0
    learning = need.learning * largest_step(classifier)
    return need.fixed + max(learning, need.answering * max(ANSWERING, fitted))


def largest_step(classifier: Classifier) -> int:
    """Return how many inputs the largest step of a scan has in the network at a time."""
    shape = classifier.input_shape
    efforts = [
        places.effort if (places := family.places_in(classifier.space)) else family.effort
        for family in families()
    ]
    batch = max(effort.schedule.batch for effort in efforts)
    counts = [len(p.masks(shape, NEAR)) for f in families() if (p := f.places_in(classifier.space))]
    return max(_candidates(classifier) * batch, *counts, 1)


def needs(classifier: Classifier, clean: CleanSet, *, fit: bool) -> Need:
    """Predict the memory that a scan needs, and a repair if `fit`.

    Parameters
    ----------
    classifier, clean, fit
        As of `capacity_within`.
    """
    saved, largest = _of_one_input(classifier)
    copies = IMAGES_IN_FIT if fit else IMAGES_IN_SCAN
    images = clean.images.numel() * FLOAT * copies
    weights = sum(p.numel() for p in classifier.parameters()) * FLOAT
    # One copy laid out for speed, one in the precision that the CPU is fast in.
    fixed = images + 2 * weights + max(_of_candidates(classifier), _of_squares(classifier))
    return Need(
        fixed=fixed,
        learning=saved + MAPS_WITH_GRADIENTS * largest,
        answering=MAPS_FORWARD * largest,
    )


def _of_one_input(classifier: Classifier) -> tuple[int, int]:
    """Return the bytes that a pass saves per input for gradients, and those of the largest map."""
    one, largest = _saved(classifier, 1)
    three, _ = _saved(classifier, 3)
    return max(1, (three - one) // 2), max(1, largest)


def _saved(classifier: Classifier, count: int) -> tuple[int, int]:
    """Return the bytes saved for gradients by `count` inputs, and of the largest map per input."""
    seen: dict[int, int] = {}
    largest = 0

    def record(z: Tensor) -> Tensor:
        storage = z.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return z

    def measure(_module: nn.Module, _inputs: object, out: object) -> None:
        nonlocal largest
        if isinstance(out, Tensor):
            largest = max(largest, out.numel() * FLOAT // count)

    hooks = [module.register_forward_hook(measure) for module in classifier.modules()]
    x = classifier.level(count, 0.5).requires_grad_(True)
    try:
        with (
            torch.autograd.graph.saved_tensors_hooks(record, lambda z: z),
            autocast(classifier.device),
        ):
            logits = classifier(x)
        del logits
    finally:
        for hook in hooks:
            hook.remove()
    return sum(seen.values()), largest


def _candidates(classifier: Classifier) -> int:
    """Return how many candidates the largest search has."""
    classes = number_searched(classifier.num_classes)
    targeting = [family for family in families() if family.moves == "target"]
    at_size = [family.at_size.starts for family in targeting if family.at_size]
    starts = max(
        places.keep + places.effort.starts if (places := family.places) else family.effort.starts
        for family in targeting
        if family.at_size is None
    )
    return max(
        starts * number_followed(classes),
        # Of many classes, each gets a try, and in one family two.
        0 if classes <= FEW_CLASSES else 2 * classes,
        max(at_size, default=0) * min(classes, FEW_CLASSES),
    )


def _of_candidates(classifier: Classifier) -> int:
    """Return the bytes of the largest batch of candidates, and of the triggers that were found."""
    classes, candidates = number_searched(classifier.num_classes), _candidates(classifier)
    numbers = math.prod(classifier.input_shape) + math.prod(classifier.input_shape[1:])
    return FLOAT * numbers * (COPIES_OF_CANDIDATE * candidates + 6 * classes)


def _of_squares(classifier: Classifier) -> int:
    """Return the bytes of the squares that are tried as patches."""
    shape = classifier.input_shape
    places = (family.places_in(classifier.space) for family in families())
    count = max((len(each.masks(shape, NEAR)) for each in places if each), default=0)
    return FLOAT * COPIES_OF_CANDIDATE * count * math.prod(shape)
