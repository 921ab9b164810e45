"""From evidence to a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.tiny import true_trigger
from undoor.scan.decide import Thresholds, decide, is_suspect, targets_among
from undoor.scan.report import ClassEvidence, Finding

LIMITS = Thresholds()
NAMES = ("a", "b", "c", "d", "e")
STRONG = ClassEvidence(1, "patch", 3.0, score=20.0, p_value=0.0001, asr=0.9)


def finding(sources: tuple[int, ...] = (0, 2, 3, 4), target: int = 1) -> Finding:
    return Finding(target, sources, "patch", 0.001, 20.0, 3.0, 0.93, true_trigger())


def doubts(item: ClassEvidence = STRONG) -> dict[int, ClassEvidence]:
    return {1: item}


@pytest.mark.parametrize(
    ("p_value", "asr", "suspect"),
    [(0.02, 0.5, True), (0.021, 0.9, False), (0.001, 0.49, False), (0.0, 1.0, True)],
)
def test_suspects(p_value: float, asr: float, suspect: bool) -> None:
    assert is_suspect(p_value, asr, LIMITS) == suspect


def test_finding_means_backdoored() -> None:
    answer, reasons = decide([finding()], doubts(), [0.5, 0.001, 0.5, 0.5, 0.5], NAMES, LIMITS)
    assert answer == "backdoored"
    assert len(reasons) == 1
    for part in ("patch", "size 3", "93%", "all other classes", "class 1 (b)", "20.0 times"):
        assert part in reasons[0]


def test_each_finding_has_its_reason() -> None:
    findings = [finding((0, 3)), finding(target=4)]
    _, reasons = decide(findings, doubts(), [0.01] * 5, NAMES, LIMITS)
    assert reasons[0].startswith("a patch trigger")
    assert "2 of 4 other classes" in reasons[0]
    assert "class 4 (e)" in reasons[1]


@pytest.mark.parametrize(
    ("p_value", "asr", "why"),
    [(0.05, 0.9, "not far enough"), (0.01, 0.3, "moves only 30%"), (0.01, None, "moves only 0%")],
)
def test_doubtful_class_means_inconclusive(p_value: float, asr: float | None, why: str) -> None:
    item = replace(STRONG, family="additive", asr=asr)
    answer, reasons = decide([], doubts(item), [0.5, p_value, 0.5, 0.5, 0.5], NAMES, LIMITS)
    assert answer == "inconclusive"
    assert len(reasons) == 1
    for part in ("class 1 (b)", "additive", why):
        assert part in reasons[0]


def test_each_doubt_is_about_its_class() -> None:
    """Evidence by the source says where its images go in the class in doubt."""
    item = ClassEvidence(3, "patch by source", 2.0, score=9.0, p_value=0.01, asr=0.9, source=0)
    several = {1: replace(STRONG, target=None, family="shared patch"), 3: item}
    answer, reasons = decide([], several, [0.5, 0.03, 0.5, 0.04, 0.5], NAMES, LIMITS)
    assert answer == "inconclusive"
    assert [("class 1 (b)" in r, "class 3 (d)" in r) for r in reasons] == [
        (True, False),
        (False, True),
    ]
    assert "shared patch" in reasons[0]
    assert "p = 0.03 over all families" in reasons[0]
    assert "patch by source triggers (size 2, 9.0 times" in reasons[1]


def test_a_trigger_that_did_not_work_is_no_doubt() -> None:
    item = replace(STRONG, size=None)
    assert decide([], doubts(item), [0.01] * 5, NAMES, LIMITS)[0] == "clean"


def test_no_working_trigger_means_inconclusive() -> None:
    answer, reasons = decide([], {}, [0.5] * 5, NAMES, LIMITS, reached=False)
    assert answer == "inconclusive"
    assert "nothing to compare" in reasons[0]


def test_quiet_classes_mean_clean() -> None:
    answer, reasons = decide([], {}, [0.5] * 5, NAMES, LIMITS)
    assert answer == "clean"
    assert len(reasons) == 1


def test_a_second_target_must_be_clear() -> None:
    """By p-value: the first whatever it is, others only where chance is next to none."""
    suspects = [
        replace(finding(target=t), p_value=p) for t, p in ((1, 0.01), (3, 1e-6), (4, 0.002))
    ]
    assert [f.target for f in targets_among(suspects, LIMITS)] == [3, 4]
    assert [f.target for f in targets_among(suspects[:1], LIMITS)] == [1]
    assert targets_among([], LIMITS) == ()


def test_a_crowd_names_all_that_stand_out() -> None:
    """Where many classes at once do, others beside the clearest are no by-products of it."""
    suspects = [replace(finding(target=t), p_value=0.01 * t) for t in (1, 2)]
    assert [f.target for f in targets_among(suspects, LIMITS)] == [1]
    assert [f.target for f in targets_among(suspects, LIMITS, ("patch",))] == [1, 2]
    assert [f.target for f in targets_among(suspects, LIMITS, ("blend",))] == [1]


def test_a_crowd_is_never_clean() -> None:
    answer, reasons = decide([], {}, [0.5] * 5, NAMES, LIMITS, crowds=("patch",))
    assert answer == "inconclusive"
    assert "patch triggers for a quarter of the classes" in reasons[0]
    answer, reasons = decide([finding()], doubts(), [0.001] * 5, NAMES, LIMITS, crowds=("patch",))
    assert answer == "backdoored"
    assert len(reasons) == 2
    assert "more than are named" in reasons[1]
    everything = [finding(target=target) for target in range(5)]
    _, reasons = decide(everything, {}, [0.001] * 5, NAMES, LIMITS, crowds=("patch",))
    assert len(reasons) == 5
