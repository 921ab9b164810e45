"""Compare an exported graph with the guarded model it was made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from undoor.classifier import ENTRY, Classifier
from undoor.device import on_cpu
from undoor.errors import UndoorError
from undoor.guard import Guarded
from undoor.triggers import Trigger
from undoor.vocabulary import MARGIN

# Relative to the largest logit, where that is above 1: float32 has no more digits.
TOLERANCE = 1e-4
BATCHES = (1, 2, 7)
Outputs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Parity:
    """How closely an exported file agrees with the guarded model.

    Attributes
    ----------
    inputs
        How many were compared; those on the edge of a decision are left out.
    largest
        The largest difference of a logit or score.
    allowed
        The largest difference that would have been accepted.
    """

    inputs: int
    largest: float
    allowed: float


def probes(classifier: Classifier, triggers: Iterable[Trigger], seed: int = 0) -> list[Tensor]:
    """Return random raw inputs within the bounds in batches of 1, 2 and 7, plain and triggered.

    Each trigger that acts on inputs gives triggered ones.
    """
    generator = torch.Generator().manual_seed(seed)
    plain = [on_cpu(classifier.examples(n, generator)) for n in BATCHES]
    on_inputs = [trigger for trigger in triggers if trigger.site == ENTRY]
    return [*plain, *(trigger(batch) for trigger in on_inputs for batch in plain)]


def odd_inputs(classifier: Classifier, seed: int = 0) -> Tensor:
    """Return raw inputs [6, ...] that every guard flags.

    They have one pixel, or all of them, outside the bounds, NaN or infinite.
    """
    low, high = classifier.bounds
    beyond = high + 0.5 * (high - low)
    generator = torch.Generator().manual_seed(seed)
    x = on_cpu(classifier.examples(6, generator))
    for row, value in zip(x, (beyond, torch.nan, torch.inf, -torch.inf), strict=False):
        row.view(-1)[0] = value
    x[4] += 0.5 * (high - low)
    x[5] = torch.nan
    return x


class Probe(NamedTuple):
    """A batch of raw inputs [N, ...], and what a file is given for them: pixels, or the same."""

    inputs: Tensor
    given: Tensor


def given_as_they_are(batches: Iterable[Tensor]) -> list[Probe]:
    """Return raw inputs for a file that takes them."""
    return [Probe(batch, batch) for batch in batches]


@torch.no_grad()
def compare(guarded: Guarded, run: Callable[[Tensor], Outputs], found: Iterable[Probe]) -> Parity:
    """Compare the outputs of both on the same inputs.

    An input on the edge of a decision (a tie between two classes, a score at its threshold) may
    fall to either side by rounding; all others must have the same outputs.

    Raises
    ------
    UndoorError
        They do not.
    """
    compared, largest, most_allowed = 0, 0.0, TOLERANCE
    for x, given in found:
        expected, got = guarded.logits(x), run(given)
        allowed = TOLERANCE * max(1.0, _finite(guarded.original(x)).abs().max().item())
        most_allowed = max(most_allowed, allowed)
        clear = ~_close_calls(guarded, x, expected[2], allowed)
        compared += int(clear.sum())
        for name, a, b in zip(("logits", "flagged", "score"), expected, got, strict=True):
            difference = _difference(a[clear], b[clear]) if a.shape == b.shape else torch.inf
            if not difference <= allowed:
                raise UndoorError(
                    f"the exported graph disagrees with the guarded model: {name} of {len(x)} "
                    f"inputs differ by {difference:.3g}, expected at most {allowed:.3g}; "
                    "nothing was written"
                )
            largest = max(largest, difference)
    return Parity(compared, largest, most_allowed)


def _close_calls(guarded: Guarded, x: Tensor, score: Tensor, allowed: float) -> Tensor:
    """Return which inputs are on the edge of a decision [N]."""
    original, task = guarded.original, guarded.original.task
    bare = original(x)
    if task.scores:
        close = task.certainty(bare) <= 2 * allowed
    else:  # Between numbers there is no tie; what counts is whether they are at a target.
        margins = torch.stack([task.margin(bare, goal).abs() for goal in guarded.targets])
        close = margins.amin(0) * task.unit <= 2 * allowed
    edges = guarded.thresholds if guarded.rule == MARGIN else (0.0,)
    for edge in edges:
        close |= (score - edge).abs() <= 2 * allowed
    return close


def _difference(a: Tensor, b: Tensor) -> float:
    """Return the largest difference; infinite where only one is infinite (or true)."""
    if a.dtype != b.dtype:
        return torch.inf
    if a.dtype == torch.bool:
        return 0.0 if torch.equal(a, b) else torch.inf
    alike = (a == b) | (torch.isfinite(a) & torch.isfinite(b))
    if not bool(alike.all()):
        return torch.inf
    return float((a - b)[a != b].abs().max()) if bool((a != b).any()) else 0.0


def _finite(values: Tensor) -> Tensor:
    return values[torch.isfinite(values)]
