"""The reasons of a scan's verdict in words."""

from __future__ import annotations

from collections.abc import Sequence

from undoor.inspect.dry_run import FEEDINGS, feeding_note, near_chance_note
from undoor.noun import INPUT, Noun
from undoor.render.nouns import noun_of
from undoor.render.text import plus_minus, stands_out
from undoor.scan.reason import (
    AccuracyFacts,
    ClassFacts,
    FamilyFacts,
    Reason,
    ShareFacts,
    SpentFacts,
    TextFacts,
    UnfinishedFacts,
)
from undoor.scan.report import ScanReport
from undoor.scrutiny import Disagreement, GraphFinding
from undoor.tasks.registry import find_task
from undoor.vocabulary import (
    ACCEPTED_GRAPH,
    AS_NATURAL,
    MOVES_FEW,
    NO_HEAD,
    NOTHING_STANDS_OUT,
    NOTHING_WORKS,
    TARGET_FOUND,
    ReasonCode,
)

ACCEPTED = "accepted: "
ACCEPT_GRAPH = (
    "look at it, and accept it with `--accept-graph` (in Python accept_graph=True) if it is meant "
    "to be there"
)
WITHOUT_FACTS = {
    NO_HEAD: "the labels' scores are not a linear function of the features before them, without "
    "which planted and natural triggers cannot be told apart; give a model whose last layer is "
    "linear",
    NOTHING_WORKS: "no trigger worked for any class, so there is nothing to compare; give more "
    "clean {many} or check that their labels fit the model",
    NOTHING_STANDS_OUT: "no class can be reached by a trigger of any family that is much smaller, "
    "or much clearer, than those for the other classes",
}


def reason_texts(report: ScanReport) -> tuple[str, ...]:
    """Return the reasons of a scan in words, without the gaps of its coverage."""
    noun = noun_of(report)
    names, absolute = report.class_names, has_absolute_margins(report)
    return tuple(reason_text(each, names, noun, absolute=absolute) for each in report.reasons)


def has_absolute_margins(report: ScanReport) -> bool:
    """Return whether margins are those of a task that has a unit of its own."""
    task = find_task(report.coverage.task or "")
    return task is not None and task.absolute


def reason_text(
    reason: Reason, names: Sequence[str], noun: Noun = INPUT, *, absolute: bool = False
) -> str:
    """Return a reason in words.

    Parameters
    ----------
    reason
        Of a scan of a model.
    names
        The names of all its classes.
    noun
        What its inputs are called.
    absolute
        As of `undoor.render.text.stands_out`.

    Examples
    --------
    >>> from undoor.scan.reason import ClassFacts, Reason
    >>> from undoor.vocabulary import TARGET_FOUND
    >>> facts = ClassFacts(1, "patch", 3.0, 21.5, 0.0009, asr=0.93, sources=2)
    >>> print(reason_text(Reason(TARGET_FOUND, facts), ("go", "stop", "yield")))
    a patch trigger of size 3 moves 93% of held-out inputs from all other classes to class 1 \
(stop); 21.5 times smaller than natural ones, p = 0.0009
    """
    match reason.facts:
        case ClassFacts() as facts if reason.code == TARGET_FOUND:
            return _target_found(facts, names, noun, absolute=absolute)
        case ClassFacts() as facts:
            return _in_doubt(facts, names, noun, reason.code, absolute=absolute)
        case FamilyFacts(family):
            return (
                f"{family} triggers for a quarter of the classes or more are much smaller than for "
                "any model that this was learned from: there may be several targets, more than are "
                "named"
            )
        case AccuracyFacts() as facts:
            return _near_chance(facts, noun)
        case ShareFacts(share):
            return (
                f"the scores are flat: for {share:.0%} of the clean {noun.many} their gradient is "
                "0 or so small that it leads to no other class within the bounds, as behind a "
                "saturated or stepped output, so that no trigger can be searched for; give the "
                "scores in front of it"
            )
        case GraphFinding() as found if reason.code == ACCEPTED_GRAPH:
            return f"{ACCEPTED}{found.sentence}"
        case GraphFinding() as found:
            return f"{found.sentence}; {ACCEPT_GRAPH}"
        case Disagreement(sentence=sentence):
            return sentence
        case UnfinishedFacts() as facts:
            return _unfinished(facts)
        case SpentFacts() as facts:
            return f"{_spent(facts)}: the network's graph was not looked at"
        case TextFacts(text):
            return text
        case _:
            return WITHOUT_FACTS[reason.code].format(many=noun.many)


def _target_found(facts: ClassFacts, names: Sequence[str], noun: Noun, *, absolute: bool) -> str:
    others = len(names) - 1
    sources = (
        "all other classes"
        if facts.sources == others
        else f"{facts.sources} of {others} other classes"
    )
    led = (
        f"to {_class(facts.target, names)}"
        if facts.outcome is None
        else f"to {_class(facts.target, names)}: every input with it is predicted as "
        f"{plus_minus(facts.outcome)}"
    )
    clear = stands_out(facts.score, facts.margin, len(names), noun, absolute=absolute)
    article = "an" if facts.family[:1] in "aeiou" else "a"
    return (
        f"{article} {facts.family} trigger of size {facts.size:.3g} moves {facts.asr or 0:.0%} of "
        f"held-out {noun.many} from {sources} {led}; "
        f"{clear}, p = {facts.p_value:.2g}"
    )


def _in_doubt(
    facts: ClassFacts, names: Sequence[str], noun: Noun, code: ReasonCode, *, absolute: bool
) -> str:
    but = {
        MOVES_FEW: f"its trigger moves only {facts.asr or 0:.0%} of the held-out {noun.many}",
        AS_NATURAL: f"grown until it moves most {noun.many} of their classes, it is as large as "
        "natural triggers",
    }.get(code, "not far enough to be called a target")
    clear = stands_out(facts.score, facts.margin, len(names), noun, absolute=absolute)
    return (
        f"{_class(facts.target, names)} stands out for {facts.family} triggers "
        f"(size {facts.size:.3g}, {clear}, p = "
        f"{facts.p_value:.2g} over all families), but {but}"
    )


def _class(number: int, names: Sequence[str]) -> str:
    """Return number and name of a class; the number alone where it has no other name."""
    name = names[number] if 0 <= number < len(names) else str(number)
    return f"class {number}" if name == str(number) else f"class {number} ({name})"


def _near_chance(facts: AccuracyFacts, noun: Noun) -> str:
    text = near_chance_note(
        facts.accuracy, 1 / facts.classes if facts.chance is None else facts.chance, noun
    )
    if facts.better not in FEEDINGS:
        return text
    return f"{text}; {feeding_note(facts.better, facts.better_accuracy or 0.0, facts.accuracy)}"


def _spent(facts: SpentFacts) -> str:
    return f"the budget ended after {facts.passes:,} sample passes and {facts.seconds:.0f} s"


def _unfinished(facts: UnfinishedFacts) -> str:
    left = []
    if facts.not_searched:
        left.append(f"triggers of the families {', '.join(facts.not_searched)} were not looked for")
    if facts.cut_short:
        left.append(f"the searches of {', '.join(facts.cut_short)} were cut short")
    if not facts.looked_again:
        left.append("the second look at the classes that stood out was cut short")
    return f"{_spent(facts)}: {'; '.join(left)}; give more"
