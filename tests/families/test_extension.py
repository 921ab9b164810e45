"""A trigger family from another package: one file and an entry point, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import undoor
from helpers.installed_package import Package
from helpers.scan_work import work_on
from helpers.tiny import TARGET, clean_images, toy_classifier, true_trigger
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.extensions import extensions
from undoor.families.calibration import calibration_for
from undoor.families.null import Null
from undoor.families.patch import PATCH
from undoor.families.registry import REGISTRY, families, families_for, family_named, nulls
from undoor.inversion.candidates import Candidate
from undoor.render.coverage import reasons
from undoor.render.reports import REPORTS
from undoor.render.results import Results
from undoor.render.subject import Subject
from undoor.scan.combination import (
    agreement,
    agreement_p_values,
    as_lowest,
    combined,
    for_classes,
    of_ten,
)
from undoor.scan.report import ScanReport
from undoor.scan.screen import screen
from undoor.scan.table import Table
from undoor.spaces.images import IMAGES
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.vocabulary import MANY_CLASSES

Install = Callable[..., None]
NAME = "toy corner"


@pytest.fixture
def install(package: Package) -> Install:
    """Declares entry points as an installed package does."""
    return partial(package.declares, "undoor.families")


@pytest.fixture
def corner(install: Install) -> None:
    install(corner="helpers.toy_family:CORNER")


def images(per_class: int = 12) -> CleanSet:
    return clean_images(per_class)


@pytest.mark.usefixtures("corner")
def test_it_comes_after_those_of_undoor() -> None:
    classifier = toy_classifier(backdoored=True)
    assert families()[:-1] == REGISTRY
    assert families_for(classifier)[-1] == NAME
    assert NAME not in families_for(classifier, "source")
    assert nulls(calibration_for(MANY_CLASSES))[NAME] == family_named(NAME).null
    assert [item.version for item in extensions("undoor.families")] == ["1.0"]


def test_nothing_is_left_of_it() -> None:
    assert families() == REGISTRY


@pytest.mark.usefixtures("corner")
def test_it_is_scanned_repaired_guarded_exported_and_reported(tmp_path: Path) -> None:
    classifier, clean = toy_classifier(backdoored=True, norm=True), images()
    found = undoor.scan(classifier, clean)
    assert found.verdict == "backdoored"
    assert sum(item.family == NAME for item in found.evidence) == classifier.num_classes
    (finding,) = found.findings
    assert (finding.target, finding.family) == (TARGET, NAME)
    assert finding.trigger.kind == NAME
    assert found.detectable[NAME] > 0
    found.save(tmp_path / "scan")
    report = ScanReport.load(
        tmp_path / "scan", shape=classifier.input_shape, bounds=classifier.bounds
    )
    assert report.findings[0].trigger.kind == NAME
    repair = undoor.repair(classifier, clean, report)
    repair.save(tmp_path / "fix")
    repair = undoor.Repair.load(tmp_path / "fix", classifier)
    assert repair.targets[0].trigger.kind == NAME
    guarded = undoor.guard(classifier, repair)
    fresh = clean_images(8, seed=5)
    others = fresh.labels != TARGET
    _, flagged, _ = guarded.logits(true_trigger()(fresh.images)[others])
    assert float(flagged.float().mean()) > 0.9
    _, flagged, _ = guarded.logits(fresh.images)
    assert float(flagged.float().mean()) < 0.1
    made = undoor.export(classifier, repair, tmp_path / "guarded.pt2")
    assert made.file.is_file()
    subject = Subject("toy.toml", "clean/", "Toy", 10, classifier.input_shape, classifier.bounds)
    results = Results(report, subject, repair, examples=fresh)
    pages = {name: kind.render(results) for name, kind in REPORTS.items()}
    assert NAME in pages["html"]
    assert "l2 norm in the corner" in pages["html"]
    assert NAME in pages["json"]


@pytest.mark.usefixtures("corner")
def test_files_with_its_triggers_are_read_by_a_new_process(tmp_path: Path) -> None:
    """Nothing has loaded the family there before a file speaks of it."""
    bank = family_named(NAME).bank(
        1, toy_classifier(backdoored=True), images(2).images, torch.Generator().manual_seed(0)
    )
    bank.export(0).save(tmp_path / "t.npz")
    code = (
        "from undoor.triggers import load_trigger; "
        f"print(load_trigger({str(tmp_path / 't.npz')!r}, shape=(1, 8, 8), bounds=(0, 1)).kind)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == NAME, done.stderr


def test_the_family_of_the_guide_is_searched(install: Install, package: Package) -> None:
    """docs/own-family.md, as somebody would copy it."""
    package.has_example("own-family.md", "guided_stripes")
    install(stripes="guided_stripes:STRIPES")
    work = work_on(toy_classifier(backdoored=True), images())
    found = screen(work, "stripes")
    assert [candidate.target for candidate in found] == list(range(work.classifier.num_classes))
    assert any(candidate.size is not None for candidate in found)
    best = found[TARGET]
    bank = family_named("stripes").bank(
        1, work.classifier, work.images.x, torch.Generator().manual_seed(0)
    )
    bank.place(0, best.trigger)
    x = work.images.x
    torch.testing.assert_close(bank(x[None])[0], best.trigger(x))


@pytest.mark.parametrize("backdoored", [False, True])
def test_without_a_null_no_model_is_called_clean(
    install: Install, toy_report: ScanReport, *, backdoored: bool
) -> None:
    classifier = toy_classifier(backdoored=backdoored, norm=True)
    install(corner="helpers.toy_family:UNCALIBRATED")
    found = undoor.scan(classifier, clean_images())
    own = [item for item in found.evidence if item.family == NAME]
    assert len(own) == classifier.num_classes
    assert {item.p_value for item in own} == {1.0}
    assert NAME not in found.detectable
    assert "no null was fitted for the trigger families toy corner" in " ".join(reasons(found))
    assert "undoor calibrate" in " ".join(reasons(found))
    # It says nothing: what the others say is what they said.
    assert found.verdict == ("backdoored" if backdoored else "inconclusive")
    before = toy_report.findings if backdoored else ()
    assert [item.target for item in found.findings] == [item.target for item in before]


@pytest.mark.usefixtures("corner")
def test_it_does_not_enter_the_agreement_of_the_families() -> None:
    """Whose null was learned without it: one more term would raise every sum."""
    extent = IMAGES.extent((3, 32, 32))
    model = SimpleNamespace(
        num_classes=MANY_CLASSES, space=IMAGES, task=SINGLE_LABEL, extent=extent
    )
    calibration = calibration_for(MANY_CLASSES)
    table = Table(model, calibration)  # type: ignore[arg-type]
    sizes = {PATCH.name: (20.0, 24.0, 22.0, 21.0, 23.0), NAME: (0.5, 2.0, 2.0, 2.0, 2.0)}
    for name, each in sizes.items():
        table.add(name, [Candidate(k, name, size, true_trigger()) for k, size in enumerate(each)])
    p = {name: np.array([entry.p_value for entry in table.entries[name]]) for name in sizes}
    ten = of_ten(p)
    weights = {name: nulls(calibration)[name].weight for name in sizes}
    learned = agreement({PATCH.name: ten[PATCH.name]}, weights)
    agreed = calibration.agreement
    together = agreement_p_values(learned, agreed)
    expected = combined({**ten, "all": together}, {**weights, "all": agreed.weight})
    overall = for_classes(as_lowest(expected, calibration.lowest), MANY_CLASSES)
    assert table.combined() == pytest.approx(overall)
    assert table.combined().argmin() == 0


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"corner": "helpers.toy_family:SIDE"}, "to be an undoor.families.family.Family, got int"),
        (
            {"a": "helpers.toy_family:CORNER", "b": "helpers.toy_family:CORNER"},
            "again from the entry point b",
        ),
        ({"corner": "helpers.toy_family:NOTHING"}, "to load, got AttributeError"),
        ({"corner": "no_such_module_anywhere:X"}, "to load, got ModuleNotFoundError"),
    ],
)
def test_what_is_no_family_is_refused(
    install: Install, points: dict[str, str], message: str
) -> None:
    install(**points)
    with pytest.raises(UndoorError, match=message):
        families()


def test_a_family_needs_a_null() -> None:
    with pytest.raises(UndoorError, match=r"null .*'no such'.*`undoor calibrate` fits one"):
        replace(PATCH, name="no such", null=None)
    assert replace(PATCH, name="no such", null=None, uncalibrated=True).null is None
    own = Null(natural=1.0, ceiling=2.0, location=0.0, scale=0.2)
    assert replace(PATCH, name="no such", null=own).null == own


def test_records_that_would_fail_late_are_refused() -> None:
    null = Null(natural=1.0, ceiling=2.0, location=0.0, scale=0.2)
    with pytest.raises(UndoorError, match="expected `beside`"):
        replace(PATCH, name="all", null=null, moves="shared")
    with pytest.raises(UndoorError, match="expected `faint`"):
        replace(PATCH, name="inside", null=null, stand_in=PATCH)


@pytest.mark.usefixtures("corner")
def test_candidates_of_another_name_are_refused() -> None:
    wrong = replace(family_named(NAME), name="another")
    classifier = toy_classifier(backdoored=True)
    with pytest.raises(UndoorError, match=r"expected candidates .*'another', got some of 'toy"):
        wrong.bank(1, classifier, images(2).images, torch.Generator())
