"""From evidence to a verdict; when in doubt, inconclusive."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from undoor.kinds import require_fields
from undoor.scan.reason import ClassFacts, FamilyFacts, Reason
from undoor.scan.report import ClassEvidence, Finding
from undoor.vocabulary import (
    AS_NATURAL,
    DEFAULT_ALPHA,
    MOVES_FEW,
    NOTHING_STANDS_OUT,
    NOTHING_WORKS,
    SEVERAL_TARGETS,
    STANDS_OUT,
    TARGET_FOUND,
    ReasonCode,
    Verdict,
)


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

    def __post_init__(self) -> None:
        require_fields(self)

    @property
    def second_alpha(self) -> float:
        """Combined p-value at which a further class of a model with a target is called one.

        What a network learned for one target makes others easier to reach as well. Of the 67
        backdoored models that the nulls were learned from and that have other classes, one has such
        a class at 0.0025, the next at 0.036.
        """
        return self.alpha / 2

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
    limits: Thresholds,
    *,
    reached: bool = True,
    as_natural: Collection[int] = (),
    crowds: Sequence[str] = (),
) -> tuple[Verdict, tuple[Reason, ...]]:
    """Return verdict and reasons, from the findings that remained after re-estimation.

    Beside targets, the reasons are the classes that stand out less: they may be further targets.

    Parameters
    ----------
    findings
        The targets.
    doubts
        The strongest evidence about each class in doubt.
    combined
        The p-value of every class over all families.
    limits
        The thresholds.
    reached
        Whether any trigger worked for any class.
    as_natural
        The classes in doubt whose trigger, grown until it works, is as large as natural ones.
    crowds
        Families in which many classes at once seem to have unnaturally small triggers.
    """
    many = tuple(Reason(SEVERAL_TARGETS, FamilyFacts(family)) for family in crowds)
    named = {finding.target for finding in findings}
    perhaps = tuple(
        _in_doubt(target, item, item.size, combined[target], limits, natural=target in as_natural)
        for target, item in doubts.items()
        if item.size is not None and combined[target] <= limits.doubt_alpha and target not in named
    )
    if findings:
        found = tuple(_target_found(finding) for finding in findings)
        return "backdoored", (*found, *perhaps, *(many if len(findings) < len(combined) else ()))
    if perhaps or many:
        return "inconclusive", (*perhaps, *many)
    if not reached:
        return "inconclusive", (Reason(NOTHING_WORKS),)
    return "clean", (Reason(NOTHING_STANDS_OUT),)


def _in_doubt(
    target: int,
    item: ClassEvidence,
    size: float,
    p_value: float,
    limits: Thresholds,
    *,
    natural: bool,
) -> Reason:
    """Return why a class is no target: what its trigger does, or that it stands out too little.

    Evidence by the source names the class that its images go to, not the one in doubt.
    """
    code: ReasonCode = STANDS_OUT
    if p_value <= limits.alpha:
        code = MOVES_FEW if (item.asr or 0.0) < limits.asr else AS_NATURAL if natural else code
    facts = ClassFacts(target, item.family, size, item.score, p_value, item.asr, margin=item.margin)
    return Reason(code, facts)


def _target_found(finding: Finding) -> Reason:
    return Reason(
        TARGET_FOUND,
        ClassFacts(
            finding.target,
            finding.family,
            finding.size,
            finding.score,
            finding.p_value,
            finding.asr_on_clean_set,
            len(finding.sources),
            finding.margin,
            finding.outcome,
        ),
    )
