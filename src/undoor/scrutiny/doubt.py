"""The findings of a scrutiny: reasons to doubt the scan of a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

GraphCode = Literal[
    "comparison",
    "mask",
    "index",
    "step",
    "branch",
    "batch_size",
    "pixel",
    "gate",
    "detach",
    "gradient_mode",
    "own_gradient",
    "random",
    "state",
    "print",
    "operator",
    "condition",
    "disconnected",
    "fails",
]
WHAT: dict[GraphCode, str] = {
    "comparison": "compares values computed from the input, which ordinary layers do not",
    "mask": "chooses between values by a mask computed from the input",
    "index": "picks values by positions computed from the input",
    "step": "computes a step function of the input, whose gradient is 0",
    "branch": "branches on a value computed from the input",
    "batch_size": "uses the number of inputs in the batch as more than a shape",
    "pixel": "reads single pixels of the input",
    "gate": "multiplies all class scores by one value computed from the input",
    "detach": "cuts the gradient between input and class scores",
    "gradient_mode": "reads or switches the gradient mode",
    "own_gradient": "defines a gradient of its own",
    "random": "draws random numbers",
    "state": "changes its own state in every pass",
    "print": "prints",
    "operator": "calls an operator that is not one of PyTorch's",
    "condition": "reads something other than its input, such as the time or how it is run",
    "disconnected": "returns class scores that cannot be traced back to the input",
    "fails": "raises an error where it should predict",
}
# Characters of an error that a sentence quotes.
MAX_REASON = 200


@dataclass(frozen=True)
class GraphFinding:
    """An operation between input and class scores that ordinary layers do not have.

    Attributes
    ----------
    code
        Kind of the finding, see `WHAT`.
    where
        Module, and source line if known.
    what
        Name of the operator, or another name.
    count
        How many places have such a finding; this is the first.
    """

    code: GraphCode
    where: str
    what: str
    count: int = 1

    @property
    def sentence(self) -> str:
        """The finding in a sentence."""
        more = f", and {self.count - 1} more like it" if self.count > 1 else ""
        return f"the network {WHAT[self.code]} ({self.what} at {self.where}{more})"

    def to_json(self) -> dict[str, Any]:
        """Return code, where, what, count and the sentence."""
        return {**vars(self), "sentence": self.sentence}


@dataclass(frozen=True)
class Disagreement:
    """Predictions or gradients that should agree, but do not.

    Attributes
    ----------
    code
        The difference between the two runs.
    sentence
        The disagreement in a sentence, with its size.
    """

    code: str
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return code and sentence."""
        return dict(vars(self))


def first_line(error: Exception) -> str:
    r"""Return the type and the first line of an error, short enough for a sentence.

    >>> first_line(ValueError("batches of 4 alone\nsee above")), first_line(RuntimeError())
    ('ValueError: batches of 4 alone', 'RuntimeError')
    """
    text, kind = str(error).strip(), type(error).__name__
    return f"{kind}: {text.splitlines()[0][:MAX_REASON]}" if text else kind


def merged(findings: Iterable[GraphFinding]) -> tuple[GraphFinding, ...]:
    """Return one finding per kind, in the order of first occurrence, with their number.

    >>> a, b = (GraphFinding("mask", place, "where") for place in ("one", "two"))
    >>> [(f.where, f.count) for f in merged([a, b, a])]
    [('one', 2)]
    """
    out: dict[GraphCode, dict[tuple[str, str], GraphFinding]] = {}
    for finding in findings:
        out.setdefault(finding.code, {}).setdefault((finding.where, finding.what), finding)
    return tuple(
        GraphFinding(code, first.where, first.what, len(alike))
        for code, alike in out.items()
        for first in [next(iter(alike.values()))]
    )
