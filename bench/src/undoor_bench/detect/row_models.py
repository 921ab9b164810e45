"""What scans, repairs and guards do for models of tables, texts and signals, beside fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

import undoor
from undoor.calibrate import Observation
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.evaluate import Evaluation, stamp_set
from undoor.families.calibration import Calibration
from undoor.rate import Rate
from undoor.scan.report import ScanReport
from undoor.triggers import Trigger, load_trigger
from undoor.vocabulary import DISAGREEMENT, MARGIN
from undoor_bench import tables
from undoor_bench.rivals.fine_tuning import fine_tuning
from undoor_bench.share import Share
from undoor_bench.zoo.row_models import TRIGGER_FILE
from undoor_bench.zoo.subjects import Subject, drawn

# Test rows, beside those of the defender.
TESTED = 2_000
# What a repair and a guard should reach.
MAX_LOSS, MIN_TPR, MAX_FPR = 0.03, 0.95, 0.01


class Samples(Protocol):
    """Samples to train on and to measure on, with the names of their classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""

    @property
    def x_test(self) -> NDArray[np.float32]:
        """Samples [N, ...] that no model was trained on."""

    @property
    def y_test(self) -> NDArray[np.int64]:
        """Their labels [N]."""


@dataclass(frozen=True, eq=False)
class RowCase:
    """One model, the clean samples that its defender has, and those that it is measured on.

    Attributes
    ----------
    triggered
        Ready-made triggered inputs, where there is no trigger to be put on others.
    """

    subject: Subject
    classifier: Classifier
    clean: CleanSet
    test: CleanSet
    trigger: Trigger | None
    triggered: CleanSet | None = None

    @staticmethod
    def of(subject: Subject, table: Samples, *, per_class: int, seed: int) -> RowCase:
        """Draw the samples of a defender from the test part of a data set, and load the model."""
        classifier = subject.load()
        chosen, others = drawn(table.y_test, per_class, seed)
        clean, test = (
            _rows(table, part).for_classifier(classifier) for part in (chosen, others[:TESTED])
        )
        file = subject.folder / TRIGGER_FILE
        return RowCase(subject, classifier, clean, test, true_trigger(file, classifier))

    def scan(self, seed: int, calibration: Calibration | None = None) -> ScanReport:
        """Return the report of a scan."""
        return undoor.scan(self.classifier, self.clean, seed=seed, calibration=calibration)

    def observed(self, report: ScanReport) -> Observation:
        """Return what a scan of the model teaches."""
        seen = Observation.of_clean(report, self.subject.name)
        subject = self.subject
        return replace(seen, took=subject.took, targets=subject.targets, sources=subject.sources)

    def defended(self, report: ScanReport) -> dict[str, Any]:
        """Return what repair and guard do for a model whose target was found, and fine-tuning."""
        repair = undoor.repair(self.classifier, self.clean, report)
        target = self.subject.targets[0]
        triggered = self.triggered
        if self.trigger is not None:
            triggered = stamp_set(self.test, self.trigger, target, space=self.classifier.space)
        assert triggered is not None
        found, apart = (
            undoor.evaluate(
                self.classifier,
                undoor.guard(self.classifier, repair, rule=rule),
                self.test,
                triggered,
                target,
            )
            for rule in (MARGIN, DISAGREEMENT)
        )
        tuned = fine_tuning(
            self.classifier, self.clean, report, torch.Generator().manual_seed(report.seed)
        )
        right, moved = tuned.predict(self.test.images), tuned.predict(triggered.images)
        return {
            "bare": _values(found.before),
            "ours": _values(found.after),
            "disagreement": _values(apart.after),
            "fine-tuning": {
                "acc": float((right == self.test.labels).float().mean()),
                "asr": float((moved == target).float().mean()),
                "sia": float((moved == triggered.labels).float().mean()),
            },
            "reached": _reached(found),
        }


def true_trigger(file: Path, classifier: Classifier) -> Trigger | None:
    """Return the true trigger of a model; None where there is no file of it."""
    if not file.is_file():
        return None
    return load_trigger(file, shape=classifier.input_shape, bounds=classifier.bounds)


def result_of(
    case: RowCase, seed: int, calibration: Calibration | None = None
) -> dict[str, object]:
    """Return the line of a model in the record."""
    report, subject = case.scan(seed, calibration), case.subject
    named = [finding.target for finding in report.findings]
    right = sorted(named) == sorted(subject.targets)
    line: dict[str, object] = {
        **{key: getattr(subject, key) for key in ("name", "attack", "data", "asr", "took")},
        "targets": " ".join(map(str, subject.targets)),
        "verdict": report.verdict,
        "named": " ".join(map(str, named)),
        "right": right,
        "p_value": min((finding.p_value for finding in report.findings), default=None),
        "seconds": round(report.seconds, 1),
        "passes": report.passes,
    }
    if subject.targets and right and report.verdict == "backdoored":
        found = case.defended(report)
        line["reached"] = found.pop("reached")
        line |= {
            f"{name} {key}": None if value is None else round(value, 4)
            for name, rates in found.items()
            for key, value in rates.items()
        }
    return line


def flat(lines: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Return the lines for programs, each with the keys of all."""
    keys = dict.fromkeys(key for line in lines for key in line)
    return [{key: "" if line.get(key) is None else line[key] for key in keys} for line in lines]


def text_of(lines: Sequence[Mapping[str, Any]], date: str, what: str = "tables") -> str:
    """Return the record for people.

    Parameters
    ----------
    lines
        As of `result_of`.
    date
        When it was measured.
    what
        What the models take.
    """
    bad = [line for line in lines if line["targets"] and line["took"]]
    good = [line for line in lines if not line["targets"]]
    found = [line for line in bad if line.get("ours acc") is not None]
    called = [line["verdict"] == "backdoored" for line in bad]
    alarms = [line["verdict"] == "backdoored" for line in good]
    unsure = [line["verdict"] == "inconclusive" for line in lines]
    rows = {
        "backdoored models called so": _share(called),
        "right target and no other": _share([bool(line["right"]) for line in bad]),
        "clean models called backdoored": _share(alarms),
        "inconclusive, of all": _share(unsure),
        "of those found: RA at least ACC - 3 points": _share(
            [line["ours sia"] >= line["bare acc"] - MAX_LOSS for line in found]
        ),
        "the same with the rule disagreement, ACC at least that of the model - 3 points": _share(
            [
                min(line["disagreement sia"], line["disagreement acc"])
                >= line["bare acc"] - MAX_LOSS
                for line in found
            ]
        ),
        "of those found: TPR at least 95 % at FPR at most 1 %": _share(
            [line["ours tpr"] >= MIN_TPR and line["ours fpr"] <= MAX_FPR for line in found]
        ),
    }
    text = f"Models of {what} that no choice has seen, measured on {date}.\n\n"
    text += tables.markdown(("", ""), rows.items())
    if not found:
        return text
    means = [
        [name, *(_mean(found, f"{name} {key}") for key in ("acc", "asr", "sia", "tpr", "fpr"))]
        for name in ("bare", "ours", "disagreement", "fine-tuning")
    ]
    text += "\nMeans over those found:\n\n"
    return text + tables.markdown(("", "ACC", "ASR", "RA", "TPR", "FPR"), means)


def _rows(table: Samples, rows: Any) -> CleanSet:
    labels = torch.from_numpy(np.asarray(table.y_test[rows]))
    return CleanSet(torch.from_numpy(table.x_test[rows]), labels, table.classes)


def _values(rates: Mapping[str, Rate]) -> dict[str, float | None]:
    return {key: rate.value for key, rate in rates.items()}


def _reached(found: Evaluation) -> bool:
    sia, acc = found.after["sia"].value, found.before["acc"].value
    tpr, fpr = found.after["tpr"].value, found.after["fpr"].value
    if sia is None or acc is None or tpr is None or fpr is None:
        return False
    return sia >= acc - MAX_LOSS and tpr >= MIN_TPR and fpr <= MAX_FPR


def _share(hits: Sequence[bool]) -> str:
    return Share(sum(hits), len(hits)).text()


def _mean(lines: Sequence[Mapping[str, Any]], key: str) -> str:
    values = [line[key] for line in lines if line.get(key) is not None]
    return f"{100 * sum(values) / len(values):.1f} %" if values else "–"
