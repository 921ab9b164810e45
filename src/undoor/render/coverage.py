"""The coverage of a scan, and the gaps of its verdict, in words."""

from __future__ import annotations

from undoor.families.registry import unit_of
from undoor.noun import INPUT, Noun
from undoor.render import text
from undoor.render.nouns import noun_of
from undoor.render.reasons import ACCEPTED, reason_texts
from undoor.scan.coverage import Coverage, FamilyCoverage, Gap
from undoor.scan.report import ScanReport
from undoor.vocabulary import (
    BLACK_BOX,
    BUDGET_ENDED,
    CALIBRATE,
    CONVOLUTIONAL,
    FEW_CLASSES,
    FEW_IMAGES,
    FEW_SITES,
    LABELS_BY_MODEL,
    LITTLE_POWER,
    NO_HEAD,
    NO_IMAGES,
    NO_NULL,
    NO_SITES,
    NOT_FOR_SPACE,
    NOT_STARTED,
    OPAQUE,
    OTHER_KIND,
    OTHER_NETWORK,
    OTHER_SIZE,
    OTHER_SPACE,
    OTHER_TASK,
    RANKED_FIRST,
    SAME_SITE,
    SMALLER_INPUTS,
    SOME_TARGETS,
    TINY_ONLY,
    TRANSFORMER,
    UNKNOWN_TASK,
)

LEARNED = "the sizes of natural triggers were learned from"
SPREAD = "the trigger families {families}, which find what no change of the input shows clearly"
# The gaps of a verdict, by their codes.
GAPS = {
    OPAQUE: f"the network is TorchScript, which is scanned from outside: {SPREAD}, were left out, "
    "and it cannot be repaired",
    NO_HEAD: f"{SPREAD}, were left out: the class scores are not a linear map of features, or not "
    "one that is a linear layer or a convolution that runs once in a pass",
    NO_SITES: f"{SPREAD}, were left out: between the input and the last linear map there is no "
    "normalisation, convolution or linear layer that runs once in a pass",
    FEW_SITES: "the network has too few layers for the trigger families {families}: each of them "
    "needs a normalisation, convolution or linear layer of its own between the input and the last "
    "linear map",
    NO_NULL: "no null was fitted for the trigger families {families}: how small natural triggers "
    f"of them are is not known, so they have no p-value; fit one with `{CALIBRATE}`",
    UNKNOWN_TASK: "nothing was learned of models for {task} whose inputs are {space}, so no "
    f"verdict on one is reliable; learn it from clean ones with `{CALIBRATE}`",
    OTHER_TASK: f"the outputs are no scores of one class per input; {LEARNED} such alone",
    OTHER_SPACE: f"the inputs are {{space}}; {LEARNED} other inputs alone",
    OTHER_SIZE: f"the {{many}} are of {{shape}}; {LEARNED} {{many}} of {{sizes}}",
    OTHER_NETWORK: f"the network is {{network}}; {LEARNED} networks of another kind alone",
    FEW_CLASSES: f"the model has {{found:g}} classes; {LEARNED} models with {{classes}}, so no "
    "verdict on it is reliable",
    FEW_IMAGES: "{found:.1f} {many} per class are too few to call a model backdoored, expected at "
    "least {expected:g}; give more",
    NO_IMAGES: "{found:g} of {expected:g} classes have no clean {many}: triggers for {many} of "
    "these alone cannot be found, and natural ones were learned with {many} of all classes",
    LITTLE_POWER: "natural triggers of such models are often as small and as clear as planted "
    "ones, or too few planted ones were tried to know: of {tried:g} backdoored models that the "
    "statistics were tried on {found:g} are found",
    SOME_TARGETS: "triggers were searched for towards {found:g} of {expected:g} classes alone, as "
    "asked, and towards {tried:g} others, drawn at random, to compare with: nothing is known of a "
    "backdoor with another target",
    RANKED_FIRST: "the model has {expected:g} classes, and triggers were searched for towards "
    "{found:g}: those that cheap statistics put first, and some drawn at random to compare with; a "
    "target that the statistics miss is not found",
    SMALLER_INPUTS: "the first search was made on {many} of {shape}, at "
    "which the model predicts nearly the same; a trigger that works at the full size alone may be "
    "missed",
    LABELS_BY_MODEL: "the {many} have no labels but the model's own predictions, which agree with "
    "it whatever it is fed: that it works on these {many}, and that none of them carries a "
    "trigger, was not checked",
    TINY_ONLY: "only triggers smaller than any possible one would have been reported: {tiny}",
}
NETWORKS = {
    CONVOLUTIONAL: "a convolutional one",
    TRANSFORMER: "a transformer",
    BLACK_BOX: "no network, as decision trees are",
    OTHER_KIND: "neither a convolutional one nor a transformer",
}
# Why a family was not searched, or not to the end, as a note beside its name.
NOTES = {
    NOT_FOR_SPACE: "not for inputs of this kind",
    OPAQUE: "the network is TorchScript",
    NO_HEAD: "the network has no linear head",
    NO_SITES: "the network has no layer to search in",
    SAME_SITE: "the network has too few layers; another family is searched in the same one",
    BUDGET_ENDED: "the budget ended",
    NOT_STARTED: "the search was not started",
}
ACCEPT = (
    "to have such a model called clean where nothing stands out, give `--accept-coverage partial` "
    '(in Python accept_coverage="partial")'
)


def reasons(report: ScanReport) -> tuple[str, ...]:
    """Return all reasons for a verdict.

    These are the reasons of the scan and its gaps; the gaps come first where they decide the
    verdict.
    """
    covered = report.coverage
    lacking = gap_sentences(covered, noun_of(report))
    of_search = reason_texts(report)
    if covered.decisive:
        open_ones = covered.open_gaps
        way_out = (ACCEPT,) if all(gap.acceptable for gap in open_ones) else ()
        return (*lacking, *way_out, *of_search)
    return (*of_search, *lacking)


def gap_sentences(covered: Coverage, noun: Noun = INPUT) -> tuple[str, ...]:
    """Return a sentence for each gap, marked where the user accepted it."""
    open_gaps = covered.open_gaps
    return tuple(
        ("" if gap in open_gaps else ACCEPTED) + gap_sentence(gap, covered, noun)
        for gap in covered.gaps
    )


def gap_sentence(gap: Gap, covered: Coverage, noun: Noun = INPUT) -> str:
    """Return a gap as a sentence, in which inputs are called by the noun.

    The reason of another package is returned as it stands.
    """
    sentence = GAPS.get(gap.code)
    if sentence is None:
        return f"the trigger families {', '.join(gap.families)} were left out: {gap.code}"
    return sentence.format(
        families=", ".join(gap.families),
        space=covered.space,
        task=covered.task,
        network=NETWORKS.get(covered.network or "", "of an unknown kind"),
        shape=" × ".join(f"{n:g}" for n in gap.found),
        sizes=_sizes(gap, noun) if gap.code == OTHER_SIZE else "",
        found=next(iter(gap.found), 0),
        expected=next(iter(gap.expected), 0),
        many=noun.many,
        tried=gap.found[-1] if gap.found else 0,
        classes=_learned_from(gap) if gap.code == FEW_CLASSES else "",
        tiny=_tiny(gap),
    )


def note(item: FamilyCoverage) -> str:
    """Return why a family was not searched to the end; "" where it was."""
    return "" if item.code is None else NOTES.get(item.code, item.code)


def not_searched(covered: Coverage) -> list[tuple[str, str]]:
    """Return the families that were not searched, and why."""
    return [(item.family, note(item)) for item in covered.families if not item.searched]


def summary(covered: Coverage) -> tuple[str, ...]:
    """Return how many families were searched, and what the statistics were learned from."""
    if not covered.known:
        return ("The coverage of the scan is not known: an earlier version made it.",)
    searched = [item for item in covered.families if item.searched]
    lacking = [name for name, ok in (covered.calibrated or {}).items() if not ok]
    learned = (
        f"{text.sentence(LEARNED)[:-1]} such models: of this kind of network, size of input and "
        "number of classes."
        if not lacking
        else f"{text.sentence(LEARNED)[:-1]} other models, which differ in {' and '.join(lacking)}."
    )
    return (
        f"{len(searched)} of {len(covered.families)} trigger families were searched.",
        learned,
    )


def _classes(low: float, high: float = 0) -> str:
    """Return a range of numbers of classes in words; without a maximum where it is 0."""
    if low == high:
        return f"{low:g} classes"
    return f"{low:g} to {high:g} classes" if high else f"at least {low:g} classes"


def _learned_from(gap: Gap) -> str:
    """Return of which models sizes were learned: of as many classes, they are unlike otherwise."""
    low, high = (*gap.expected, 0)[:2]
    alike = low <= gap.found[0] <= (high or gap.found[0])
    return _classes(low, high) + (" that are unlike it in other respects" if alike else "")


def _sizes(gap: Gap, noun: Noun) -> str:
    """Return the sizes of inputs that natural triggers were learned from in words."""
    low, high, fewest, most = gap.expected
    first, others = noun.units
    return " with ".join(
        f"{from_:g} {unit.removesuffix('s') if to == 1 else unit}"
        if from_ == to
        else f"{from_:g} to {to:g} {unit}"
        for from_, to, unit in ((low, high, others), (fewest, most, first))
        if unit and (unit == first or len(gap.found) > 1)
    )


def _tiny(gap: Gap) -> str:
    parts = zip(gap.families, gap.found, gap.expected, strict=False)
    return ", ".join(
        f"{family} triggers below {size:.2g} {unit_of(family)}, where {smallest:g} is the smallest "
        "possible"
        for family, size, smallest in parts
    )
