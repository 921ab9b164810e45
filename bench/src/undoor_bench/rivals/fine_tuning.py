"""Fine-tuning (FT): go on training with clean images alone.

The plainest rival, and the floor for all others: what the clean images do by themselves. Wu et al.,
BackdoorBench (NeurIPS 2022), run it for 100 epochs of 2,500 images in batches of 256 at a rate of
0.01. Adapted: 400 steps of 64 images (a tenth of their passes, on two cores), and no mirrored or
cropped images (see `common`). Rate, momentum and weight decay are theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.progress import Progress, silent
from undoor.scan.report import ScanReport
from undoor_bench.rivals.common import Descent, descend, finished, loss_on, tunable


def fine_tuning(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    generator: torch.Generator,
    *,
    settings: Descent | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Return a copy of `classifier` trained on `clean`; `report` is not read.

    Raises
    ------
    UndoorError
        Fewer than two images, or training diverges.
    """
    student = tunable(classifier, clean)

    def gradients(rows: Tensor) -> Tensor:
        loss = loss_on(student, clean, rows)
        loss.backward()
        return loss

    descend(
        student, len(clean), gradients, settings or Descent(), generator, "fine-tuning", progress
    )
    return finished(student)
