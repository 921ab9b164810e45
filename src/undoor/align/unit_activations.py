"""What a trigger does inside a network, and what the corrections make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.device import on_cpu, shuffled
from undoor.inversion.triggered import triggered
from undoor.sites import attach
from undoor.triggers import Trigger

IMAGES = 128
VALUES = 4096
BATCH = 32


@dataclass(frozen=True, eq=False)
class UnitActivations:
    """Activations of one unit, sampled at the same images and positions.

    Attributes
    ----------
    site
        The name of its site.
    unit
        The number of its channel.
    clean, triggered, corrected
        Samples [M] each.
    moved
        Mean distance of the sorted triggered values from the clean ones, in clean standard
        deviations.
    """

    site: str
    unit: int
    clean: Tensor
    triggered: Tensor
    corrected: Tensor
    moved: float


class _Recorder(nn.Module):
    """An identity that records a sample of every channel, batch after batch."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[Tensor] = []

    def forward(self, z: Tensor) -> Tensor:
        flat = z.detach().transpose(0, 1).flatten(1)
        keep = max(1, VALUES * BATCH // IMAGES)
        if flat.shape[1] > keep:
            # Drawn, not strided: a stride that divides the map would always meet one position.
            generator = torch.Generator().manual_seed(0)
            flat = flat[:, shuffled(flat.shape[1], generator, flat.device)[:keep]]
        self.samples.append(on_cpu(flat))
        return z


def most_moved_units(
    classifier: Classifier,
    corrections: Mapping[str, nn.Module],
    trigger: Trigger,
    images: Tensor,
    *,
    count: int = 6,
    seen: Tensor | None = None,
) -> tuple[UnitActivations, ...]:
    """Return the units of the corrected sites that a trigger moves most, the most moved first.

    `clean` and `triggered` are the output of the site in the given network, `corrected` that of its
    correction for triggered images, with all earlier corrections in place. Nothing given is
    changed.

    Parameters
    ----------
    classifier
        The network without corrections.
    corrections
        By the names of their sites.
    trigger
        What is put on the images.
    images
        Clean images [N, C, H, W], of which at most 128 are used.
    count
        How many units.
    seen
        Other images [M, C, H, W] that carry the true trigger, to be used in the place of triggered
        ones.
    """
    if not corrections or not len(images):
        return ()
    clean_images = _some(images)
    bare: dict[str, nn.Module] = dict.fromkeys(corrections, nn.Identity())
    clean = _record(classifier, bare, clean_images)
    attacked, attacks = _attacked(classifier, trigger, clean_images, seen)
    moved_there = _record(attacked, bare, attacks)
    corrected = _record(attacked, corrections, attacks)
    moved = sorted(
        (
            (float(distance), site, unit)
            for site in corrections
            for unit, distance in enumerate(_distances(clean[site], moved_there[site]))
        ),
        key=lambda item: -item[0],
    )
    return tuple(
        UnitActivations(
            site, unit, clean[site][unit], moved_there[site][unit], corrected[site][unit], distance
        )
        for distance, site, unit in moved[:count]
    )


def site_shifts(
    classifier: Classifier,
    sites: Iterable[str],
    trigger: Trigger,
    images: Tensor,
    *,
    seen: Tensor | None = None,
) -> dict[str, float]:
    """Return how far a trigger moves the channels of each site on average.

    Parameters
    ----------
    classifier, trigger, images, seen
        As of `most_moved_units`.
    sites
        Names of sites.

    Returns
    -------
    dict
        By site, the mean distance in clean standard deviations.
    """
    bare: dict[str, nn.Module] = {name: nn.Identity() for name in sites}
    clean_images = _some(images)
    clean = _record(classifier, bare, clean_images)
    attacked, attacks = _attacked(classifier, trigger, clean_images, seen)
    moved = _record(attacked, bare, attacks)
    return {name: float(_distances(clean[name], moved[name]).mean()) for name in bare}


def _some(images: Tensor) -> Tensor:
    return images[:: max(1, -(-len(images) // IMAGES))]


def _attacked(
    classifier: Classifier, trigger: Trigger, images: Tensor, seen: Tensor | None
) -> tuple[Classifier, Tensor]:
    """Return a network and its triggered inputs: triggered on the way in, or given as `seen`."""
    if seen is None:
        return triggered(classifier, trigger), images
    return classifier, _some(seen)


@torch.no_grad()
def _record(
    classifier: Classifier, corrections: Mapping[str, nn.Module], images: Tensor
) -> dict[str, Tensor]:
    """Return samples [C, M] of the output of each correction."""
    recorders = {name: _Recorder() for name in corrections}
    watched = attach(
        classifier, {name: nn.Sequential(corrections[name], recorders[name]) for name in recorders}
    )
    for batch in classifier.batches(images, BATCH):
        watched(batch)
    return {name: torch.cat(recorder.samples, 1) for name, recorder in recorders.items()}


def _distances(clean: Tensor, triggered: Tensor) -> Tensor:
    """Return one distance per channel.

    One that hardly ever fires is not blown up by its tiny spread.
    """
    spread = clean.std(1, correction=0)
    floor = 0.05 * spread.mean().clamp_min(1e-12)
    count = min(clean.shape[1], triggered.shape[1])
    distance = (_quantiles(triggered, count) - _quantiles(clean, count)).abs().mean(1)
    return distance / spread.clamp_min(floor)


def _quantiles(values: Tensor, count: int) -> Tensor:
    """Return `count` of the sorted values [C, M] of each channel, evenly spaced."""
    last = values.shape[1] - 1
    places = torch.linspace(0, last, count, device=values.device).round().long()
    return values.sort(1).values[:, places]
