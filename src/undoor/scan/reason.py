"""The reasons of a verdict: codes, numbers and names.

`undoor.render.reasons` puts them into words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pydantic import TypeAdapter

from undoor.scan.coverage import with_lists
from undoor.scrutiny import Disagreement, GraphFinding
from undoor.vocabulary import (
    ACCEPTED_GRAPH,
    AS_NATURAL,
    AS_WRITTEN,
    BUDGET_ENDED,
    FLAT_SCORES,
    GRAPH_NOT_READ,
    MOVES_FEW,
    NEAR_CHANCE,
    NO_HEAD,
    NOTHING_STANDS_OUT,
    NOTHING_WORKS,
    ODD_GRAPH,
    RUNS_DISAGREE,
    SEVERAL_TARGETS,
    STANDS_OUT,
    TARGET_FOUND,
    ReasonCode,
)


@dataclass(frozen=True)
class NoFacts:
    """A reason that its code says completely."""


@dataclass(frozen=True)
class ClassFacts:
    """How one class stands out; numbers as in `undoor.scan.report.ClassEvidence`.

    Attributes
    ----------
    p_value
        Over all families, in [0, 1].
    asr
        Share of held-out images that the trigger moves, in [0, 1]; None where not measured.
    sources
        How many classes the trigger moves; None where it was not confirmed.
    margin
        How clearly a trigger of one size moves images, where that is what stands out.
    outcome
        Of a number that is predicted: its median with the trigger, and the distance from it within
        which nine in ten predictions lie.
    """

    target: int
    family: str
    size: float
    score: float
    p_value: float
    asr: float | None = None
    sources: int | None = None
    margin: float | None = None
    outcome: tuple[float, float] | None = None


@dataclass(frozen=True)
class FamilyFacts:
    """A trigger family."""

    family: str


@dataclass(frozen=True)
class AccuracyFacts:
    """How well the model predicts the clean images.

    Attributes
    ----------
    accuracy
        Share of the clean images that are classified correctly, in [0, 1].
    classes
        How many classes the model has.
    better
        The way of feeding the images that is clearly more accurate, a key of
        `undoor.inspect.dry_run.FEEDINGS`; None where none is.
    better_accuracy
        Accuracy in that way.
    chance
        The accuracy of what does not look at the image; None for one in as many as there are
        classes.
    """

    accuracy: float
    classes: int
    better: str | None = None
    better_accuracy: float | None = None
    chance: float | None = None


@dataclass(frozen=True)
class ShareFacts:
    """A share of the clean images, in [0, 1]."""

    share: float


@dataclass(frozen=True)
class SpentFacts:
    """What was spent when the budget ended.

    Attributes
    ----------
    passes
        Sample passes.
    seconds
        Of wall-clock time.
    """

    passes: int
    seconds: float


@dataclass(frozen=True)
class UnfinishedFacts(SpentFacts):
    """What the budget did not suffice for.

    Attributes
    ----------
    not_searched, cut_short
        Families that were not searched, and those not searched to the end.
    looked_again
        Whether the classes that stood out were looked at a second time.
    """

    not_searched: tuple[str, ...] = ()
    cut_short: tuple[str, ...] = ()
    looked_again: bool = True


@dataclass(frozen=True)
class TextFacts:
    """A sentence that somebody else wrote."""

    text: str


Facts = (
    NoFacts
    | ClassFacts
    | FamilyFacts
    | AccuracyFacts
    | ShareFacts
    | GraphFinding
    | Disagreement
    | SpentFacts
    | TextFacts
)
# Fields that reports of older versions do not have.
ADDED = {"chance", "outcome"}
KINDS: dict[ReasonCode, type[Facts]] = {
    TARGET_FOUND: ClassFacts,
    STANDS_OUT: ClassFacts,
    MOVES_FEW: ClassFacts,
    AS_NATURAL: ClassFacts,
    SEVERAL_TARGETS: FamilyFacts,
    NOTHING_WORKS: NoFacts,
    NOTHING_STANDS_OUT: NoFacts,
    NEAR_CHANCE: AccuracyFacts,
    NO_HEAD: NoFacts,
    FLAT_SCORES: ShareFacts,
    ODD_GRAPH: GraphFinding,
    ACCEPTED_GRAPH: GraphFinding,
    GRAPH_NOT_READ: SpentFacts,
    RUNS_DISAGREE: Disagreement,
    BUDGET_ENDED: UnfinishedFacts,
    AS_WRITTEN: TextFacts,
}


@dataclass(frozen=True)
class Reason:
    """One reason of a verdict.

    Attributes
    ----------
    code
        What it is about.
    facts
        Its numbers and names, of the type that `KINDS` has for the code.
    """

    code: ReasonCode
    facts: Facts = field(default_factory=NoFacts)

    def to_json(self) -> dict[str, Any]:
        """Return code and facts by name."""
        return {"code": self.code, "facts": asdict(self.facts, dict_factory=with_lists)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Reason:
        """Read what `to_json` gave; the text beside it follows from that.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError
            `data` is not what `to_json` gives.
        """
        code, facts = data["code"], data["facts"]
        kind = KINDS[code]
        expected = {item.name for item in fields(kind)}
        if facts.keys() | (expected & ADDED) != expected:
            raise KeyError(*sorted(facts.keys() ^ expected))
        return Reason(code, TypeAdapter(kind).validate_python(facts))


def written(text: str) -> Reason:
    """Return a sentence of an older report, or of another package, as a reason."""
    return Reason(AS_WRITTEN, TextFacts(text))
