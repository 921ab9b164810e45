"""The correction with the true trigger in hand: what alignment could do, were the scan perfect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from undoor.align.cross_validation import CrossValidation
from undoor.align.plans import candidate_plans
from undoor.align.select import calibrate_guard, choose_plan, fit_to
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.guard import Guarded
from undoor.progress import Progress, silent
from undoor.sites import find_sites
from undoor.target_repair import MIN_SOURCE_IMAGES, cross_validation_of, max_inputs
from undoor.vocabulary import DEFAULT_FIT, DEFAULT_FPR
from undoor_bench.zoo.planted import Planted


def guard_with_truth(
    classifier: Classifier,
    clean: CleanSet,
    backdoors: Sequence[Planted],
    generator: torch.Generator,
    *,
    fpr: float = DEFAULT_FPR,
    progress: Progress = silent,
) -> tuple[Guarded, dict[str, Any]]:
    """Return a guard fitted with the true trigger on the true sources, and each target's plan.

    No defender knows these. All else is as `undoor.repair` does it by default.

    Parameters
    ----------
    clean
        As the classifier takes it.

    Raises
    ------
    UndoorError
        There are fewer than four clean images of the sources of a target.
    """
    network = classifier.fast_copy()
    sites = find_sites(network)
    plans = candidate_plans(sites)
    limit = max_inputs(sites)
    corrections: dict[int, dict[str, Correction]] = {}
    thresholds, chosen = {}, {}
    for planted in backdoors:
        bench = _bench(network, clean, planted, fpr, limit, generator)
        plan, _, _ = choose_plan(bench, plans, DEFAULT_FIT, progress)
        x = bench.x[bench.sources]
        fitted = fit_to(
            network, planted.trigger, x, plans[plan], fit=DEFAULT_FIT, progress=progress
        )
        corrections[planted.target] = fitted
        thresholds[planted.target] = calibrate_guard(bench, fitted).threshold
        chosen[str(planted.target)] = plan
    return Guarded(classifier, corrections, thresholds), {"plans": chosen}


def _bench(
    network: Classifier,
    clean: CleanSet,
    planted: Planted,
    fpr: float,
    limit: int,
    generator: torch.Generator,
) -> CrossValidation:
    sources = torch.isin(clean.labels, torch.tensor(planted.sources))
    if int(sources.sum()) < MIN_SOURCE_IMAGES:
        raise UndoorError(
            f"expected at least {MIN_SOURCE_IMAGES} clean images of the classes that go to "
            f"{planted.target}, got {int(sources.sum())}; give more per class"
        )
    return cross_validation_of(
        network, clean, planted.target, sources, [planted.trigger], fpr, limit, generator
    )
