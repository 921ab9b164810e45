"""Whether gradients are those of the predictions: the slope of a chord against the mean gradient.

Scans search with gradients. A network that gives another's leads them anywhere but to its backdoor.
Between two inputs, class scores differ by the integral of the gradient along the way, whether or
not it has kinks (Gauss-Legendre quadrature, four points).
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
# Half the length of the way, of the range of inputs, and how far inputs are kept from their bounds.
_STEP, _INSIDE = 0.004, 0.01
_POINTS = ((-0.8611363116, 0.3478548451), (-0.3399810436, 0.6521451549))
# Differences below this, of the range of the class scores, are rounding.
_NOISE = 3e-5
# The median of the relative errors: of ordinary networks below 0.1, of another's gradients about 1.
_MAX_ERROR = 0.35
_MIN_SLOPES = 6


def ask_gradients(classifier: Classifier, x: Tensor) -> Iterator[Disagreement]:
    """Yield a disagreement where the gradients are not those of the class scores, or nothing.

    Parameters
    ----------
    x
        Raw inputs [N, ...], of which at most `MAX_INPUTS` are used.
    """
    low, high = classifier.bounds
    margin = _INSIDE * (high - low)
    x = x[:MAX_INPUTS].clamp(low + margin, high - margin)
    draw = torch.Generator().manual_seed(0)
    errors = torch.cat(
        [_errors(classifier, x, _STEP * (high - low), draw) for _ in range(_DIRECTIONS)]
    )
    if len(errors) < _MIN_SLOPES or not float(errors.median()) > _MAX_ERROR:
        return
    text = (
        "gradients are not those of the predictions: along short ways they are off by "
        f"{float(errors.median()):.0%} (median of {len(errors)})"
    )
    yield Disagreement("gradient", text)


def _errors(classifier: Classifier, x: Tensor, step: float, draw: torch.Generator) -> Tensor:
    """Return the relative errors along one random direction from each input, where anything
    changes.
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
