"""What a true trigger does to each layer of a network, and what a correction there gives back.

The true trigger is known here, so that no number of this file says what a defender reaches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from undoor.align.fit import Plan, fit_corrections
from undoor.align.unit_activations import site_shifts
from undoor.classifier import Classifier
from undoor.sites import SiteInfo, attach, find_sites
from undoor.triggers import Trigger
from undoor.vocabulary import Granularity

# Inputs that a correction is fitted on, and others that it is tried on.
FITTED, TRIED = 200, 300
GRANULARITIES: tuple[Granularity, ...] = ("channel", "position")
# Parts into which the depth is cut for tables and plots.
PARTS = 5
# Maps with more positions are corrected per channel alone, as in a repair.
LARGEST = 32


@dataclass(frozen=True, eq=False)
class Known:
    """A network with a backdoor, inputs of the classes that it moves, and its true trigger.

    Attributes
    ----------
    name
        Of the model.
    network, attack, data
        How it was made.
    classifier
        The network.
    trigger
        The true one.
    x, y
        Clean inputs [N, ...] and their labels [N].
    target
        What triggered inputs are predicted as.
    """

    name: str
    network: str
    attack: str
    data: str
    classifier: Classifier
    trigger: Trigger
    x: Tensor
    y: Tensor
    target: int


@dataclass(frozen=True)
class Layer:
    """One site of one network.

    Attributes
    ----------
    model, network, attack, data
        As of `Known`.
    site
        Its name.
    depth
        Its place among the sites, from 0, the input, to 1, the last.
    shift
        How far the trigger moves the distribution of a channel on average, as a distance
        (Wasserstein's first) in clean standard deviations.
    asr, ra
        Attack success rate and robust accuracy with this site alone corrected, at the granularity
        with the higher RA.
    bare_asr, bare_ra
        Without corrections.
    """

    model: str
    network: str
    attack: str
    data: str
    site: str
    depth: float
    shift: float
    asr: float
    ra: float
    bare_asr: float
    bare_ra: float

    def to_json(self) -> dict[str, Any]:
        """Return every field by its name."""
        return dict(vars(self))


def layers_of(known: Known) -> list[Layer]:
    """Return every site of a network, in the order in which it runs."""
    classifier, trigger = known.classifier, known.trigger
    # Token ids themselves have no distribution to move back.
    sites = [site for site in find_sites(classifier) if not site.discrete]
    order = torch.randperm(len(known.x), generator=torch.Generator().manual_seed(0))
    fitted, tried = order[:FITTED], order[FITTED : FITTED + TRIED]
    if not len(tried):
        tried = fitted
    shifts = site_shifts(classifier, [site.name for site in sites], trigger, known.x[tried])
    x, y = known.x[tried], known.y[tried]
    bare = _rates(classifier, trigger(x), y, known.target)
    clean, away = known.x[fitted], trigger(known.x[fitted])
    out = []
    for place, site in enumerate(sites):
        best = max(
            (
                _rates(_corrected(classifier, clean, away, plan), trigger(x), y, known.target)
                for plan in _plans(site)
            ),
            key=lambda rates: rates[1],
        )
        depth = place / max(1, len(sites) - 1)
        facts = (known.name, known.network, known.attack, known.data)
        out.append(Layer(*facts, site.name, depth, shifts[site.name], *best, *bare))
    return out


def parts_of(layers: Sequence[Layer]) -> Iterator[tuple[str, list[Layer]]]:
    """Yield the layers of each fifth of the depth under its name; empty ones are left out.

    >>> list(parts_of([]))
    []
    """
    for number in range(PARTS):
        part = [each for each in layers if min(int(PARTS * each.depth), PARTS - 1) == number]
        if part:
            yield f"{100 * number // PARTS} to {100 * (number + 1) // PARTS} %", part


def _plans(site: SiteInfo) -> list[Plan]:
    wide = len(site.shape) > 1 and site.extent > LARGEST
    return [{site.name: g} for g in (GRANULARITIES[:1] if wide else GRANULARITIES)]


def _corrected(classifier: Classifier, clean: Tensor, away: Tensor, plan: Plan) -> Classifier:
    return attach(classifier, fit_corrections(classifier, clean, away, plan))


def _rates(classifier: Classifier, x: Tensor, y: Tensor, target: int) -> tuple[float, float]:
    """Return ASR and RA on triggered inputs with their true labels."""
    predicted = classifier.predict(x)
    return float((predicted == target).float().mean()), float((predicted == y).float().mean())
