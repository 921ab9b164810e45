"""Fit the corrections of all sites of a network in one pass over [clean; triggered]."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache, partial

import torch
from torch import Tensor, nn

from undoor.align.left_out import LeftOut, leave_out
from undoor.align.onepass import fit_moments
from undoor.align.paired import fit_pairs
from undoor.align.paper import fit_divergence
from undoor.align.reference import fit_upper_bound
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.extensions import extensions, require_named
from undoor.progress import Progress, silent
from undoor.sites import attach
from undoor.vocabulary import (
    DEFAULT_FIT,
    FIT_GROUP,
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

Plan = Mapping[str, Granularity | LeftOut]


@cache
def fits() -> dict[str, FitSite]:
    """Return all fits by their names: `FITS`, then those of other packages.

    A package adds one through an entry point of the group ``undoor.fits`` that names a function of
    clean activations [n, C, ...], triggered ones [m, C, ...] and a granularity, which returns a
    `undoor.align.transform.Correction`. The entry point's name is the fit's.

    Raises
    ------
    UndoorError
        An entry point cannot be loaded, is no function, or has the name of another fit.
    """
    found = dict(FITS)
    for extension in extensions(FIT_GROUP):
        name, fit = extension.name, extension.value
        if not callable(fit):
            raise UndoorError(
                f"expected the entry point {name} of {FIT_GROUP} to be a function of clean "
                f"activations, triggered activations and a granularity, got {type(fit).__name__}"
            )
        if name in found:
            raise UndoorError(
                f"expected fits of different names, got {name!r} again from an entry point of "
                f"{FIT_GROUP}; rename it"
            )
        found[name] = fit
    return found


def require_fit(name: str) -> FitSite:
    """Return the fit of this name.

    Raises
    ------
    UndoorError
        There is none.
    """
    return require_named(fits(), name, "a fit")


def fit_version(name: str) -> str:
    """Return the version of the package that adds a fit; empty for `FITS`.

    Corrections of another version are others, so that a journal must tell them apart.

    >>> fit_version("paired")
    ''
    """
    return next((each.version for each in extensions(FIT_GROUP) if each.name == name), "")


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
    """Fit one correction for each site of `plan`, in the order in which the network runs.

    Clean and triggered inputs go through the network side by side, once. Each site sees both
    parts, fits, and passes the triggered part on corrected, so that every later site is fitted
    on what it will see (the paper: upstream sites are already corrected).

    Parameters
    ----------
    clean, triggered
        Raw inputs [n, ...] without and [m, ...] with the trigger; for "paired" the same n inputs in
        the same order. Every other fit compares distributions: they need not be the same inputs,
        nor as many, but should have the same class balance.
    plan
        Site name to granularity, or to what is left out there.
    fit
        One of `fits()`.
    progress
        Progress callback.

    Returns
    -------
    dict
        Corrections by the name of their site.
    """
    fit_site = require_fit(fit)
    done = itertools.count(1)

    def report() -> None:
        progress("fitting corrections", next(done), len(plan))

    share = Fraction(len(clean), len(clean) + len(triggered))
    fitting = {
        name: _Fitting(fit_site, granularity, share, report) for name, granularity in plan.items()
    }
    attach(classifier, fitting)(torch.cat([clean, triggered]))
    return {name: module.result() for name, module in fitting.items()}


def unpaired(fit: str) -> str:
    """Return the fit to use where triggered inputs are not the clean ones with a trigger.

    >>> unpaired("paired"), unpaired("paper")
    ('onepass', 'paper')
    """
    return UNPAIRED.get(fit, fit)


class _Fitting(nn.Module):
    """Stands where the correction will stand; fits it from the batch that comes by.

    Parameters
    ----------
    share
        Which part of the batch, from the front, is clean. A share, not a number of rows: inside a
        network an input may be several rows.
    """

    def __init__(
        self,
        fit: FitSite,
        granularity: Granularity | LeftOut,
        share: Fraction,
        done: Callable[[], None],
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
        self.correction = self._fitted(clean, triggered)
        self.done()
        return torch.cat([clean, self.correction(triggered)])

    def _fitted(self, clean: Tensor, triggered: Tensor) -> Correction:
        if isinstance(self.granularity, LeftOut):
            return leave_out(clean, self.granularity)
        correction = self.fit(clean, triggered, self.granularity)
        if not isinstance(correction, Correction):
            raise UndoorError(
                "expected a fit to return an undoor.align.transform.Correction, got "
                f"{type(correction).__name__}; repair the package that adds this fit"
            )
        return correction

    def result(self) -> Correction:
        assert self.correction is not None
        return self.correction
