"""A fit of corrections from another package: one function and an entry point."""

from __future__ import annotations

import pytest

from helpers.cli_fakes import Cli
from helpers.installed_package import Package
from helpers.tiny import random_classifier, random_inputs
from undoor.align.fit import FITS, fit_corrections, fit_version, fits, require_fit
from undoor.classifier import ENTRY
from undoor.errors import UndoorError
from undoor.extensions import declared
from undoor.vocabulary import FIT_GROUP


def test_it_comes_after_those_of_undoor(package: Package) -> None:
    package.declares(FIT_GROUP, bounded="helpers.added:bounded")
    assert list(fits()) == [*FITS, "bounded"]
    assert declared(FIT_GROUP) == ("bounded",)
    assert (fit_version("bounded"), fit_version("paired")) == ("1.0", "")


def test_nothing_is_left_of_it() -> None:
    assert fits() == FITS


def test_it_is_what_corrects(package: Package) -> None:
    package.declares(FIT_GROUP, bounded="helpers.added:bounded")
    classifier = random_classifier("mlp")
    clean = random_inputs(classifier, 8)
    made = fit_corrections(classifier, clean, clean + 0.5, {ENTRY: "channel"}, fit="bounded")
    assert (made[ENTRY].scale == 1).all()
    assert (made[ENTRY].shift == 0).all()


def test_what_is_no_correction_is_refused(package: Package) -> None:
    package.declares(FIT_GROUP, nothing="helpers.added:nothing")
    classifier = random_classifier("mlp")
    x = random_inputs(classifier, 4)
    with pytest.raises(UndoorError, match=r"to return an undoor\.align.*Correction, got NoneType"):
        fit_corrections(classifier, x, x, {ENTRY: "channel"}, fit="nothing")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"three": "helpers.added:NUMBER"}, "to be a function of clean activations.*got int"),
        ({"paired": "helpers.added:bounded"}, "different names, got 'paired' again"),
        ({"lost": "helpers.added:LOST"}, "to load, got AttributeError"),
    ],
)
def test_what_is_no_fit_is_refused(package: Package, points: dict[str, str], message: str) -> None:
    package.declares(FIT_GROUP, **points)
    with pytest.raises(UndoorError, match=message):
        require_fit("paired")


def test_the_command_line_takes_it(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    package.declares(FIT_GROUP, bounded="helpers.added:bounded")
    cli = Cli(package.folder, monkeypatch)
    assert cli.repair("--fit", "bounded").exit_code == 1
    refused = cli.repair("--fit", "onepas")
    assert refused.exit_code != 1
    assert "reference, bounded, got 'onepas'" in " ".join(refused.stderr.split())
