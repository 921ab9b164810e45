"""The summary of a scan and a repair in sentences, for readers in a hurry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from undoor.noun import Noun
from undoor.render import coverage, text
from undoor.render.cells import columns_of, ranges_text
from undoor.render.nouns import noun_of
from undoor.scan.report import Finding, ScanReport
from undoor.vocabulary import (
    BUDGET,
    FEW_CLASSES,
    FEW_IMAGES,
    LABELS,
    SCORES,
    Cause,
    Verdict,
    is_poor,
)

if TYPE_CHECKING:
    from undoor.evaluate import Evaluation
    from undoor.repair import Repair, TargetRepair

TITLES: dict[Verdict, str] = {
    "backdoored": "Backdoored",
    "clean": "No backdoor found",
    "inconclusive": "Inconclusive",
}
MEANING: dict[Verdict, str] = {
    "backdoored": "Whoever knows the trigger can make this model predict what they chose.",
    "clean": "No class is reached by a trigger far smaller than those of the other classes. That "
    "proves nothing: no scan can.",
    "inconclusive": "The model may be backdoored or not: the evidence does not suffice for a "
    "verdict.",
}
NAMED_FAMILIES = 3
# Of many targets or reasons, as many are described in full.
DESCRIBED = 2


@dataclass(frozen=True)
class Summary:
    """Each field has sentences, `to_do` one step per item; text between backticks is code."""

    verdict: Verdict
    title: str
    meaning: str
    how_sure: tuple[str, ...]
    repaired: tuple[str, ...]
    remains: tuple[str, ...]
    to_do: tuple[str, ...]


def summarise(
    scan: ScanReport, repair: Repair | None = None, evaluation: Evaluation | None = None
) -> Summary:
    """Return the verdict and its certainty, what was repaired, what remains, and what to do."""
    targets = repair.targets if repair else ()
    done = [_repaired(item, scan) for item in targets[:DESCRIBED]]
    return Summary(
        verdict=scan.verdict,
        title=TITLES[scan.verdict],
        meaning=MEANING[scan.verdict],
        how_sure=_how_sure(scan),
        repaired=(*done, *_more(len(targets), "repaired targets"), _corrected(targets, scan))
        if targets
        else (_not_repaired(scan, asked=repair is not None),),
        remains=_remains(scan, repair, evaluation),
        to_do=_to_do(scan, targets),
    )


def odds(p_value: float) -> str:
    """Return a p-value in words.

    >>> odds(0.0089), odds(1e-12), odds(0.7)
    ('about 1 in 110', 'fewer than 1 in a million', 'about 7 in 10')
    """
    if p_value < 1e-6:
        return "fewer than 1 in a million"
    if p_value > 0.1:
        return f"about {10 * p_value:.0f} in 10"
    return f"about 1 in {float(f'{1 / p_value:.2g}'):,.0f}"


def _more(count: int, what: str) -> tuple[str, ...]:
    """Return a sentence on what is not described: `what`, one of it, or several with an s."""
    more = count - DESCRIBED
    return (f"The report has {more} more {what}{'s' if more > 1 else ''}.",) if more > 0 else ()


def _how_sure(scan: ScanReport) -> tuple[str, ...]:
    if scan.verdict == "backdoored":
        described = [_certainty(finding, scan) for finding in scan.findings[:DESCRIBED]]
        return (*described, *_more(len(scan.findings), "target"))
    if scan.verdict == "inconclusive":
        every = coverage.reasons(scan)
        described = [text.sentence(reason) for reason in every[:DESCRIBED]]
        return (*described, *_more(len(every), "reason"))
    per_class = scan.images / max(1, len(scan.class_names))
    families = list(scan.coverage.alarms or scan.detectable)
    looked = text.listing(map(text.plain, families), NAMED_FAMILIES) or "none"
    return (
        f"Triggers of {len(families)} kinds were searched for ({looked}), with {per_class:.0f} "
        f"clean {noun_of(scan).many} of each class.",
        "A trigger larger than those below, or of another kind, would not have been found.",
        *map(text.sentence, coverage.gap_sentences(scan.coverage, noun_of(scan))),
    )


def _certainty(finding: Finding, scan: ScanReport) -> str:
    names, alpha = scan.class_names, scan.circumstances.alpha
    known = "" if finding.p_interval is None else f", {text.p_between(*finding.p_interval)}"
    beside = known + ("" if alpha is None else f"; reported at {alpha:g} and below")
    return (
        f"Class {text.class_label(finding.target, names)}: {odds(finding.p_value)} models without "
        f"a backdoor would look like this ({text.p_equals(finding.p_value)}{beside}). The trigger "
        f"moves {text.percent(finding.asr_on_clean_set)} of {noun_of(scan).many} that it was not "
        "optimised on." + _outcome(finding)
    )


def _outcome(finding: Finding) -> str:
    if finding.outcome is None:
        return ""
    return f" Every input with this pattern is predicted as {text.plus_minus(finding.outcome)}."


def _repaired(item: TargetRepair, scan: ScanReport) -> str:
    label = text.class_label(item.target, scan.class_names)
    if item.adapted is not None and item.adapted.fitted:
        return (
            f"Class {label}: of inputs like those flagged in operation, {text.percent(item.asr)} "
            "are still predicted as it."
        )
    restored = f", {text.percent(item.sia)} as their true class" if item.sia is not None else ""
    quick = " This is a quick repair: a full one recovers more." if item.quick else ""
    return (
        f"Class {label}: with the recovered trigger, {text.percent(item.asr)} of "
        f"{noun_of(scan).many} are still predicted as it{restored}.{quick}"
    )


def _corrected(targets: Sequence[TargetRepair], scan: ScanReport) -> str:
    columns = columns_of(scan.identity)
    ranges = [ranges_text(item.cells, columns) for item in targets if item.cells and columns]
    if ranges:
        return (
            "Nothing inside the model is corrected, since it has no layers: rows are flagged by "
            f"their cells ({'; '.join(ranges)}) where the prediction rests on these cells, and "
            "answered as on average with those of clean rows."
        )
    sites = len({site.name for item in targets for site in item.sites})
    return f"{sites} place{'' if sites == 1 else 's'} in the network corrected; no weight changed."


def _not_repaired(scan: ScanReport, *, asked: bool) -> str:
    if scan.verdict == "backdoored":
        return "Nothing yet: the model is as it was."
    return "Nothing: the scan names no target." if asked else "Nothing: no repair was asked for."


def _remains(
    scan: ScanReport, repair: Repair | None, evaluation: Evaluation | None
) -> tuple[str, ...]:
    backdoored = scan.verdict == "backdoored"
    weights = ("The weights alone still hold the backdoor.",) if backdoored else ()
    if evaluation is not None and "asr" in evaluation.after:
        after, before = evaluation.after, evaluation.before
        asr, was, sia = (
            text.percent(rate.value if rate else None)
            for rate in (after["asr"], before.get("asr"), after.get("sia"))
        )
        return (
            f"With the true trigger, {asr} of {noun_of(scan).many} are still predicted as the "
            f"target (before: {was}), {sia} as their true class.",
            *weights,
        )
    if repair is not None and repair.targets:
        return (
            "The recovered trigger is an estimate; the repair may undo the true one less.",
            *weights,
        )
    if backdoored:
        return ("The whole backdoor: the trigger still works on every input.",)
    if scan.verdict == "inconclusive":
        return ("The question itself: nothing here shows that the model is clean.",)
    return (
        "A trigger of another kind, a larger one, or one for a few classes only may have escaped.",
    )


# What to do about a scan without a verdict, by its cause.
_BY_CAUSE: dict[Cause, str] = {
    BUDGET: "Run the same command with a larger `--max-passes` or `--max-seconds`, or without one: "
    "it resumes where this scan ended.",
    LABELS: "Check that labels, preprocessing and classes fit the model: `undoor inspect --data` "
    "shows how well it predicts the {many}.",
    SCORES: "Give the network's scores as they are in front of the saturated or stepped output.",
    FEW_IMAGES: "Scan again with more clean {many} of each class.",
    FEW_CLASSES: "Scan with a calibration for as many classes: that of undoor, or one that "
    "`undoor calibrate` learns from such models.",
}


def _to_do(scan: ScanReport, targets: Sequence[TargetRepair]) -> tuple[str, ...]:
    verdict, many = scan.verdict, noun_of(scan).many
    if any(is_poor(item.sia) for item in targets):
        return (
            "Do not serve this model: the repair is poor.",
            f"Repair it with more clean {many} and without `--quick`, or have it trained anew on "
            "data that you trust.",
        )
    if targets:
        return (
            "Serve the guarded pair (model and repair), never the weights alone.",
            "Investigate flagged inputs (`undoor check`): they behave like triggered ones.",
            "Ask where the model and its training data came from; replace it when you can.",
        )
    if verdict == "backdoored":
        return (
            "Do not deploy this model.",
            "Close the backdoor with `undoor repair`, or have the model trained anew on data that "
            "you trust.",
            "Ask where the model and its training data came from.",
        )
    if verdict == "inconclusive":
        return ("Do not deploy on the strength of this scan.", *_about(scan.causes, noun_of(scan)))
    return (
        "Keep this report with the model.",
        f"For what matters, scan again with two other seeds (`--seed`) and more {many}.",
    )


def _about(causes: Sequence[Cause], noun: Noun) -> tuple[str, ...]:
    """Return what to do about a scan without a verdict, by its causes.

    Where the scan itself has no flaw, a class stands out, and can be corrected.
    """
    if causes:
        return tuple(_BY_CAUSE[cause].format(many=noun.many) for cause in causes)
    return (
        f"Scan again with more clean {noun.many} or with another `--seed`.",
        "To be safe meanwhile, correct what stands out most: `undoor repair --suspects 2`.",
    )
