"""Whether the gradients of a network are those of its predictions.

Scans search with gradients. A network with the gradients of another one misleads them. Class scores
of two inputs differ by the integral of the gradient along the line between them, with or without
kinks; it is computed by Gauss-Legendre quadrature with four points.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import CPU, on, precise
from undoor.scrutiny.doubt import Disagreement

MAX_INPUTS = 8
_DIRECTIONS = 3
# As shares of the range of inputs: half the length of the lines, and the distance from the bounds.
# Some networks, of recordings for example, bend on the usual lines, but not on shorter ones; the
# gradients of another network are wrong on any.
_STEPS, _INSIDE = (0.004, 0.0004), 0.01
_POINTS = ((-0.8611363116, 0.3478548451), (-0.3399810436, 0.6521451549))
# Differences below this share of the range of the class scores are rounding.
_NOISE = 3e-5
# The median of the relative errors is below 0.1 for ordinary networks, and about 1 for gradients of
# another network.
_MAX_ERROR = 0.35
_MIN_SLOPES = 6


def ask_gradients(classifier: Classifier, x: Tensor) -> Iterator[Disagreement]:
    """Yield a disagreement if the gradients are not those of the class scores.

    Parameters
    ----------
    x
        Raw inputs [N, ...], of which at most `MAX_INPUTS` are used.
    """
    low, high = classifier.bounds
    margin = _INSIDE * (high - low)
    x = x[:MAX_INPUTS].clamp(low + margin, high - margin)
    draw = torch.Generator().manual_seed(0)
    errors = x.new_zeros(0)
    for step in _STEPS:
        found = [_errors(classifier, x, step * (high - low), draw) for _ in range(_DIRECTIONS)]
        shorter = torch.cat(found)
        if len(shorter) < _MIN_SLOPES:
            # What the lines before said stands: on shorter ones little is left but rounding.
            break
        errors = shorter
        if not float(errors.median()) > _MAX_ERROR:
            return
    if not len(errors):
        return
    text = (
        "gradients are not those of the predictions: along short lines they are wrong by "
        f"{float(errors.median()):.0%} (median of {len(errors)} lines)"
    )
    yield Disagreement("gradient", text)


def _errors(classifier: Classifier, x: Tensor, step: float, draw: torch.Generator) -> Tensor:
    """Return the relative errors along a random direction from each input.

    Inputs at which the scores do not change are left out.
    """
    way = step * on(x.device, torch.randn(x.shape, generator=draw, device=CPU)).sign()
    shape = (len(x), classifier.num_outputs)
    weights = on(x.device, torch.randn(*shape, generator=draw, device=CPU))

    def height(at: Tensor) -> Tensor:
        return (classifier(at) * weights).sum(1)

    with torch.no_grad():
        there, back = height(x + way), height(x - way)
        scores = classifier(x)
    chord = precise(there - back)
    total = torch.zeros_like(chord)
    for place, weight in _POINTS:
        for sign in (1, -1):
            at = (x + sign * place * way).requires_grad_()
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(height(at).sum(), at)
            total += weight * precise((slope * way).flatten(1).sum(1))
    noise = _NOISE * float((scores - scores.mean()).abs().max()) * precise(weights.norm(dim=1))
    larger = torch.maximum(chord.abs(), total.abs())
    return ((chord - total).abs() / larger.clamp_min(1e-30))[larger > noise]
