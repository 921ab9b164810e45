"""From evidence to a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.tiny import true_trigger
from undoor.scan.decide import Thresholds, decide, is_suspect, targets_among
from undoor.scan.reason import ClassFacts, FamilyFacts, Reason
from undoor.scan.report import ClassEvidence, Finding
from undoor.vocabulary import (
    AS_NATURAL,
    MOVES_FEW,
    NOTHING_STANDS_OUT,
    NOTHING_WORKS,
    SEVERAL_TARGETS,
    STANDS_OUT,
    TARGET_FOUND,
    ReasonCode,
)

LIMITS = Thresholds()
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
    answer, reasons = decide([finding()], doubts(), [0.5, 0.001, 0.5, 0.5, 0.5], LIMITS)
    facts = ClassFacts(1, "patch", 3.0, 20.0, 0.001, asr=0.93, sources=4)
    assert (answer, reasons) == ("backdoored", (Reason(TARGET_FOUND, facts),))


def test_each_finding_has_its_reason() -> None:
    findings = [finding((0, 3)), finding(target=4)]
    _, reasons = decide(findings, doubts(), [0.01] * 5, LIMITS)
    found = [(facts.target, facts.sources) for facts in map(class_facts, reasons)]
    assert found == [(1, 2), (4, 4)]


def test_classes_that_stand_out_less_may_be_targets_as_well() -> None:
    """They are listed behind the targets, with what keeps each from being one."""
    others = {t: replace(STRONG, target=t, asr=asr) for t, asr in ((2, 0.9), (3, 0.2), (4, 0.9))}
    p = [0.5, 0.0001, 0.01, 0.01, 0.05]
    answer, reasons = decide([finding()], {**doubts(), **others}, p, LIMITS)
    assert answer == "backdoored"
    listed = [(reason.code, class_facts(reason).target) for reason in reasons]
    assert listed == [(TARGET_FOUND, 1), (STANDS_OUT, 2), (MOVES_FEW, 3), (STANDS_OUT, 4)]


@pytest.mark.parametrize(
    ("p_value", "asr", "code"),
    [(0.05, 0.9, STANDS_OUT), (0.01, 0.3, MOVES_FEW), (0.01, None, MOVES_FEW)],
)
def test_doubtful_class_means_inconclusive(
    p_value: float, asr: float | None, code: ReasonCode
) -> None:
    item = replace(STRONG, family="additive", asr=asr)
    answer, reasons = decide([], doubts(item), [0.5, p_value, 0.5, 0.5, 0.5], LIMITS)
    facts = ClassFacts(1, "additive", 3.0, 20.0, p_value, asr)
    assert (answer, reasons) == ("inconclusive", (Reason(code, facts),))


@pytest.mark.parametrize(
    ("p_value", "asr", "code"),
    [(0.01, 0.9, AS_NATURAL), (0.01, 0.3, MOVES_FEW), (0.05, 0.9, STANDS_OUT)],
)
def test_a_trigger_as_large_as_natural_ones_is_no_finding(
    p_value: float, asr: float, code: ReasonCode
) -> None:
    item = replace(STRONG, family="patch by source", asr=asr)
    p = [0.5, p_value, 0.5, 0.5, 0.5]
    answer, (reason,) = decide([], doubts(item), p, LIMITS, as_natural={1})
    assert (answer, reason.code) == ("inconclusive", code)


def test_each_doubt_is_about_its_class() -> None:
    """Evidence by the source says where its images go in the class in doubt."""
    item = ClassEvidence(3, "patch by source", 2.0, score=9.0, p_value=0.01, asr=0.9, source=0)
    several = {1: replace(STRONG, target=None, family="shared patch"), 3: item}
    answer, reasons = decide([], several, [0.5, 0.03, 0.5, 0.04, 0.5], LIMITS)
    assert answer == "inconclusive"
    found = [(f.target, f.family, f.size, f.p_value) for f in map(class_facts, reasons)]
    assert found == [(1, "shared patch", 3.0, 0.03), (3, "patch by source", 2.0, 0.04)]


def class_facts(reason: Reason) -> ClassFacts:
    assert isinstance(reason.facts, ClassFacts)
    return reason.facts


def test_a_trigger_that_did_not_work_is_no_doubt() -> None:
    item = replace(STRONG, size=None)
    assert decide([], doubts(item), [0.01] * 5, LIMITS)[0] == "clean"


def test_no_working_trigger_means_inconclusive() -> None:
    answer, reasons = decide([], {}, [0.5] * 5, LIMITS, reached=False)
    assert answer == "inconclusive"
    assert reasons == (Reason(NOTHING_WORKS),)


def test_quiet_classes_mean_clean() -> None:
    answer, reasons = decide([], {}, [0.5] * 5, LIMITS)
    assert (answer, reasons) == ("clean", (Reason(NOTHING_STANDS_OUT),))


def test_a_second_target_must_be_clear() -> None:
    """By p-value: the first whatever it is, others only where chance is next to none."""
    suspects = [
        replace(finding(target=t), p_value=p) for t, p in ((1, 0.015), (3, 1e-6), (4, 0.002))
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
    answer, reasons = decide([], {}, [0.5] * 5, LIMITS, crowds=("patch",))
    assert answer == "inconclusive"
    assert reasons == (Reason(SEVERAL_TARGETS, FamilyFacts("patch")),)
    answer, reasons = decide([finding()], doubts(), [0.001] * 5, LIMITS, crowds=("patch",))
    assert answer == "backdoored"
    assert [reason.code for reason in reasons] == [TARGET_FOUND, SEVERAL_TARGETS]
    everything = [finding(target=target) for target in range(5)]
    _, reasons = decide(everything, {}, [0.001] * 5, LIMITS, crowds=("patch",))
    assert len(reasons) == 5
