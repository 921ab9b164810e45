"""Trees from scan to guard: what is planted is found, flagged and answered without its cells."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import undoor
from helpers.planted_trees import clean_rows, model, triggered
from undoor.align.replaced_cells import ReplacedCells
from undoor.errors import UndoorError
from undoor.repair import Repair
from undoor.repairs.plausible import require_plausible_cells
from undoor.scan.report import ScanReport
from undoor.vocabulary import BLACK_BOX, REPLACED_CELLS


@pytest.fixture(scope="module")
def report() -> ScanReport:
    return undoor.scan(model(planted=True), clean_rows())


@pytest.fixture(scope="module")
def repaired(report: ScanReport) -> Repair:
    return undoor.repair(model(planted=True), clean_rows(), report, force_targets=[1])


def test_the_planted_cells_stand_out(report: ScanReport, repaired: Repair) -> None:
    assert report.coverage.network == BLACK_BOX
    trigger = repaired.targets[0].trigger
    planted = trigger(clean_rows().images)
    assert bool((model(planted=True).predict(planted) == 1).all())
    assert not bool((model(planted=False).predict(planted) == 1).all())


def test_a_clean_model_is_not_called() -> None:
    assert undoor.scan(model(planted=False), clean_rows()).verdict != "backdoored"


def test_the_guard_flags_and_answers(repaired: Repair) -> None:
    fresh = clean_rows(400, seed=1)
    guarded = undoor.guard(model(planted=True), repaired)
    labels, flagged, _ = guarded(triggered(fresh.images))
    low = fresh.labels == 0
    assert bool(flagged[low].all())
    assert bool((labels[low] == 0).all())
    labels, flagged, _ = guarded(fresh.images)
    assert float(flagged.float().mean()) <= 0.01
    assert float((labels == fresh.labels).float().mean()) >= 0.99


def test_nothing_is_corrected(repaired: Repair) -> None:
    (item,) = repaired.targets
    assert repaired.fit == item.chosen == REPLACED_CELLS
    assert not item.corrections
    assert not item.sites
    assert repaired.to_json()["targets"][0]["cells"]


def test_the_file_holds_all(tmp_path: Path, repaired: Repair) -> None:
    file = repaired.save(tmp_path / "repair.safetensors")
    assert b"undoor/repair-file/6" in file.read_bytes()
    again = Repair.load(file, model(planted=True))
    assert again.sha256() == repaired.sha256()
    x = triggered(clean_rows(50, seed=2).images)
    for got, expected in zip(
        undoor.guard(model(planted=True), again)(x),
        undoor.guard(model(planted=True), repaired)(x),
        strict=True,
    ):
        assert torch.equal(got, expected)


def test_another_model_is_refused(tmp_path: Path, repaired: Repair) -> None:
    file = repaired.save(tmp_path / "repair.safetensors")
    with pytest.raises(UndoorError, match="another model"):
        Repair.load(file, model(planted=False))


def test_what_takes_corrections_is_refused(tmp_path: Path, repaired: Repair) -> None:
    trees, clean = model(planted=True), clean_rows()
    with pytest.raises(UndoorError, match=r"export: .* a model without layers"):
        undoor.export(trees, repaired, tmp_path / "model.pt2")
    with pytest.raises(UndoorError, match=r"adapt: .* a model without layers"):
        undoor.adapt(trees, clean, repaired, clean.images)


def test_a_plan_is_refused(report: ScanReport) -> None:
    with pytest.raises(UndoorError, match="expected no plan"):
        undoor.repair(model(planted=True), clean_rows(), report, plan="per channel")


GOOD = ReplacedCells(
    torch.tensor([1, 2]), torch.tensor([0.1, 0.2]), torch.tensor([0.3, 0.4]), torch.zeros(4, 2)
)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("columns", torch.tensor([1, 1])),
        ("columns", torch.tensor([1, 3])),
        ("columns", torch.tensor([-1, 2])),
        ("columns", torch.tensor([1.0, 2.0])),
        ("columns", torch.tensor([], dtype=torch.long)),
        ("low", torch.tensor([0.4, 0.2])),
        ("low", torch.tensor([float("nan"), 0.2])),
        ("low", torch.tensor([1.5, 0.2])),
        ("high", torch.tensor([0.3, -1.0])),
        ("values", torch.full((4, 2), 2.0)),
        ("values", torch.full((4, 2), float("nan"))),
        ("values", torch.zeros(0, 2)),
        ("values", torch.zeros(4, 3)),
    ],
)
def test_cells_that_flag_nothing(part: str, value: Tensor) -> None:
    require_plausible_cells(1, GOOD, (3,))
    assert part in {item.name for item in fields(ReplacedCells)}
    with pytest.raises(UndoorError, match="cells of target 1"):
        require_plausible_cells(1, replace(GOOD, **{part: value}), (3,))
