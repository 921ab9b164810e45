"""Latent triggers: a shift of the channels inside the network, early, in the middle or late."""

from __future__ import annotations

from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.device import CPU, on_cpu
from undoor.families.bank import TriggerBank
from undoor.families.family import Family
from undoor.families.generator import GENERATOR
from undoor.families.schedules import Effort, Schedule
from undoor.sites import SiteInfo, insert, is_opaque
from undoor.sites.heads import find_heads, sites_before_heads
from undoor.spaces.images import IMAGES
from undoor.spaces.points import POINTS
from undoor.spaces.signals import SIGNALS
from undoor.spaces.vectors import VECTORS
from undoor.triggers import Latent, Trigger
from undoor.triggers.latent import UNBOUNDED
from undoor.vocabulary import NO_HEAD, NO_SITES, OPAQUE, SAME_SITE

NAME = "latent"
START = 0.1
# Where among the sites of the network, from 0 (the first behind the input) to 1 (the last).
DEPTHS = {"early": 0.15, "middle": 0.6, "late": 0.8}
# Those that are searched for every class of a network for images. In the models that the nulls are
# learned from, the early one has no natural triggers but for a few of very small size, and the late
# one shows nothing that the middle one does not: both make p-values of clean models too low.
FOR_IMAGES = ("middle",)
IMAGES_FOR_SCALE = 256
_SITES: WeakKeyDictionary[Classifier, tuple[SiteInfo, ...]] = WeakKeyDictionary()


class LatentBank(TriggerBank):
    """A shift of every channel, added behind a site inside the network.

    It is what all inputs with the trigger have in common there, whatever their pixels look like.

    The size is the l2 norm of the shift in clean standard deviations of the channels.

    Attributes
    ----------
    scale
        [C], those standard deviations.
    depth
        How the family's name ends.
    """

    step_size = 0.2
    scale: Tensor

    def __init__(
        self, count: int, site: str, scale: Tensor, generator: torch.Generator, *, depth: str
    ) -> None:
        super().__init__(UNBOUNDED, site)
        self.family = f"{NAME} {depth}"
        self.shift = nn.Parameter(
            START * torch.randn(count, len(scale), generator=generator, device=CPU)
        )
        self.register_buffer("scale", scale, False)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return activations x [M, n, C, ...] with the shifts added."""
        shift = (self.shift * self.scale).to(x.dtype)
        return x + shift.view(len(shift), 1, -1, *[1] * (x.dim() - 3))

    def sizes(self) -> Tensor:
        """Return the l2 norms [M] of the shifts, in clean standard deviations."""
        # The root has no gradient at zero.
        return self.shift.square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        shift = (self.shift[index] * self.scale).detach().clone()
        return Latent(self.family, shift, self.site)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Latent)
        with torch.no_grad():
            self.shift[index] = trigger.shift / self.scale


def make_shifts(
    depth: str, count: int, classifier: Classifier, x: Tensor, generator: torch.Generator
) -> LatentBank:
    """Make candidates at the site of this depth, in units of the channels' spread over clean x."""
    site = latent_site(classifier, depth)
    scale = on_cpu(_spread(classifier, site.name, x[:IMAGES_FOR_SCALE]))
    return LatentBank(count, site.name, scale, generator, depth=depth)


def latent_site(classifier: Classifier, depth: str) -> SiteInfo:
    """Return the site that a latent family of this depth shifts."""
    inside = _sites(classifier)
    return inside[_place(depth, len(inside))]


def why_missing(depth: str, classifier: Classifier) -> str | None:
    """Return why a depth cannot be searched; None where it can.

    Latent families need sites, and heads, whose features show the class directions. Where the
    network has few sites, several depths may be one site: the last of them is searched, which is
    named for the layers in front of the heads.
    """
    count = len(_sites(classifier))
    if count:
        depths = FOR_IMAGES if classifier.space.name == IMAGES.name else tuple(DEPTHS)
        places = {_place(each, count): each for each in depths}
        same = count >= len(depths) or places[_place(depth, count)] == depth
        return None if same else SAME_SITE
    if is_opaque(classifier):
        return OPAQUE
    return NO_SITES if find_heads(classifier) else NO_HEAD


def _sites(classifier: Classifier) -> tuple[SiteInfo, ...]:
    """Return where latent families may act; found once for each model."""
    if classifier not in _SITES:
        _SITES[classifier] = sites_before_heads(classifier)
    return _SITES[classifier]


def _place(depth: str, count: int) -> int:
    return round(DEPTHS[depth] * (count - 1))


@torch.no_grad()
def _spread(classifier: Classifier, site: str, x: Tensor) -> Tensor:
    """Return the standard deviation of every channel [C] over clean inputs.

    It has a lower bound, so that a channel that hardly ever fires does not get a tiny unit.
    """
    seen: list[Tensor] = []

    def record(z: Tensor) -> Tensor:
        units = z.transpose(0, 1).flatten(1)
        mean = units.mean(1)
        squares = (units - mean[:, None]).square().sum(1)
        seen.append(torch.stack([torch.full_like(mean, units.shape[1]), mean, squares]))
        return z

    insert(classifier, site, record).logits(x)
    # Within each batch and between them.
    count, mean, squares = torch.stack(seen).unbind(1)
    between = count * (mean - (count * mean).sum(0) / count.sum(0)).square()
    spread = ((squares + between).sum(0) / (count.sum(0) - 1)).sqrt()
    return spread.clamp_min(0.05 * spread.mean())


def _on_request(depth: str) -> frozenset[str]:
    """Return the spaces in which a depth is searched only for what another family found.

    In signals and points no depth showed a target more clearly than the families at the input do.
    """
    others = {SIGNALS.name, POINTS.name}
    return frozenset(others if depth in FOR_IMAGES else {IMAGES.name, *others})


LATENT = tuple(
    Family(
        name=f"{NAME} {depth}",
        unit="l2 norm in standard deviations",
        make=partial(make_shifts, depth),
        effort=Effort(1, Schedule(steps=60, batch=4, weight=0.1)),
        spaces=frozenset({IMAGES.name, VECTORS.name, SIGNALS.name, POINTS.name}),
        at_input=False,
        # A shift without pixels can make anything look like any class.
        barred=True,
        # The units are the network's own: that many are small at once is not informative.
        crowds=False,
        missing=partial(why_missing, depth),
        on_request=_on_request(depth),
        stand_in=GENERATOR,
    )
    for depth in DEPTHS
)
