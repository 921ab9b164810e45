"""The repair of one target of a black box: the ranges of its trigger's cells, and a threshold."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.align.cell_ranges import cell_ranges
from undoor.align.guard_score import shortfall
from undoor.align.guard_threshold import GuardThreshold
from undoor.align.replaced_cells import ReplacedCells, WithoutCells, replacements
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import CPU, on, shuffled
from undoor.errors import UndoorError
from undoor.inversion.work import Run
from undoor.repairs.contents import TargetRepair
from undoor.scan.report import Finding
from undoor.target_repair import of_sources
from undoor.triggers import Stamp
from undoor.vocabulary import REPLACED_CELLS

FOLDS = 2


def repair_cells(
    classifier: Classifier, clean: CleanSet, finding: Finding, fpr: float, run: Run
) -> TargetRepair:
    """Find the ranges of a trigger's cells, and calibrate the guard that replaces them.

    Nothing in the model is corrected. The guard flags rows that are predicted as the target, whose
    cells lie in the ranges, and whose prediction rests on these cells.

    Parameters
    ----------
    classifier
        A black box, counted by the meter of `run`.
    clean
        Clean rows of all classes.
    finding
        What the scan reported.
    fpr
        As of `undoor.repair`.
    run
        The source of chance.

    Raises
    ------
    UndoorError
        The trigger is none of cells, or there are too few rows of the source classes.
    """
    trigger, target = finding.trigger, finding.target
    classifier.require_classes("repair a model without layers")
    if not isinstance(trigger, Stamp) or trigger.mode != "replace" or not trigger.mask.any():
        raise UndoorError(
            f"expected a trigger of cells of a row, got one of {finding.family!r}; a model without "
            "layers is repaired by its cells alone"
        )
    sources = of_sources(clean, target, finding.sources, classifier.task)
    x, order = clean.images, shuffled(len(clean), run.generator, CPU)
    columns, low, high = cell_ranges(classifier, trigger, x[sources], target)
    judged = []
    for fold in range(FOLDS):
        held = torch.zeros(len(clean), dtype=torch.bool, device=CPU)
        held[order[fold::FOLDS]] = True
        held = on(x.device, held)
        values = replacements(x[~held], columns, run.generator)
        cells = ReplacedCells(columns, low, high, values)
        judged.append(_judged(classifier, clean, cells, trigger, target, held, sources & held))
    clean_scores, scores, labels, answers = (
        torch.cat(parts) for parts in zip(*judged, strict=True)
    )
    calibration = GuardThreshold.of(clean_scores, scores, fpr)
    flagged = ~(scores <= calibration.threshold)
    task = classifier.task
    final = torch.where(flagged, answers, torch.full_like(answers, target))
    values = replacements(x, columns, run.generator)
    run.progress("repairing cells", 1, 1)
    return TargetRepair(
        target=target,
        sources=finding.sources,
        trigger=trigger,
        corrections={},
        calibration=calibration,
        chosen=REPLACED_CELLS,
        sites=(),
        trials=(),
        asr=float(task.reached(final, target).float().mean()),
        sia=float(task.correct(final, labels).float().mean()),
        fpr=float((~(clean_scores <= calibration.threshold)).float().mean())
        if len(clean_scores)
        else 0.0,
        cells=ReplacedCells(columns, low, high, values),
    )


@torch.no_grad()
def _judged(
    classifier: Classifier,
    clean: CleanSet,
    cells: ReplacedCells,
    trigger: Stamp,
    target: int,
    held: Tensor,
    sources: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return scores of clean and triggered held-out rows, and labels and answers of the latter.

    Clean ones are of the target and predicted as it; triggered ones are predicted as it.
    """
    task, without = classifier.task, WithoutCells(classifier, cells.to(classifier.device))
    x = clean.images[held & task.reached(clean.labels, target)]
    bare = classifier(x)
    known = task.reached(task.predictions(bare), target)
    of_clean = shortfall(task, bare[known], without(x[known]), target)
    x, labels = trigger(clean.images[sources]), clean.labels[sources]
    bare = classifier(x)
    moved = task.reached(task.predictions(bare), target)
    after = without(x[moved])
    scores = shortfall(task, bare[moved], after, target)
    return of_clean, scores, labels[moved], task.predictions(task.without(after, target))
