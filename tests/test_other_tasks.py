"""Models of numbers and of sets of labels, from the scan to the guard."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import undoor
from helpers.other_tasks import SIDE, clean_of, images, patch, regressor, repaired, tagger
from undoor.adapt import flagged_inputs
from undoor.classifier import Classifier
from undoor.deploy.exported_model import ExportedModel
from undoor.evaluate import stamp_set
from undoor.export import onnx, pt2
from undoor.rate import Rate
from undoor.render.coverage import reasons


def test_where_nothing_was_learned_there_is_no_verdict() -> None:
    """Whatever is found: fail closed."""
    vectors = Classifier(nn.Linear(6, 1), input_shape=(6,), task="regression")
    x = torch.rand(60, 6)
    report = undoor.scan(vectors, (x, vectors.predict(x)))
    assert report.verdict == "inconclusive"
    assert not report.findings
    assert any("nothing was learned of models for regression" in text for text in reasons(report))


def test_sets_of_labels_without_a_linear_layer_at_the_end_get_no_verdict() -> None:
    """A planted trigger would look as natural as the others."""

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            self.weight = nn.Parameter(torch.randn(4, SIDE * SIDE, generator=generator))

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) @ self.weight.T

    network = Functional()
    classifier = Classifier(network, input_shape=(1, SIDE, SIDE), task="multi-label")
    x = images(80, 1)
    report = undoor.scan(classifier, (x, classifier.predict(x)), seed=0)
    assert report.verdict == "inconclusive"
    assert any("last layer is linear" in text for text in reasons(report))


@pytest.mark.parametrize("make", [regressor, tagger])
def test_scan_repair_guard_and_files(make: type, tmp_path: Path) -> None:
    classifier = make()
    clean, test = clean_of(classifier, 120, 1), clean_of(classifier, 150, 2)
    report = undoor.scan(classifier, clean, seed=0)
    report.save(tmp_path / "scan")
    read = undoor.ScanReport.load(
        tmp_path / "scan", shape=classifier.input_shape, bounds=classifier.bounds
    )
    assert read.goals == report.goals
    assert read.class_names == report.class_names
    known = classifier.with_goals(read.goals)
    target = 0  # Of sets of labels: without the first; of numbers: the lowest interval.
    repair = undoor.repair(classifier, clean, read, force_targets=(target,), quick=True)
    file = repair.save(tmp_path / "fix")
    again = undoor.Repair.load(file, classifier)
    assert again.contract.goals == report.goals
    guarded = undoor.guard(classifier, again)
    stamped = stamp_set(test, patch(), target, task=known.task)
    found = undoor.evaluate(classifier, guarded, test, stamped, target)
    assert _value(found.before["asr"]) > 0.9
    assert _value(found.after["asr"]) < 0.2
    assert _value(found.after["tpr"]) > 0.9
    assert _value(found.after["acc"]) >= _value(found.before["acc"]) - 0.05
    if read.goals:
        assert found.errors["triggered_guarded"] < found.errors["triggered"]
    labels, flagged, _ = guarded(stamped.images)
    assert labels.shape == test.labels[: len(labels)].shape
    assert bool(flagged.float().mean() > 0.9)


def _value(rate: Rate) -> float:
    assert rate.value is not None
    return rate.value


@pytest.mark.parametrize("make", [regressor, tagger])
@pytest.mark.parametrize("ending", ["onnx", "pt2"])
def test_exported_files_predict_as_the_guard(make: type, ending: str, tmp_path: Path) -> None:
    """The parity that the export itself checks, once more on inputs with the trigger."""
    classifier = make()
    clean = clean_of(classifier, 80, 1)
    report = undoor.scan(classifier, clean, seed=0)
    repair = undoor.repair(classifier, clean, report, force_targets=(0,), quick=True)
    made = undoor.export(classifier, repair, tmp_path / f"m.{ending}")
    assert made.parity.inputs > 20
    x = patch()(images(30, 4))
    expected = undoor.guard(classifier, repair).logits(x)
    runner = {"onnx": onnx.runner, "pt2": pt2.runner}[ending]
    for want, got in zip(expected, runner(made.file)(x), strict=True):
        torch.testing.assert_close(want, got, atol=1e-4, rtol=1e-4)
    assert bool(expected[1].float().mean() > 0.5)
    if ending == "onnx":
        assert ExportedModel(made.file).output_form.num_goals == classifier.num_classes


def test_predictions_as_people_read_them() -> None:
    tags, number = tagger(), regressor()
    assert tags.task.shown([1, 0, 1, 0], tags.class_names) == "0, 2"
    assert tags.task.shown([0, 0, 0, 0], tags.class_names) == "no label"
    assert tags.task.is_withheld([-1, -1, -1, -1])
    assert number.task.shown(31.25, number.class_names) == "31.25"
    assert number.task.is_withheld(float("nan"))
    assert not number.task.is_withheld(-1.0)


@pytest.mark.parametrize("make", [regressor, tagger])
def test_the_line_of_code_makes_the_predictions(make: type) -> None:
    classifier = make()
    x = images(20, 5)
    found: dict[str, Tensor] = {"logits": classifier(x)}
    exec(classifier.task.in_code, found)
    (name,) = found.keys() - {"logits", "__builtins__"}
    assert torch.equal(found[name].float(), classifier.predict(x).float())


def test_flagged_inputs_bring_predictions_back(tmp_path: Path) -> None:
    """Refitted on what carries the true trigger, the error falls; a killed run resumes to it."""
    classifier = regressor()
    clean, test = clean_of(classifier, 120, 1), clean_of(classifier, 150, 2)
    report = undoor.scan(classifier, clean, seed=0)
    repair = undoor.repair(classifier, clean, report, force_targets=(0,), quick=True)
    task = classifier.with_goals(repair.contract.goals).task
    attacked = stamp_set(clean_of(classifier, 150, 5), patch(), 0, task=task).images[:60]
    seen = torch.cat([attacked, images(60, 6)])
    assert len(flagged_inputs(classifier, repair, seen)[0]) >= 50
    adapted = undoor.adapt(classifier, clean, repair, seen)
    (item,) = (item for item in adapted.targets if item.target == 0)
    assert item.adapted is not None
    assert item.adapted.refitted
    stamped = stamp_set(test, patch(), 0, task=task)
    before, after = (
        undoor.evaluate(classifier, undoor.guard(classifier, each), test, stamped, 0)
        for each in (repair, adapted)
    )
    assert after.errors["triggered_guarded"] < 0.2 * before.errors["triggered_guarded"]
    assert _value(after.after["acc"]) > 0.95


def test_flagged_inputs_of_sets_of_labels() -> None:
    """Inputs at several targets are given to the first that they are at."""
    classifier, repair = repaired(tagger(), (1, 3))
    x = images(200, 3)
    flagged = flagged_inputs(classifier, repair, x)
    predicted = classifier.predict(x)
    flags = undoor.guard(classifier, repair)(x)[1]
    first = flags & classifier.task.reached(predicted, 1)
    second = flags & classifier.task.reached(predicted, 3) & ~first
    assert torch.equal(flagged[1], x[first])
    assert torch.equal(flagged[3], x[second])
    adapted = undoor.adapt(classifier, clean_of(classifier, 120, 1), repair, x)
    assert [item.adapted is not None for item in adapted.targets] == [True, True]
