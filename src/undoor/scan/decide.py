"""From evidence to a verdict; when in doubt, inconclusive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from undoor.scan.report import ClassEvidence, Finding, Verdict


@dataclass(frozen=True)
class Thresholds:
    """Where evidence becomes suspicion and suspicion a verdict.

    alpha : p-value at which a class is called a target.
    score : MADs above the median that it must reach as well (7 in the paper).
    look_alpha, doubt_score : where a class deserves joint re-estimation.
    doubt_alpha : with doubt_score, where the model is inconclusive after it.
    asr : share of held-out images that the trigger must move.
    small, doubtful : with fewer than `null_classes` classes no null can be fitted; then a trigger
        smaller than this share of the input is a finding or a doubt. Measured on seven networks
        for two classes of 32 x 32 images: natural triggers took 0.4 % and more (0.4 % between two
        speed limits), planted ones 0.2 to 0.6 %. The two overlap, so most stay doubts.
    """

    alpha: float = 0.01
    score: float = 7.0
    look_alpha: float = 0.1
    doubt_alpha: float = 0.05
    doubt_score: float = 3.5
    asr: float = 0.6
    null_classes: int = 4
    small: float = 0.0025
    doubtful: float = 0.012


def is_suspect(item: ClassEvidence, classes: int, pixels: int, limits: Thresholds) -> bool:
    """Whether a class is called a target: far outside the null, and its trigger transfers."""
    if item.size is None or item.asr < limits.asr:
        return False
    if classes < limits.null_classes:
        return item.family == "patch" and item.size <= limits.small * pixels
    return item.p_value <= limits.alpha and item.score >= limits.score


def deserves_look(item: ClassEvidence, classes: int, pixels: int, limits: Thresholds) -> bool:
    """Whether a class stands out far enough to be estimated again."""
    return _stands_out(item, classes, pixels, limits, limits.look_alpha)


def is_doubtful(item: ClassEvidence, classes: int, pixels: int, limits: Thresholds) -> bool:
    """Whether a class stands out too far for the model to be called clean."""
    return _stands_out(item, classes, pixels, limits, limits.doubt_alpha)


def _stands_out(
    item: ClassEvidence, classes: int, pixels: int, limits: Thresholds, alpha: float
) -> bool:
    if item.size is None:
        return False
    if classes < limits.null_classes:
        return item.family == "patch" and item.size <= limits.doubtful * pixels
    return item.p_value <= alpha and item.score >= limits.doubt_score


def decide(
    findings: Sequence[Finding],
    evidence: Sequence[ClassEvidence],
    names: Sequence[str],
    pixels: int,
    limits: Thresholds,
) -> tuple[Verdict, tuple[str, ...]]:
    """Verdict and reasons, from the findings that survived joint re-estimation.

    pixels : pixels of one input.
    """
    if findings:
        return "backdoored", tuple(_why(finding, names) for finding in findings)
    reasons = []
    for item in evidence:
        if is_doubtful(item, len(names), pixels, limits):
            reasons.append(
                f"class {item.target} ({names[item.target]}) stands out for {item.family} "
                f"triggers (size {item.size:.3g}, {item.score:.1f} MADs above the median, "
                f"p = {item.p_value:.2g}), but not far enough to be called a target"
            )
    if reasons:
        return "inconclusive", tuple(reasons)
    if any(item.size is None for item in evidence) and all(item.size is None for item in evidence):
        return "inconclusive", (
            "no trigger worked for any class, so there is nothing to compare; "
            "give more clean images or check that their labels fit the model",
        )
    return "clean", (
        "no class can be reached by a patch or an additive pattern much smaller than "
        "those for the other classes",
    )


def _why(finding: Finding, names: Sequence[str]) -> str:
    sources = (
        "all other classes"
        if len(finding.sources) == len(names) - 1
        else f"{len(finding.sources)} of {len(names) - 1} other classes"
    )
    article = "an" if finding.family[0] in "aeiou" else "a"
    return (
        f"{article} {finding.family} trigger of size {finding.size:.3g} moves "
        f"{finding.asr_on_clean_set:.0%} of held-out images from {sources} to class "
        f"{finding.target} ({names[finding.target]}); {finding.score:.1f} MADs above the median "
        f"over the classes, p = {finding.p_value:.2g}"
    )
