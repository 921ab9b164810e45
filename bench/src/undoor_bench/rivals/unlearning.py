"""Unlearning (Neural Cleanse): fine-tune with the estimated trigger under true labels.

Wang et al., Neural Cleanse (IEEE S&P 2019), patching by unlearning: an epoch of fine-tuning in
which a fifth of the images carry the reversed trigger and keep their own label. The trigger here is
the one the scan found, whatever its family; one that acts inside the network is applied there. Of
several findings, every batch takes one by lot. Without findings the method is plain fine-tuning,
with the same descent.

Adapted: theirs is one epoch of a tenth of the training set (5,000 images), ours 400 steps of 64 of
the few clean images; images of the target itself go unstamped, as they have nothing to unlearn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.scan.report import Finding, ScanReport
from undoor.sites import insert
from undoor.triggers import Trigger
from undoor_bench.rivals.common import Descent, descend, finished, logits, tunable
from undoor_bench.rivals.fine_tuning import fine_tuning


@dataclass(frozen=True)
class Unlearning:
    """Settings of unlearning: `stamped` is the share of a batch that carries the trigger."""

    stamped: float = 0.2
    descent: Descent = field(default_factory=Descent)


def unlearning(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    generator: torch.Generator,
    *,
    settings: Unlearning | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Return a copy of `classifier` trained on `clean`, in part under the triggers of `report`.

    Raises
    ------
    UndoorError
        The report is of a model with other classes, fewer than two images, or training diverges.
    """
    settings = settings or Unlearning()
    if not report.findings:
        return fine_tuning(
            classifier, clean, report, generator, settings=settings.descent, progress=progress
        )
    if max(finding.target for finding in report.findings) >= classifier.num_classes:
        raise UndoorError(
            f"the report names a target beyond the model's {classifier.num_classes} classes; "
            "give the report of a scan of this model"
        )
    student = tunable(classifier, clean)
    gradients = _gradients(student, clean, report.findings, settings.stamped, generator)
    descend(student, len(clean), gradients, settings.descent, generator, "unlearning", progress)
    return finished(student)


def _gradients(
    student: Classifier,
    clean: CleanSet,
    findings: tuple[Finding, ...],
    share: float,
    generator: torch.Generator,
) -> Callable[[Tensor], Tensor]:
    stamps = [_Some(finding.trigger) for finding in findings]
    # They train the student: weights and running statistics are its own.
    stamped = [insert(student, stamp.trigger.site, stamp) for stamp in stamps]

    def gradients(rows: Tensor) -> Tensor:
        x, y = clean.images[rows], clean.labels[rows]
        lot = int(torch.randint(len(findings), (), generator=generator))
        stamps[lot].rows = some_rows(y != findings[lot].target, share, generator)
        loss = F.cross_entropy(logits(stamped[lot], x), y)
        loss.backward()
        return loss

    return gradients


def some_rows(allowed: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return a mask [N] of a `share` of all N rows, drawn from those that are allowed.

    Where fewer are allowed, all of them are in it.

    >>> allowed = torch.tensor([True] * 7 + [False] * 3)
    >>> mask = some_rows(allowed, 0.5, torch.Generator().manual_seed(0))
    >>> int(mask.sum()), bool((mask & ~allowed).any())
    (5, False)
    """
    order = torch.randperm(len(allowed), generator=generator)
    chosen = order[allowed[order]][: round(share * len(allowed))]
    mask = torch.zeros_like(allowed)
    mask[chosen] = True
    return mask


class _Some:
    """Applies a trigger to the rows of a batch that are marked for it."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger
        self.rows = torch.zeros(0, dtype=torch.bool)

    def __call__(self, z: Tensor) -> Tensor:
        marked = self.rows.view(-1, *[1] * (z.dim() - 1))
        return torch.where(marked, self.trigger(z).to(z.dtype), z)
