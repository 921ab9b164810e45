"""Fit the corrections of all sites of a network in one pass over [clean; triggered]."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor, nn

from undoor.align.onepass import fit_moments
from undoor.align.paired import fit_pairs
from undoor.align.paper import fit_divergence
from undoor.align.reference import fit_upper_bound
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.sites import attach
from undoor.vocabulary import (
    DEFAULT_FIT,
    ONEPASS,
    PAIRED,
    PAIRED_UNBOUNDED,
    PAPER,
    REFERENCE,
    Granularity,
)

FitSite = Callable[[Tensor, Tensor, Granularity], Correction]
FITS: dict[str, FitSite] = {
    PAIRED: fit_pairs,
    ONEPASS: fit_moments,
    PAPER: fit_divergence,
    REFERENCE: fit_upper_bound,
    # Parts of h left out.
    PAIRED_UNBOUNDED: partial(fit_pairs, clip=False),
    "onepass_affine": partial(fit_moments, clip=False),
    "onepass_clip": partial(fit_moments, affine=False),
    # The same with other divergences than total variation.
    "paper_js": partial(fit_divergence, divergence="js"),
    "paper_kl": partial(fit_divergence, divergence="kl"),
}
# Where triggered inputs are not the clean ones with a trigger, no pairs are known.
UNPAIRED: dict[str, str] = {PAIRED: ONEPASS, PAIRED_UNBOUNDED: ONEPASS}

Plan = Mapping[str, Granularity]


@torch.no_grad()
def fit_corrections(
    classifier: Classifier,
    clean: Tensor,
    triggered: Tensor,
    plan: Plan,
    *,
    fit: str = DEFAULT_FIT,
    progress: Progress = silent,
) -> dict[str, Correction]:
    """One correction for each site of `plan`, fitted in the order in which the network runs.

    Clean and triggered inputs go through the network side by side, once. Each site sees both
    parts, fits, and passes the triggered part on corrected, so that every later site is fitted
    on what it will see (the paper: upstream sites are already corrected).

    Parameters
    ----------
    clean, triggered : raw inputs [n, ...] without and [m, ...] with the trigger; for "paired" the
        same n inputs in the same order. Every other fit compares distributions: they need not be
        the same inputs, nor as many, but should be of the same mix of classes.
    plan : site name to granularity. fit : one of `FITS`.
    """
    if fit not in FITS:
        raise UndoorError(f"unknown fit {fit!r}; choose one of {', '.join(FITS)}")
    done = itertools.count(1)

    def tell() -> None:
        progress("fitting corrections", next(done), len(plan))

    share = Fraction(len(clean), len(clean) + len(triggered))
    fitting = {
        name: _Fitting(FITS[fit], granularity, share, tell) for name, granularity in plan.items()
    }
    attach(classifier, fitting)(torch.cat([clean, triggered]))
    return {name: module.result() for name, module in fitting.items()}


def unpaired(fit: str) -> str:
    """The fit, or the one that stands for it where triggered inputs are others than the clean.

    >>> unpaired("paired"), unpaired("paper")
    ('onepass', 'paper')
    """
    return UNPAIRED.get(fit, fit)


class _Fitting(nn.Module):
    """Stands where the correction will stand; fits it from the batch that comes by.

    share : which part of the batch, from the front, is clean. A share, not a number of rows: inside
    a network an input may be several rows.
    """

    def __init__(
        self, fit: FitSite, granularity: Granularity, share: Fraction, done: Callable[[], None]
    ) -> None:
        super().__init__()
        self.share = share
        self.fit = fit
        self.done = done
        self.granularity = granularity
        self.correction: Correction | None = None

    def forward(self, z: Tensor) -> Tensor:
        cut = int(len(z) * self.share)
        clean, triggered = z[:cut], z[cut:]
        self.correction = self.fit(clean, triggered, self.granularity)
        self.done()
        return torch.cat([clean, self.correction(triggered)])

    def result(self) -> Correction:
        assert self.correction is not None
        return self.correction
