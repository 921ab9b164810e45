"""Activation clipping (MMAC): bounds on every channel that limit the largest margins.

Wang, Xiang, Miller, Kesidis, Improved Activation Clipping for Universal Backdoor Mitigation and
Test-Time Detection (arXiv 2308.04617), which follows the clipping of MM-BD (IEEE S&P 2024). A
backdoor overfits: it drives activations, and the margin of its class, higher than any clean image.
With f' the network whose channels are cut off at bounds Z, Z minimises

    mean over clean x of (f'(x; Z) - f(x))^2 + c * mean over classes t of max over x of margin_t(x)

where margin_t is the logit of t less the largest other. The inner maxima are images found from
noise by ascent. c grows by a factor of 1.2 while at least 95 % of the clean images that f predicts
correctly still are, and shrinks by it otherwise; factor, share and first c (0.002, of a sum over
200 images: 0.4 of a mean) are those of the released code.

Adapted: a bound is a multiple of the largest value that the channel takes on clean images, learned
from 1 at a rate of 0.025 by Adam (theirs starts at 1.0 with a rate of 0.1, in a network whose
maxima are about 4), and is never negative. Bounds stand behind batch norms or, without these,
behind hidden linear maps; theirs stand behind each ReLU, which is the same but where a residual
branch is added in between. 300 steps of 64 clean and 64 certain images, about 100 certain images
by 100 steps of Adam, made three times (theirs: 50 a class by 300 steps of SGD, three times, 300
epochs of 500 images), for the network as bounded so far, as the equation has it. Returned are the
last bounds that kept the 95 %, not those of the last step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.scan.report import ScanReport
from undoor.sites import attach, find_sites
from undoor_bench.rivals.common import (
    accuracy,
    finished,
    known,
    logits,
    minibatches,
    require_finite,
)
from undoor_bench.watch import watched

STAGE = "bounding activations"


@dataclass(frozen=True)
class Clipping:
    """Settings of activation clipping.

    Attributes
    ----------
    steps, batch, rate
        Of Adam on the bounds.
    rounds
        How often certain images are made anew.
    certain
        Certain images of all classes together, at least two per class.
    certain_steps, certain_rate
        Steps for them, and their rate in units of the input's range.
    weight, factor, patience
        c, its growth, and the steps between two decisions on it.
    keep
        The share of the correctly predicted clean images that must stay so.
    """

    steps: int = 300
    batch: int = 64
    rate: float = 0.025
    rounds: int = 3
    certain: int = 100
    certain_steps: int = 100
    certain_rate: float = 0.02
    weight: float = 0.4
    factor: float = 1.2
    patience: int = 10
    keep: float = 0.95


def clipping(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    generator: torch.Generator,
    *,
    settings: Clipping | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Return a copy of `classifier` with bounded channels; `report` is not read.

    Raises
    ------
    UndoorError
        The network has no hidden layer or predicts no clean image correctly, or the loss is not
        finite.
    """
    settings = settings or Clipping()
    base = classifier.fast_copy()
    right = known(base, clean)
    ceilings = _ceilings(base, right.images)
    bounds = learn_bounds(base, ceilings, right, generator, settings, progress)
    return finished(attach(base, bounds))


def learn_bounds(
    base: Classifier,
    ceilings: Mapping[str, _Ceiling],
    right: CleanSet,
    generator: torch.Generator,
    settings: Clipping,
    progress: Progress,
) -> dict[str, Correction]:
    """Return the last bounds under which enough images of `right` were predicted correctly."""
    bounded = attach(base, ceilings)
    last_good = _bounds(ceilings)
    optimizer = torch.optim.Adam([c.share for c in ceilings.values()], settings.rate)
    wanted, weight, certain = _logits(base, right.images), settings.weight, right
    lasts = -(-settings.steps // settings.rounds)
    batches = minibatches(len(right), settings.batch, settings.steps, generator)
    for step, rows in enumerate(batches):
        if step % lasts == 0:
            certain = most_certain(bounded, generator, settings)
        some = torch.randint(len(certain), (settings.batch,), generator=generator)
        margins = _margins(logits(bounded, certain.images[some]), certain.labels[some])
        fidelity = F.mse_loss(logits(bounded, right.images[rows]), wanted[rows])
        loss = fidelity + weight * margins.mean()
        require_finite(loss, STAGE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % settings.patience == 0:
            enough = accuracy(bounded, right) >= settings.keep
            last_good = _bounds(ceilings) if enough else last_good
            weight = weight * settings.factor if enough else weight / settings.factor
        progress(STAGE, step + 1, settings.steps)
    return last_good


def most_certain(
    classifier: Classifier, generator: torch.Generator, settings: Clipping
) -> CleanSet:
    """Return, for every class, images that the classifier predicts as it with the largest margin.

    They are optimised from noise: no clean images of anything, although the type is a clean set.
    """
    each = max(2, settings.certain // classifier.num_classes)
    labels = torch.arange(classifier.num_classes).repeat_interleave(each)
    low, high = classifier.bounds
    unit = torch.rand(len(labels), *classifier.input_shape, generator=generator)
    unit.requires_grad_(True)
    optimizer = torch.optim.Adam([unit], settings.certain_rate)
    for _ in range(settings.certain_steps):
        loss = -_margins(logits(classifier, low + (high - low) * unit), labels).sum()
        (unit.grad,) = torch.autograd.grad(loss, unit)
        optimizer.step()
        unit.data.clamp_(0, 1)
    return CleanSet(low + (high - low) * unit.detach(), labels)


class _Ceiling(nn.Module):
    """z, cut off above `share` of each channel's largest clean value."""

    top: Tensor

    def __init__(self, top: Tensor) -> None:
        super().__init__()
        self.register_buffer("top", top)
        self.share = nn.Parameter(torch.ones_like(top))

    def forward(self, z: Tensor) -> Tensor:
        return torch.minimum(z, self.bound())

    def bound(self) -> Tensor:
        return self.share.clamp_min(0) * self.top


@torch.no_grad()
def _ceilings(base: Classifier, images: Tensor) -> dict[str, _Ceiling]:
    names = [site.name for site in find_sites(base)[1:]]
    if not names:
        raise UndoorError(
            "clipping bounds the channels of hidden layers that run once in a pass, the network "
            "has none; use fine_tuning"
        )
    with watched(base, names) as seen:
        base(images)
    return {name: _Ceiling(_largest(seen[name])) for name in names}


def _largest(z: Tensor) -> Tensor:
    """Return the largest value of each channel of z [N, C, ...], 0 at least, as [C, 1...]."""
    return z.amax((0, *range(2, z.dim())), keepdim=True)[0].clamp_min(0)


@torch.no_grad()
def _bounds(ceilings: Mapping[str, _Ceiling]) -> dict[str, Correction]:
    return {name: _as_correction(ceiling.bound()) for name, ceiling in ceilings.items()}


def _as_correction(bound: Tensor) -> Correction:
    one, none = torch.ones_like(bound), torch.zeros_like(bound)
    return Correction(one, none, torch.full_like(bound, -torch.inf), bound)


@torch.no_grad()
def _logits(base: Classifier, images: Tensor) -> Tensor:
    return torch.cat([logits(base, batch) for batch in images.split(256)])


def _margins(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the logit of each label less the largest other one [N]."""
    labelled = F.one_hot(labels, scores.shape[1]).bool()
    return scores[labelled] - scores.masked_fill(labelled, -torch.inf).amax(1)
