"""How often clean models are called, by a null of some tens of models."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from undoor.calibrate.lowest import fit_lowest
from undoor.families.calibration import calibration_for
from undoor.families.null import Agreement
from undoor.families.registry import families
from undoor.scan.combination import agreement, as_lowest, combination_of, for_classes
from undoor.scan.statistics import NULL_CLASSES
from undoor.spaces.images import IMAGES
from undoor.tasks.single_label import SINGLE_LABEL

ALPHA = 0.02
MODELS, FITS, OTHERS = 60, 600, 4000
SEARCHED = {f.name: f.null for f in families() if f.null and f.searched_in(IMAGES, SINGLE_LABEL)}


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("classes", [2, 172])
def test_families_that_depend_on_each_other_keep_their_level(rho: float, classes: int) -> None:
    """Normal scores with a correlation between families. Fitted on 60 clean models of ten classes,
    at most 1.5 times as many of others are called as asked for, on average over such fits."""
    known, agreed = _of_ten_classes(rho)
    others = combination_of(_p_values(rho, classes, OTHERS, seed=1), SEARCHED, agreed).min(0)
    called = []
    for models in known.reshape(FITS, MODELS):
        p = for_classes(as_lowest(others, fit_lowest(models.tolist())), classes)
        called.append((p <= ALPHA).mean())
    assert np.mean(called) <= 1.5 * ALPHA


@functools.cache
def _of_ten_classes(rho: float) -> tuple[NDArray[np.float64], Agreement]:
    """The lowest combinations of clean models, and their agreement, which is fitted on such models
    as well: that of others says too much of families that depend on each other more."""
    p = _p_values(rho, NULL_CLASSES, FITS * MODELS, seed=2)
    highest = agreement(p, {family: null.weight for family, null in SEARCHED.items()}).max(0)
    location, scale = stats.gumbel_r.fit(highest[:OTHERS])
    agreed = Agreement(
        float(location), float(scale), calibration_for(NULL_CLASSES).agreement.weight
    )
    return combination_of(p, SEARCHED, agreed).min(0), agreed


def _p_values(rho: float, classes: int, models: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """By family, those of the classes of clean models [classes, models]."""
    generator, shape = np.random.default_rng(seed), (classes, models)
    common = generator.normal(size=shape)
    out = {}
    for family in SEARCHED:
        z = math.sqrt(rho) * common + math.sqrt(1 - rho) * generator.normal(size=shape)
        out[family] = -np.expm1(classes * np.log1p(-stats.norm.sf(z)))
    return out
