"""The kind of a network, on which the sizes of natural triggers may depend."""

from __future__ import annotations

import math
from collections import Counter

from torch import nn

from undoor.black_boxes import black_box_in
from undoor.classifier import Classifier
from undoor.sites.places import calls_of, find_sites, is_opaque
from undoor.vocabulary import BLACK_BOX, CONVOLUTIONAL, OPAQUE, OTHER_KIND, TRANSFORMER

# Vision transformers have one convolution, which cuts the image into patches.
MIN_CONVOLUTIONS = 2
MAP_AXES, TOKEN_AXES = 3, 2


def network_kind(classifier: Classifier) -> str:
    """Return the kind of a network.

    A convolutional one has at least two convolutions of more than one position, and most of its
    sites have maps [C, H, W] as output; most sites of a transformer have tokens [C, T].

    Parameters
    ----------
    classifier
        Any model.

    Returns
    -------
    str
        `CONVOLUTIONAL`, `TRANSFORMER`, `OTHER_KIND`, `OPAQUE` for TorchScript, whose layers are
        hidden, or `BLACK_BOX` for what is no network.
    """
    if is_opaque(classifier):
        return OPAQUE
    if black_box_in(classifier) is not None:
        return BLACK_BOX
    if not classifier.space.maps:
        return OTHER_KIND  # Natural sizes were never compared between kinds there.
    called = {name for name, _ in calls_of(classifier, (nn.Conv2d,))}
    modules = dict(classifier.named_modules())
    wide = [name for name in called if _positions(modules[name]) > 1]
    axes = Counter(len(site.shape) for site in find_sites(classifier)[1:])
    most = axes.total() / 2
    if len(wide) >= MIN_CONVOLUTIONS and axes[MAP_AXES] > most:
        return CONVOLUTIONAL
    return TRANSFORMER if axes[TOKEN_AXES] > most else OTHER_KIND


def _positions(module: nn.Module) -> int:
    """Return how many positions of the input an output of a convolution depends on."""
    assert isinstance(module, nn.Conv2d)
    return math.prod(module.kernel_size)
