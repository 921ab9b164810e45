"""The trigger families of a scan, and how the candidates of each are made for a model."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.sites import SiteInfo, insert, is_opaque
from undoor.sites.heads import find_heads, sites_before_heads
from undoor.triggers import (
    AdditiveBank,
    BlendBank,
    FrequencyBank,
    GeneratorBank,
    InputBank,
    LatentBank,
    PatchBank,
    ToneBank,
    TriggerBank,
    WarpBank,
)

# From the most to the least local.
INPUT_BANKS: tuple[type[InputBank], ...] = (
    PatchBank,
    AdditiveBank,
    BlendBank,
    FrequencyBank,
    WarpBank,
    ToneBank,
    GeneratorBank,
)
INPUT_FAMILIES = {bank.family: bank for bank in INPUT_BANKS}
# Where among the sites of the network, from 0 (the first behind the input) to 1 (the last).
LATENT_DEPTHS = {"early": 0.15, "middle": 0.6, "late": 0.8}
LATENT_FAMILIES = {f"latent {depth}": depth for depth in LATENT_DEPTHS}
# Families that mean something for feature vectors too.
FOR_VECTORS = ("patch", "additive")
# What images of one class, or of all, need to leave their own class, wherever they go.
BY_SOURCE = "patch by source"
SHARED = "shared patch"
# A generator costs four times as much as other families, and every backdoor that it showed so far
# was clearer as a latent shift: it is asked only about a class of which latent shifts speak.
INSTEAD_OF_LATENT = "generator"
IMAGES_FOR_SCALE = 256
OUTSIDE = (
    "the network is TorchScript, which is scanned from outside: the latent families, which find "
    "most of what is spread over the whole image, were left out, and it cannot be repaired"
)
NO_HEADS = (
    "the latent families, which find most of what is spread over the whole image, were left out: "
    "the class scores are not a linear map of features, or not one that is a linear layer or a "
    "convolution that runs once in a pass"
)
NO_SITES = (
    "the latent families, which find most of what is spread over the whole image, were left out: "
    "between the input and the last linear map there is no normalisation, convolution or linear "
    "layer that runs once in a pass"
)
_SITES: WeakKeyDictionary[Classifier, tuple[SiteInfo, ...]] = WeakKeyDictionary()


def families_for(classifier: Classifier) -> tuple[str, ...]:
    """The families in which every class is tried as a target of this model.

    Latent ones need sites, and heads, whose features tell a target's own way; in a network with
    fewer sites than latent families, there is one family for each site.
    """
    images = len(classifier.input_shape) == 3
    inputs = [f for f in INPUT_FAMILIES if f != INSTEAD_OF_LATENT] if images else FOR_VECTORS
    count = len(_latent_sites(classifier))
    latent = list(LATENT_FAMILIES) if count else []
    if count < len(LATENT_DEPTHS):
        # Of depths that are one place, the last: it is named for the layers in front of the heads.
        places = {_place(depth, count): family for family, depth in LATENT_FAMILIES.items()}
        latent = [family for family in latent if family in places.values()]
    return (*inputs, *latent)


def left_out(classifier: Classifier) -> str | None:
    """Why latent families cannot be searched in this model, which find most of what is spread over
    the whole image; None where they can."""
    if is_opaque(classifier):
        return OUTSIDE
    if _latent_sites(classifier):
        return None
    if find_heads(classifier):
        return NO_SITES
    return NO_HEADS


def make_bank(
    family: str, count: int, classifier: Classifier, x: Tensor, generator: torch.Generator
) -> TriggerBank:
    """`count` candidates of a family, ready to be optimised.

    x : clean inputs [N, ...], from which latent families learn the spread of the channels.

    Raises
    ------
    UndoorError : no such family.
    """
    if family in INPUT_FAMILIES:
        make = INPUT_FAMILIES[family]
        return make(count, classifier.input_shape, classifier.bounds, generator)
    if family not in LATENT_FAMILIES:
        known = ", ".join((*INPUT_FAMILIES, *LATENT_FAMILIES))
        raise UndoorError(f"expected a trigger family ({known}), got {family!r}")
    depth = LATENT_FAMILIES[family]
    site = latent_site(classifier, depth)
    scale = _spread(classifier, site.name, x[:IMAGES_FOR_SCALE])
    return LatentBank(count, site.name, scale, generator, depth=depth)


def unit_of(family: str) -> str:
    """In what the sizes of a family are measured."""
    if family in (BY_SOURCE, SHARED):
        return PatchBank.unit if family == BY_SOURCE else "pixels a class where images end"
    return INPUT_FAMILIES[family].unit if family in INPUT_FAMILIES else LatentBank.unit


def latent_site(classifier: Classifier, depth: str) -> SiteInfo:
    """The site that a latent family of this depth shifts."""
    inside = _latent_sites(classifier)
    return inside[_place(depth, len(inside))]


def _latent_sites(classifier: Classifier) -> tuple[SiteInfo, ...]:
    """Where latent families may act; found once for each model."""
    if classifier not in _SITES:
        _SITES[classifier] = sites_before_heads(classifier)
    return _SITES[classifier]


def _place(depth: str, count: int) -> int:
    return round(LATENT_DEPTHS[depth] * (count - 1))


@torch.no_grad()
def _spread(classifier: Classifier, site: str, x: Tensor) -> Tensor:
    """Standard deviation of every channel [C] over clean inputs; a channel that hardly ever fires
    is not blown up by its tiny spread."""
    seen: list[Tensor] = []

    def keep(z: Tensor) -> Tensor:
        units = z.transpose(0, 1).flatten(1)
        mean = units.mean(1)
        squares = (units - mean[:, None]).square().sum(1)
        seen.append(torch.stack([torch.full_like(mean, units.shape[1]), mean, squares]))
        return z

    insert(classifier, site, keep).logits(x)
    # Within each batch and between them.
    count, mean, squares = torch.stack(seen).unbind(1)
    between = count * (mean - (count * mean).sum(0) / count.sum(0)).square()
    spread = ((squares + between).sum(0) / (count.sum(0) - 1)).sqrt()
    return spread.clamp_min(0.05 * spread.mean())


def pixel_scale(family: str, shape: tuple[int, ...]) -> float:
    """By what the sizes of natural triggers grow from 3 x 32 x 32 pixels to this shape (C, H, W):
    an area with the pixels, a norm of a pattern with the root of their number, a displacement with
    the sides, anything else not at all."""
    if len(shape) != 3:
        return 1.0
    pixels = math.prod(shape[1:]) / 32**2
    if family in ("patch", BY_SOURCE, SHARED):
        return pixels
    if family in ("additive", "frequency", "generator"):
        return math.sqrt(pixels * shape[0] / 3)
    if family == "warp":
        return math.sqrt(pixels)
    return 1.0
