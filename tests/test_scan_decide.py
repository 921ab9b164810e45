"""From evidence to a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import true_trigger

from undoor.scan.decide import Thresholds, decide, deserves_look, is_doubtful, is_suspect
from undoor.scan.report import ClassEvidence, Finding
from undoor.scan.statistics import mad_scores, order_statistic_p_values, reciprocal

LIMITS = Thresholds()
NAMES = ("a", "b", "c", "d", "e")
PIXELS = 1000
STRONG = ClassEvidence(1, "patch", 3.0, score=20.0, p_value=0.001, asr=0.9)
QUIET = ClassEvidence(0, "patch", 60.0, score=0.5, p_value=0.7, asr=0.9)


def finding(sources: tuple[int, ...] = (0, 2, 3, 4), target: int = 1) -> Finding:
    return Finding(target, sources, "patch", 0.001, 20.0, 3.0, 0.93, true_trigger())


def verdict(*evidence: ClassEvidence, classes: int = 5) -> str:
    names = [str(i) for i in range(classes)]
    return decide([], evidence, names, PIXELS, LIMITS)[0]


# Suspicion


def test_suspect_and_doubtful() -> None:
    assert is_suspect(STRONG, 5, PIXELS, LIMITS)
    assert is_doubtful(STRONG, 5, PIXELS, LIMITS)
    assert not is_suspect(QUIET, 5, PIXELS, LIMITS)
    assert not is_doubtful(QUIET, 5, PIXELS, LIMITS)


@pytest.mark.parametrize(
    ("changes", "suspect", "doubtful"),
    [
        ({"p_value": 0.01, "score": 7.0, "asr": 0.6}, True, True),
        ({"p_value": 0.011}, False, True),
        ({"score": 6.9}, False, True),
        ({"asr": 0.59}, False, True),
        ({"p_value": 0.05, "score": 3.5}, False, True),
        ({"p_value": 0.051}, False, False),
        ({"score": 3.4}, False, False),
        ({"size": None}, False, False),
        ({"family": "additive"}, True, True),
        ({"size": 900.0}, True, True),
    ],
)
def test_limits_with_a_null(changes: dict[str, float], suspect: bool, doubtful: bool) -> None:
    item = replace(STRONG, **changes)  # type: ignore[arg-type]
    assert is_suspect(item, 4, PIXELS, LIMITS) == suspect
    assert is_doubtful(item, 4, PIXELS, LIMITS) == doubtful


def test_a_look_takes_less_than_a_doubt() -> None:
    item = replace(STRONG, p_value=0.1, score=3.5)
    assert deserves_look(item, 4, PIXELS, LIMITS)
    assert not is_doubtful(item, 4, PIXELS, LIMITS)
    assert not deserves_look(replace(item, p_value=0.11), 4, PIXELS, LIMITS)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("changes", "suspect", "doubtful"),
    [
        ({"size": 2.5}, True, True),
        ({"size": 2.6}, False, True),
        ({"size": 3.8, "asr": 0.9}, False, True),
        ({"size": 12.0}, False, True),
        ({"size": 12.1}, False, False),
        ({"size": 1.0, "asr": 0.59}, False, True),
        ({"size": 1.0, "family": "additive"}, False, False),
        ({"size": None}, False, False),
    ],
)
def test_absolute_limits_without_a_null(
    classes: int, changes: dict[str, float], suspect: bool, doubtful: bool
) -> None:
    """With two or three classes p = 1 and the score means nothing: the size decides."""
    item = replace(STRONG, **{"p_value": 1.0, "score": 0.67, **changes})  # type: ignore[arg-type]
    assert is_suspect(item, classes, PIXELS, LIMITS) == suspect
    assert is_doubtful(item, classes, PIXELS, LIMITS) == doubtful


# Verdicts


def test_finding_means_backdoored() -> None:
    answer, reasons = decide([finding()], [STRONG, QUIET], NAMES, PIXELS, LIMITS)
    assert answer == "backdoored"
    assert len(reasons) == 1
    for part in ("patch", "size 3", "93%", "all other classes", "class 1 (b)", "20.0 MADs"):
        assert part in reasons[0]


def test_each_finding_has_its_reason() -> None:
    findings = [finding((0, 3)), finding(target=4)]
    _, reasons = decide(findings, [STRONG], NAMES, PIXELS, LIMITS)
    assert reasons[0].startswith("a patch trigger")
    assert "2 of 4 other classes" in reasons[0]
    assert "class 4 (e)" in reasons[1]


def test_doubtful_class_means_inconclusive() -> None:
    doubtful = replace(STRONG, score=5.0, family="additive")
    answer, reasons = decide([], [QUIET, doubtful], NAMES, PIXELS, LIMITS)
    assert answer == "inconclusive"
    assert "class 1 (b)" in reasons[0]
    assert "additive" in reasons[0]
    assert len(reasons) == 1


def test_no_working_trigger_means_inconclusive() -> None:
    assert verdict(replace(QUIET, size=None), replace(STRONG, size=None)) == "inconclusive"


def test_quiet_classes_mean_clean() -> None:
    answer, reasons = decide([], [QUIET, QUIET], NAMES, PIXELS, LIMITS)
    assert answer == "clean"
    assert len(reasons) == 1


@pytest.mark.parametrize(
    ("classes", "unreached"), [(6, 1), (6, 3), (6, 4), (6, 5), (10, 2), (10, 5), (10, 7), (10, 9)]
)
def test_lone_reachable_class_is_not_clean(classes: int, unreached: int) -> None:
    """One class falls to three pixels while triggers for others need many or do not exist: the
    plainest backdoor there is, whatever the number of classes that nothing reaches."""
    natural = [40.0, 44.0, 39.0, 42.0, 41.0, 43.0, 38.0, 45.0, 40.5]
    sizes: list[float | None] = [3.0, *natural[: classes - 1 - unreached], *[None] * unreached]
    statistic = reciprocal(sizes)
    scores, p_values = mad_scores(statistic), order_statistic_p_values(statistic)
    evidence = [
        ClassEvidence(i, "patch", size, float(scores[i]), float(p_values[i]), 1.0 if size else 0.0)
        for i, size in enumerate(sizes)
    ]
    assert p_values.argmin() == 0
    noticed = is_suspect(evidence[0], classes, PIXELS, LIMITS)
    assert noticed or verdict(*evidence, classes=classes) != "clean"
