"""The kind of a network, on which the sizes of natural triggers may depend."""

from __future__ import annotations

import math

from torch import nn

from undoor.classifier import Classifier
from undoor.sites.places import calls_of, find_sites, is_opaque
from undoor.vocabulary import CONVOLUTIONAL, OPAQUE, OTHER_KIND

# Vision transformers have one convolution, which cuts the image into patches.
MIN_CONVOLUTIONS = 2
MAP_AXES = 3


def network_kind(classifier: Classifier) -> str:
    """Return the kind of a network.

    A convolutional one has at least two convolutions of more than one position, and most of its
    sites have maps [C, H, W] as output.

    Parameters
    ----------
    classifier
        Any model.

    Returns
    -------
    str
        `CONVOLUTIONAL`, `OTHER_KIND`, or `OPAQUE` for TorchScript, whose layers are hidden.
    """
    if is_opaque(classifier):
        return OPAQUE
    if not classifier.space.maps:
        return OTHER_KIND  # Natural sizes were never compared between kinds there.
    called = {name for name, _ in calls_of(classifier, (nn.Conv2d,))}
    modules = dict(classifier.named_modules())
    wide = [name for name in called if _positions(modules[name]) > 1]
    sites = find_sites(classifier)[1:]
    maps = sum(len(site.shape) == MAP_AXES for site in sites)
    convolutional = len(wide) >= MIN_CONVOLUTIONS and 2 * maps > len(sites)
    return CONVOLUTIONAL if convolutional else OTHER_KIND


def _positions(module: nn.Module) -> int:
    """Return how many positions of the input an output of a convolution depends on."""
    assert isinstance(module, nn.Conv2d)
    return math.prod(module.kernel_size)
