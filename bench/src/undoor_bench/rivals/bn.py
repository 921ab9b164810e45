"""Batch norm statistics re-estimated on clean images (BN).

A network trained on poisoned images keeps statistics of both kinds; here its running means and
variances become those of the clean images alone, and no weight changes (Li et al., Revisiting Batch
Normalization for Practical Domain Adaptation, arXiv 1603.04779, whose domain is "clean"). All
images pass as one batch, so that every layer's statistics are exactly those of the data behind
layers that were re-estimated as well. There is nothing to set; a thousand images of 32 x 32 take
some hundred megabytes for a moment.
"""

from __future__ import annotations

import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.scan.report import ScanReport
from undoor_bench.rivals.common import finished, norms, tunable


def bn(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    generator: torch.Generator,
    *,
    progress: Progress = silent,
) -> Classifier:
    """Return a copy of `classifier` with the statistics of `clean`.

    Nothing is drawn, `report` not read.

    Raises
    ------
    UndoorError
        The network keeps no such statistics, or there are fewer than two images.
    """
    changed = tunable(classifier, clean)
    counting = [norm for norm in norms(changed) if norm.running_mean is not None]
    if not counting:
        raise UndoorError(
            "the network has no batch norm with running statistics, so none can be re-estimated; "
            "use another rival, such as fine_tuning"
        )
    momenta = [norm.momentum for norm in counting]
    for norm in counting:
        norm.momentum = 1.0
    with torch.no_grad():
        changed(clean.images)
    for norm, momentum in zip(counting, momenta, strict=True):
        norm.momentum = momentum
    progress("re-estimating statistics", 1, 1)
    return finished(changed)
