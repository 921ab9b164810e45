"""What a network is made of, as far as the sizes of natural triggers may depend on it."""

from __future__ import annotations

import math

from torch import nn

from undoor.classifier import Classifier
from undoor.sites.places import calls_of, find_sites, is_opaque
from undoor.vocabulary import CONVOLUTIONAL, OPAQUE, OTHER_KIND

# Transformers have one convolution, which cuts the image into its patches.
MIN_CONVOLUTIONS = 2
MAP_AXES = 3


def network_kind(classifier: Classifier) -> str:
    """Whether a network is convolutional: it has several convolutions of more than one position,
    and most of its sites deliver maps [C, H, W].

    Parameters
    ----------
    classifier
        Any model.

    Returns
    -------
    str
        `CONVOLUTIONAL`, `OTHER_KIND`, or `OPAQUE` where nothing can be seen of it.
    """
    if is_opaque(classifier):
        return OPAQUE
    called = {name for name, _ in calls_of(classifier, (nn.Conv2d,))}
    modules = dict(classifier.named_modules())
    wide = [name for name in called if _positions(modules[name]) > 1]
    sites = find_sites(classifier)[1:]
    maps = sum(len(site.shape) == MAP_AXES for site in sites)
    convolutional = len(wide) >= MIN_CONVOLUTIONS and 2 * maps > len(sites)
    return CONVOLUTIONAL if convolutional else OTHER_KIND


def _positions(module: nn.Module) -> int:
    """How many positions of its input each of a convolution's outputs sees."""
    assert isinstance(module, nn.Conv2d)
    return math.prod(module.kernel_size)
