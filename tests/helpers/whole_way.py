"""From a model and clean samples to everything that is made of them."""

from __future__ import annotations

from pathlib import Path

import torch

import undoor
from helpers.tiny import TARGET
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.cli.output import save_scan
from undoor.evaluate import Evaluation, evaluate
from undoor.render.reports import REPORTS
from undoor.render.results import Results
from undoor.render.subject import Subject
from undoor.scan.report import ScanReport


def go_the_whole_way(
    classifier: Classifier, clean: CleanSet, fresh: CleanSet, stamped: CleanSet, folder: Path
) -> tuple[ScanReport, Evaluation, dict[str, str]]:
    """Scan, repair, guard, evaluate, export and report; files are written and read again.

    Returns
    -------
    tuple
        The scan, the evaluation and the pages of all reports.
    """
    found = undoor.scan(classifier, clean)
    save_scan(folder / "scan", found)
    report = ScanReport.load(
        folder / "scan", shape=classifier.input_shape, bounds=classifier.bounds
    )
    repair = undoor.repair(classifier, clean, report)
    repair.save(folder / "fix")
    repair = undoor.Repair.load(folder / "fix", classifier)
    guarded = undoor.guard(classifier, repair)
    measured = evaluate(classifier, guarded, fresh, stamped, TARGET)
    for name in ("guarded.pt2", "guarded.onnx"):
        made = undoor.export(classifier, repair, folder / name)
        assert made.parity.inputs >= 15
    # The answers of a rejected input are none of the target.
    blank, flagged, _ = undoor.guard(classifier, repair, policy="reject").logits(stamped.images)
    blank = blank[flagged]
    assert not bool(classifier.task.reached(classifier.task.predictions(blank), TARGET).any())
    assert bool(torch.isfinite(blank).all())
    subject = Subject("toy.toml", "clean/", "Toy", 10, classifier.input_shape, classifier.bounds)
    results = Results(report, subject, repair, measured, examples=fresh)
    return found, measured, {name: kind.render(results) for name, kind in REPORTS.items()}
