"""BadActs: bounds on every neuron of every layer, as tight as predictions allow.

Yi et al., BadActs: A Universal Backdoor Defense in the Activation Space (Findings of ACL 2024,
arXiv 2405.11227), for text classifiers. With f' the network whose neurons are cut off at an upper
bound u and a lower one u - exp(m), u and m minimise

    mean over clean x of (f'(x) - f(x))^2 + c * |exp(m)|

on the clean texts that f predicts correctly. All settings are those of the released code: u and m
start at 1, Adam at a rate of 0.01, 50 epochs of batches of 32, c starts at 0.1; in every fifth
epoch after the tenth it grows by a factor of 1.2 where at least 98 % of the predictions stay, else
it shrinks by it; below 97 % at the end all is done again with half of c.

Adapted: neurons are the channels behind norms (theirs: the outputs of the blocks of BERT, which are
those of a norm, too), bounded at all positions (padding is masked in all networks here). After six
rounds the last bounds are taken; the released code goes on for ever.
"""

from __future__ import annotations

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
from undoor.sites import SiteInfo, attach, find_sites
from undoor_bench.rivals.common import accuracy, finished, known, require_finite

STAGE = "bounding neurons"


@dataclass(frozen=True)
class BadActs:
    """Settings of BadActs.

    Attributes
    ----------
    epochs, batch, rate
        Of Adam on the bounds.
    weight, factor
        c, and by what it grows and shrinks.
    first, every
        The epoch after which c changes, and how often.
    keep, enough
        Share of the predictions that must stay while learning, and at the end.
    rounds
        How often all is done again at most.
    """

    epochs: int = 50
    batch: int = 32
    rate: float = 0.01
    weight: float = 0.1
    factor: float = 1.2
    first: int = 10
    every: int = 5
    keep: float = 0.98
    enough: float = 0.97
    rounds: int = 6


def bad_acts(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    generator: torch.Generator,
    *,
    settings: BadActs | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Return a copy of `classifier` with bounded neurons; `report` is not read.

    Raises
    ------
    UndoorError
        The network has no hidden layer or predicts no clean input correctly, or the loss is not
        finite.
    """
    settings = settings or BadActs()
    base = classifier.fast_copy().requires_grad_(False)
    right, sites = known(base, clean), find_sites(base)[1:]
    if not sites:
        raise UndoorError("BadActs bounds hidden layers, the network has none; use fine_tuning")
    weight = settings.weight
    for _ in range(max(1, settings.rounds)):
        bounds = {site.name: _Bounds(site) for site in sites}
        bounded = attach(base, bounds)
        _learn(bounded, bounds, base, right, weight, generator, settings, progress)
        if accuracy(bounded, right) >= settings.enough:
            break
        weight /= 2
    return finished(attach(base, {name: each.frozen() for name, each in bounds.items()}))


class _Bounds(nn.Module):
    """z, cut off above u and below u - exp(m), for each channel."""

    def __init__(self, site: SiteInfo) -> None:
        super().__init__()
        shape = (site.shape[0], *[1] * (len(site.shape) - 1))
        self.high = nn.Parameter(torch.ones(shape))
        self.margin = nn.Parameter(torch.ones(shape))

    def forward(self, z: Tensor) -> Tensor:
        return torch.maximum(torch.minimum(z, self.high), self.high - self.margin.exp())

    @torch.no_grad()
    def frozen(self) -> Correction:
        one, none = torch.ones_like(self.high), torch.zeros_like(self.high)
        return Correction(one, none, self.high - self.margin.exp(), self.high)


def _learn(
    bounded: Classifier,
    bounds: dict[str, _Bounds],
    base: Classifier,
    right: CleanSet,
    weight: float,
    generator: torch.Generator,
    settings: BadActs,
    progress: Progress,
) -> None:
    """Learn the bounds of `bounded` in place, beginning with this weight of their width."""
    optimizer = torch.optim.Adam(
        [value for each in bounds.values() for value in each.parameters()], settings.rate
    )
    wanted = base.logits(right.images, 256)
    for epoch in range(settings.epochs):
        for rows in torch.randperm(len(right), generator=generator).split(settings.batch):
            width = torch.cat([each.margin.exp().flatten() for each in bounds.values()]).norm()
            loss = F.mse_loss(bounded(right.images[rows]), wanted[rows]) + weight * width
            require_finite(loss, STAGE)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch > settings.first and epoch % settings.every == 0:
            enough = accuracy(bounded, right) >= settings.keep
            weight = weight * settings.factor if enough else weight / settings.factor
        progress(STAGE, epoch + 1, settings.epochs)
