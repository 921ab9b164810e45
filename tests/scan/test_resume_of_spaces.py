"""In every space, and for every kind of output, a killed scan resumes to the same report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import undoor
from helpers.tiny_texts import tiny_classifier, tiny_texts
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, given
from undoor.journal import Journal
from undoor.scan.report import ScanReport
from undoor.spaces.points import POINTS
from undoor.spaces.signals import SIGNALS

Subject = tuple[Classifier, CleanSet]
COUNT = 16


class Linear(nn.Module):
    """Linear in the input, or in the mean over its points; classes are about equally common."""

    def __init__(self, x: Tensor, outputs: int, *, of_points: bool = False) -> None:
        super().__init__()
        self.of_points = of_points
        flat = self._flat(x)
        generator = torch.Generator().manual_seed(1)
        weight = torch.randn(outputs, flat.shape[1], generator=generator)
        self.last = nn.Linear(flat.shape[1], outputs)
        self.last.weight.data = weight
        self.last.bias.data = -weight @ flat.mean(0)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self._flat(x))

    def _flat(self, x: Tensor) -> Tensor:
        return x.mean(1) if self.of_points else x.flatten(1)


def subject(shape: tuple[int, ...], outputs: int, **options: Any) -> Subject:
    """A model and inputs with the labels that it predicts."""
    x = torch.rand(COUNT, *shape, generator=torch.Generator().manual_seed(0))
    network = Linear(x, outputs, of_points=options.get("space") == POINTS.name)
    classifier = Classifier(network, input_shape=shape, **options)
    return classifier, given((x, classifier.predict(x)), classifier)


def texts() -> Subject:
    return tiny_classifier(("cf",)), tiny_texts(COUNT)


def signals() -> Subject:
    return subject((1, 64), 2, space=SIGNALS.name)


def rows() -> Subject:
    return subject((6,), 2)


def points() -> Subject:
    return subject((16, 3), 2, space=POINTS.name)


def numbers() -> Subject:
    return subject((1, 6, 6), 1, task="regression")


def sets_of_labels() -> Subject:
    return subject((1, 6, 6), 2, task="multi-label")


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


def told(report: ScanReport) -> dict[str, Any]:
    """All that a report says but how long it took; the triggers too."""
    arrays = [finding.trigger.named_arrays() for finding in report.findings]
    plain = [{key: value.tolist() for key, value in each.items()} for each in arrays]
    return report.to_json() | {"seconds": 0, "date": None, "triggers": plain}


def written(patch: pytest.MonkeyPatch, limit: int | None) -> list[int]:
    """Count what is stored, steps and checkpoints within them, and die behind that number."""
    seen, write = [0], Journal._write

    def counted(self: Journal, *args: Any) -> None:
        write(self, *args)
        seen[0] += 1
        if seen[0] == limit:
            raise Killed

    patch.setattr(Journal, "_write", counted)
    return seen


@pytest.mark.parametrize("make", [texts, signals, rows, points, numbers, sets_of_labels])
def test_killed_in_the_middle(
    make: Callable[[], Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, clean = make()

    def scan(folder: str, limit: int | None = None) -> tuple[ScanReport, int]:
        with monkeypatch.context() as patch:
            seen = written(patch, limit)
            # Every step of a search leaves a checkpoint.
            journal = Journal(tmp_path / folder, every=0.0)
            return undoor.scan(classifier, clean, journal=journal), seen[0]

    whole, count = scan("whole")
    assert count >= 4
    middle = count // 2
    with pytest.raises(Killed):
        scan("killed", middle)
    assert not Journal(tmp_path / "killed").empty
    resumed, more = scan("killed")
    # What was done is not done again.
    assert more <= count - middle
    assert told(resumed) == told(whole)
    assert Journal(tmp_path / "killed").steps == Journal(tmp_path / "whole").steps
