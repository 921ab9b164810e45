"""Coverage in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from helpers.cli_fakes import made_coverage, make_report
from undoor.render.coverage import GAPS, NOTES, gap_sentence, gap_sentences, note, reasons, summary
from undoor.scan.coverage import Coverage, FamilyCoverage, Gap, of_older
from undoor.spaces.images import IMAGES
from undoor.vocabulary import FEW_CLASSES, FEW_IMAGES, OTHER_SIZE, OTHER_SPACE, TINY_ONLY

ACCEPT = "--accept-coverage partial"


@pytest.mark.parametrize("code", GAPS)
def test_every_gap_has_a_sentence(code: str) -> None:
    numbers = (28, 32, 1, 3) if code == OTHER_SIZE else (5,)
    gap = Gap(code, ("patch", "warp"), (3, 64, 64), numbers)
    told = gap_sentence(gap, made_coverage({"patch": 1.0}))
    assert len(told) > 20
    assert "{" not in told


def test_gaps_with_numbers() -> None:
    covered = replace(made_coverage({}), space="vectors")
    for gap, part in (
        (Gap(FEW_CLASSES, (), (3,), (5,)), "has 3 classes; .* with at least 5 classes"),
        (Gap(FEW_CLASSES, (), (3,), (5, 0)), "has 3 classes; .* with at least 5 classes"),
        (Gap(FEW_CLASSES, (), (9,), (2, 4)), "has 9 classes; .* with 2 to 4 classes, so"),
        (Gap(FEW_CLASSES, (), (2,), (2, 2)), "has 2 classes; .* with 2 classes that are unlike"),
        (Gap(FEW_IMAGES, (), (1.5,), (3,)), "1.5 images per class are too few"),
        (Gap(OTHER_SPACE), "the inputs are vectors"),
        (Gap(OTHER_SIZE, (), (3, 64, 64), (28, 32, 1, 3)), "of 3 × 64 × 64; .* 28 to 32 pixels"),
        (Gap(TINY_ONLY, ("patch",), (0.35,), (1.0,)), "patch triggers below 0.35 pixels, where 1"),
        (Gap("it is Tuesday", ("corner",)), "families corner were left out: it is Tuesday"),
    ):
        assert re.search(part, gap_sentence(gap, covered, IMAGES.noun)), part


def test_reasons_begin_with_what_the_verdict_hangs_on() -> None:
    report = make_report("inconclusive", reasons=("as searched",))
    size = Gap(OTHER_SIZE, (), (3, 64, 64), (28, 32, 1, 3))
    lacking = replace(report.coverage, gaps=(size,), decisive=True)
    told = reasons(replace(report, coverage=lacking))
    assert told[0].startswith("the images are of 3 × 64 × 64")
    assert ACCEPT in told[1]
    assert told[2:] == ("as searched",)
    # Beside a verdict that hangs on something else, it comes last.
    told = reasons(replace(report, coverage=replace(lacking, decisive=False)))
    assert told[0] == "as searched"
    assert len(told) == 2
    few = replace(lacking, gaps=(size, Gap(FEW_CLASSES, (), (3,), (5,))))
    assert not any(ACCEPT in reason for reason in reasons(replace(report, coverage=few)))


def test_what_was_accepted_is_told() -> None:
    covered = replace(
        made_coverage({}), gaps=(Gap(OTHER_SPACE), Gap(FEW_IMAGES, (), (1,), (3,))), accepted=True
    )
    first, second = gap_sentences(covered)
    assert first.startswith("accepted: ")
    assert not second.startswith("accepted: ")


def test_notes() -> None:
    for code, told in NOTES.items():
        assert note(FamilyCoverage("patch", False, code)) == told
    assert note(FamilyCoverage("patch", True)) == ""
    assert note(FamilyCoverage("corner", False, "it is Tuesday")) == "it is Tuesday"


def test_summary() -> None:
    assert "2 of 2 trigger families" in summary(made_coverage({"patch": 1.0, "warp": 2.0}))[0]
    other = replace(made_coverage({}), calibrated={"network": True, "space": False, "size": False})
    assert "which differ in space and size" in summary(other)[1]
    assert "not known" in summary(of_older({"patch": 4.0}))[0]
    assert "not known" in summary(Coverage())[0]
