"""The logits of a model for a few fixed inputs, compared up to rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from undoor.device import CPU, on_cpu

if TYPE_CHECKING:
    from undoor.classifier import Classifier

# The logits of at most this many classes are stored, evenly spread over the classes.
MAX_CLASSES = 64
# As a share of the largest logit; the rounding of processors differs by far less.
TOLERANCE = 0.01
# Always this many inputs per pass, so that effects of the batch stay the same.
BATCH = 2
DIGITS = 5

Logits = tuple[tuple[float | None, ...], ...]


def probe_shares(shape: Sequence[int]) -> Tensor:
    """Return eight inputs [8, *shape] as shares of the range: noise, constants and ramps.

    >>> probe_shares((1, 2, 2)).shape
    torch.Size([8, 1, 2, 2])
    """
    generator = torch.Generator().manual_seed(20_260)
    noise = torch.rand(3, *shape, generator=generator, device=CPU)
    noise[2] = 0.5 + 0.2 * (noise[2] - 0.5)
    grey = torch.full((2, *shape), 0.5, device=CPU)
    grey[1] = 0.85
    across = torch.linspace(0, 1, shape[-1], device=CPU).expand(*shape)
    through = torch.linspace(0, 1, math.prod(shape), device=CPU).reshape(*shape)
    return torch.cat([noise, grey, torch.stack([across, across.flip(-1), through**2])])


@torch.no_grad()
def probe_logits(classifier: Classifier) -> Logits:
    """Return the logits [8, classes] of the probe inputs; None for logits that are not finite.

    The random state of the caller is not changed.
    """
    inputs = classifier.space.at(probe_shares(classifier.input_shape), classifier.bounds)
    with torch.random.fork_rng(devices=[]):
        logits = torch.cat(
            [on_cpu(classifier(batch)) for batch in classifier.batches(inputs, BATCH)]
        )
    step = -(-logits.shape[1] // MAX_CLASSES)
    return tuple(tuple(map(_rounded, row)) for row in logits[:, ::step].tolist())


def probe_difference(expected: Logits, found: Logits) -> float | None:
    """Return the largest difference of two sets of logits as a share of the largest logit.

    None if rounding explains the difference.

    >>> probe_difference(((1.0, 2.0),), ((1.0, 2.001),)) is None
    True
    >>> probe_difference(((1.0, 2.0),), ((1.0, 1.5),))
    0.25
    """
    if [len(row) for row in expected] != [len(row) for row in found]:
        return float("inf")
    pairs = [pair for rows in zip(expected, found, strict=True) for pair in zip(*rows, strict=True)]
    if any((a is None) != (b is None) for a, b in pairs):
        return float("inf")
    finite = [(a, b) for a, b in pairs if a is not None and b is not None]
    largest = max((abs(a) for a, _ in finite), default=0.0)
    furthest = max((abs(a - b) for a, b in finite), default=0.0)
    if furthest <= TOLERANCE * largest:
        return None
    return furthest / largest if largest else float("inf")


def logits_from_json(data: Any) -> Logits:
    """Read rows of logits [inputs, classes].

    Raises
    ------
    TypeError, ValueError
        The data is something else, or holds values that are not finite.
    """
    rows = tuple(tuple(None if value is None else float(value) for value in row) for row in data)
    if not all(value is None or math.isfinite(value) for row in rows for value in row):
        raise ValueError("expected finite logits of the probe inputs, got NaN or infinity")
    return rows


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
