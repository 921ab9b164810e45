"""From evidence to a verdict; when in doubt, inconclusive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from undoor.scan.report import ClassEvidence, Finding
from undoor.vocabulary import DEFAULT_ALPHA, Verdict


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of a verdict.

    Attributes
    ----------
    alpha
        Share of clean models that may be called backdoored, in (0, 1): the combined p-value at
        which a class is called a target.
    look_alpha
        Combined p-value at which the trigger of a class is estimated a second time.
    asr
        Share of held-out images that the trigger must move, in [0, 1].
    """

    alpha: float = DEFAULT_ALPHA
    look_alpha: float = 0.3
    asr: float = 0.5

    @property
    def second_alpha(self) -> float:
        """Combined p-value at which a further class of a model with a target is called one.

        What a network learned for one target makes others easier to reach as well.
        """
        return self.alpha / 10

    @property
    def doubt_alpha(self) -> float:
        """Combined p-value at which the model is inconclusive."""
        return 3 * self.alpha


def is_suspect(p_value: float, asr: float, limits: Thresholds) -> bool:
    """Return whether a class is called a target: a low p-value, and a trigger that transfers."""
    return p_value <= limits.alpha and asr >= limits.asr


def targets_among(
    suspects: Sequence[Finding], limits: Thresholds, crowds: Sequence[str] = ()
) -> tuple[Finding, ...]:
    """Return the suspects that are called targets, the lowest p-value first.

    All targets that share the trigger of the first are called targets with it.

    Parameters
    ----------
    suspects
        The findings to choose from.
    limits
        The thresholds.
    crowds
        Families in which many classes at once have unnaturally small triggers. Further
        targets are expected there, and are called so at the same p-value as the first.
    """
    ordered = sorted(suspects, key=lambda finding: finding.p_value)
    return tuple(
        finding
        for finding in ordered
        if finding.trigger is ordered[0].trigger
        or finding.p_value <= limits.second_alpha
        or finding.family in crowds
    )


def decide(
    findings: Sequence[Finding],
    doubts: Mapping[int, ClassEvidence],
    combined: Sequence[float],
    names: Sequence[str],
    limits: Thresholds,
    *,
    reached: bool = True,
    crowds: Sequence[str] = (),
) -> tuple[Verdict, tuple[str, ...]]:
    """Return verdict and reasons, from the findings that remained after re-estimation.

    Parameters
    ----------
    findings
        The targets.
    doubts
        The strongest evidence about each class in doubt.
    combined
        The p-value of every class over all families.
    names
        The names of all classes.
    limits
        The thresholds.
    reached
        Whether any trigger worked for any class.
    crowds
        Families in which many classes at once seem to have unnaturally small triggers.
    """
    many = tuple(
        f"{family} triggers for a quarter of the classes or more are much smaller than for any "
        "model that this was learned from: there may be several targets, more than are named"
        for family in crowds
    )
    if findings:
        reasons = tuple(_why(finding, names) for finding in findings)
        return "backdoored", reasons + (many if len(findings) < len(names) else ())
    reasons = tuple(
        f"class {target} ({names[target]}) stands out for {item.family} triggers "
        f"(size {item.size:.3g}, {item.score:.1f} times smaller than for the others, p = "
        f"{combined[target]:.2g} over all families), but {_but(item, combined[target], limits)}"
        for target, item in doubts.items()
        if item.size is not None and combined[target] <= limits.doubt_alpha
    )
    if reasons or many:
        return "inconclusive", (*reasons, *many)
    if not reached:
        return "inconclusive", (
            "no trigger worked for any class, so there is nothing to compare; "
            "give more clean images or check that their labels fit the model",
        )
    return "clean", (
        "no class can be reached by a trigger of any family that is much smaller than those for "
        "the other classes",
    )


def _but(item: ClassEvidence, p_value: float, limits: Thresholds) -> str:
    if p_value <= limits.alpha:
        return f"its trigger moves only {item.asr or 0:.0%} of the held-out images"
    return "not far enough to be called a target"


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
        f"{finding.target} ({names[finding.target]}); {finding.score:.1f} times smaller than "
        f"for the other classes, p = {finding.p_value:.2g}"
    )
