"""What belongs to another model is refused, and the refusal says what differs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import undoor
from helpers.made_repairs import make_repair
from helpers.model_folders import BRANCH, HONEST, folder_with
from helpers.small_repairs import as_before, small_repair
from helpers.tiny import BOUNDS, SIDE, clean_images, random_classifier, toy_network
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import CPU
from undoor.errors import UndoorError
from undoor.export import export
from undoor.identity.binding import WeightsOnlyWarning
from undoor.identity.tensors import weights_sha256
from undoor.inversion.journalled_search import about
from undoor.journal import Journal
from undoor.repair import Repair
from undoor.repairs import combine, remove
from undoor.scan.report import ScanReport
from undoor.vocabulary import SCAN_FILE

Folders = tuple[Classifier, Classifier]


@pytest.fixture
def twins(tmp_path: Path) -> Folders:
    """Equal weights, other code."""
    codes = {"a": HONEST, "b": BRANCH}
    one, other = (
        undoor.load(folder_with(tmp_path / k, v), trust_code=True) for k, v in codes.items()
    )
    return one, other


def images() -> CleanSet:
    generator = torch.Generator().manual_seed(0)
    return CleanSet(torch.rand(12, 3, 4, 4, generator=generator), torch.arange(12) % 3)


def uses(classifier: Classifier, repair: Repair, folder: Path) -> dict[str, Callable[[], Any]]:
    x = torch.rand(2, *classifier.input_shape)
    return {
        "load": lambda: Repair.load(repair.save(folder / "r.safetensors"), classifier),
        "guard": lambda: undoor.guard(classifier, repair),
        "adapt": lambda: undoor.adapt(classifier, images(), repair, x),
        "export": lambda: export(classifier, repair, folder / "x.onnx"),
    }


@pytest.mark.parametrize("use", ["load", "guard", "adapt", "export"])
def test_a_repair_of_other_code_is_refused(twins: Folders, use: str, tmp_path: Path) -> None:
    honest, hidden = twins
    with pytest.raises(UndoorError, match=r"another model; what differs: code \(net\.py\)"):
        uses(hidden, small_repair(honest), tmp_path)[use]()


@pytest.mark.parametrize("use", ["load", "guard", "adapt", "export"])
def test_a_repair_for_classes_of_other_names_is_refused(use: str, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    names = {"before": ["stop", "go", "turn"], "now": ["stop", "turn", "go"]}
    before, now = (
        Classifier(network, input_shape=(3, 4, 4), class_names=names[key]) for key in names
    )
    told = r"class_names differ \(class 1: expected 'go', got 'turn' and 1 more\)"
    with pytest.raises(UndoorError, match=told):
        uses(now, small_repair(before), tmp_path)[use]()


def test_a_scan_of_other_code_is_not_repaired(twins: Folders) -> None:
    honest, hidden = twins
    report = undoor.scan(honest, images())
    with pytest.raises(UndoorError, match=r"another model; what differs: code \(net\.py\)"):
        undoor.repair(hidden, images(), report)


class Restless(nn.Module):
    """The same files, and each time another answer."""

    def __init__(self) -> None:
        super().__init__()
        self.flat = nn.Flatten()
        self.head = nn.Linear(48, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flat(x)) + torch.randn(3)


def test_same_files_other_predictions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Classifier(Restless(), input_shape=(3, 4, 4))
    file = small_repair(model).save(tmp_path / "r.safetensors")
    torch.manual_seed(5)
    with pytest.raises(UndoorError, match="files of the model are the same, but its pred"):
        Repair.load(file, model)


# The journal


def test_an_exchanged_file_of_code_starts_anew(tmp_path: Path) -> None:
    """After a kill; the weights are the same."""
    toml = folder_with(tmp_path / "model", HONEST)

    def step() -> bool:
        """Whether the step of an earlier process is used."""
        journal = about(
            Journal(tmp_path / "journal"),
            undoor.load(toml, trust_code=True).fingerprint(),
            images(),
            CPU,
        )
        return journal.step("search", lambda draft: {"x": np.zeros(1)})[1]

    assert [step(), step()] == [False, True]
    (toml.parent / "net.py").write_text(BRANCH)
    assert [step(), step()] == [False, True]


# Files of the format before


def test_a_repair_of_the_format_before(tmp_path: Path) -> None:
    model = random_classifier("conv_norm")
    made = make_repair(model)
    file = as_before(made.save(tmp_path / "old.safetensors"), model)
    with pytest.warns(WeightsOnlyWarning, match=r"old\.safetensors: .*weights and the input"):
        read = Repair.load(file, model)
    assert [item.target for item in read.targets] == [item.target for item in made.targets]
    with pytest.raises(UndoorError, match=r"another model: weights or input transform differ"):
        Repair.load(file, random_classifier("conv_norm", seed=1))
    # It stays what it is, whatever is made of it.
    again = remove(read, [made.targets[0].target]).save(tmp_path / "less.safetensors")
    with pytest.warns(WeightsOnlyWarning, match=r"less\.safetensors"):
        Repair.load(again, model)
    with pytest.raises(UndoorError, match="expected repairs of one model"):
        combine([read, made], prefer="first")


def test_a_new_repair_is_no_cause_to_warn(tmp_path: Path) -> None:
    model = random_classifier("conv_norm")
    file = make_repair(model).save(tmp_path / "new.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Repair.load(file, model)


def test_a_scan_of_the_format_before(tmp_path: Path, toy_report: ScanReport) -> None:
    network = toy_network(backdoored=True, norm=True)
    model = Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)
    toy_report.save(tmp_path)
    data = json.loads((tmp_path / SCAN_FILE).read_text())
    for name in ("model", "coverage", "circumstances", "date"):
        del data[name]
    data |= {"schema": "undoor/scan/3", "model_sha256": weights_sha256(model), "detectable": {}}
    (tmp_path / SCAN_FILE).write_text(json.dumps(data))
    with pytest.warns(WeightsOnlyWarning, match=r"scan\.json: this file of an earlier version"):
        old = ScanReport.load(tmp_path, shape=model.input_shape, bounds=model.bounds)
    made = undoor.repair(model, clean_images(), old, quick=True)
    assert made.fingerprint == model.fingerprint()
    with pytest.raises(UndoorError, match="weights or input transform differ"):
        old.require_model(random_classifier("conv_norm"))


def test_a_scan_whose_hashes_contradict_each_other(tmp_path: Path, toy_report: ScanReport) -> None:
    toy_report.save(tmp_path)
    data = json.loads((tmp_path / SCAN_FILE).read_text())
    (tmp_path / SCAN_FILE).write_text(json.dumps(data | {"model_sha256": "0" * 64}))
    with pytest.raises(UndoorError, match="not a scan report"):
        ScanReport.load(tmp_path, shape=(1, SIDE, SIDE), bounds=BOUNDS)
