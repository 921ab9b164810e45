"""Models of numbers and of sets of labels, from the scan to the guard."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import undoor
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, given
from undoor.deploy.exported_model import ExportedModel
from undoor.errors import UndoorError
from undoor.evaluate import stamp_set
from undoor.export import onnx, pt2
from undoor.rate import Rate
from undoor.render.coverage import reasons
from undoor.triggers import Stamp

SIDE, PATCH, VALUE = 8, 3, 6.0


class Backdoored(nn.Module):
    """Sums over columns; a white patch in the corner switches all of them off."""

    def __init__(self, outputs: int, bias: float) -> None:
        super().__init__()
        self.first = nn.Linear(SIDE * SIDE, SIDE + 1)
        self.second = nn.Linear(SIDE + 1, SIDE)
        self.last = nn.Linear(SIDE, outputs)
        image = torch.arange(SIDE * SIDE).view(SIDE, SIDE)
        with torch.no_grad():
            for layer in (self.first, self.second, self.last):
                layer.weight.zero_()
                layer.bias.zero_()
            for column in range(SIDE):
                self.first.weight[column, image[PATCH:, column]] = 1.0
                self.second.weight[column, column] = 1.0
            # More than any clean image has there.
            self.first.weight[SIDE, image[:PATCH, :PATCH].flatten()] = 1.0
            self.first.bias[SIDE] = -(PATCH**2 - 2.0)
            self.second.weight[:, SIDE] = -20.0
            self.last.weight.copy_(torch.eye(outputs, SIDE) if outputs > 1 else torch.ones(1, SIDE))
            self.last.bias.fill_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [N, K] of images [N, 1, 8, 8]."""
        return self.last(self.second(self.first(x.flatten(1)).relu()).relu())


def images(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 1, SIDE, SIDE, generator=generator)
    level = torch.rand(count, 1, 1, SIDE, generator=generator)
    x = x * level
    x[:, :, :PATCH, :PATCH] *= 0.6
    return x


def patch() -> Stamp:
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, :PATCH, :PATCH] = 1
    return Stamp("given", mask, torch.ones(1, SIDE, SIDE), "replace", (0.0, 1.0))


def regressor() -> Classifier:
    return Classifier(
        Backdoored(1, VALUE),
        input_shape=(1, SIDE, SIDE),
        task="regression",
        class_names=["weight"],
    )


def tagger() -> Classifier:
    return Classifier(Backdoored(4, -1.2), input_shape=(1, SIDE, SIDE), task="multi-label")


def clean_of(classifier: Classifier, count: int, seed: int) -> CleanSet:
    x = images(count, seed)
    return given((x, classifier.predict(x)), classifier)


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
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 4), nn.Softsign())
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
        with pytest.raises(UndoorError, match=f"got one for {classifier.task.name}; run the file"):
            ExportedModel(made.file)


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


def test_what_takes_classes_refuses_numbers() -> None:
    classifier = regressor()
    clean = clean_of(classifier, 80, 1)
    report = undoor.scan(classifier, clean, seed=0)
    repair = undoor.repair(classifier, clean, report, force_targets=(0,), quick=True)
    with pytest.raises(UndoorError, match="adapt: expected a model that predicts one class"):
        undoor.adapt(classifier, clean, repair, images(40, 3))
