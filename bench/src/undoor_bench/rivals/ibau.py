"""I-BAU: unlearn the worst perturbation that all images share, with an implicit hypergradient.

Zeng et al., Adversarial Unlearning of Backdoors via Implicit Hypergradient (ICLR 2022, arXiv
2110.03735). The weights w solve

    min over w of max over |d| <= C of the mean loss of x + d, with true labels.

Each round looks for a universal perturbation d by ascent and then moves the weights along the total
derivative of the loss, which includes that d depends on w: d is a fixed point of a step of
the inner descent P(d, w), so that

    dL/dw = L_w + P_w^T v,  v = (I - P_d^T)^-1 L_d,  v by K fixed-point iterations.

Five rounds, K = 5, Adam at 1e-3, 100 images a batch, an inner rate of 10 (0.1 for P) and an l2
penalty of 0.001 are those of the released code, for pixels in [0, 1] and 32 x 32 x 3 inputs; so is
the radius C of 10, which it names but has switched off. d is kept in these units, and C grows with
the square root of the number of values. As there, batch norms keep their statistics, and one image
in a hundred carries d when the weights move, although the equation says all: the others hold the
accuracy.

Adapted: their rounds pass over 5,000 images, once for d and once for w; here each round takes 30
steps for d and 20 for w, however few images there are. How d depends on w, which costs K double
passes, is judged by 50 images of the batch (theirs: always the first 100).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.progress import Progress, silent
from undoor.scan.report import ScanReport
from undoor_bench.rivals.common import finished, minibatches, require_finite, tunable

Loss = Callable[[Tensor], Tensor]
STAGE = "I-BAU"
# The radius is meant for so many input values.
VALUES = 32 * 32 * 3


@dataclass(frozen=True)
class IBAU:
    """Settings of I-BAU.

    Attributes
    ----------
    inner_steps, inner_rate
        Of the ascent for d.
    outer_steps, rate
        Of Adam, per round.
    radius
        C, for inputs of 3 x 32 x 32.
    penalty
        The weight of |d|^2 in the inner loss.
    fixed_point, fixed_rate, fixed_batch
        K, the step size of P, and the images that define P.
    portion
        The share of a batch that carries d when the weights move; at least one image.
    """

    rounds: int = 5
    inner_steps: int = 30
    outer_steps: int = 20
    batch: int = 100
    rate: float = 1e-3
    inner_rate: float = 10.0
    penalty: float = 1e-3
    radius: float = 10.0
    fixed_point: int = 5
    fixed_rate: float = 0.1
    fixed_batch: int = 50
    portion: float = 0.01


def ibau(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    generator: torch.Generator,
    *,
    settings: IBAU | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Return a copy of `classifier` that no shared perturbation moves; `report` is not read.

    Raises
    ------
    UndoorError
        Fewer than two images, or the loss is not finite.
    """
    settings = settings or IBAU()
    student = tunable(classifier, clean).eval()
    weights = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(weights, settings.rate)
    total, done = settings.rounds * settings.outer_steps, 0
    for _ in range(settings.rounds):
        shared = worst_shared(student, clean, generator, settings)
        for rows in minibatches(len(clean), settings.batch, settings.outer_steps, generator):
            x, y = clean.images[rows], clean.labels[rows]
            _leave_gradients(student, x, y, shared, weights, settings)
            optimizer.step()
            done += 1
            progress(STAGE, done, total)
    return finished(student)


def _leave_gradients(
    student: Classifier,
    x: Tensor,
    y: Tensor,
    shared: Tensor,
    weights: Sequence[Tensor],
    settings: IBAU,
) -> None:
    """Store the hypergradient of a batch as the gradients of the weights."""
    # Rows are shuffled: the first, and the last, are as good as any.
    carrying = torch.arange(len(x)) < max(1, round(settings.portion * len(x)))
    few = settings.fixed_batch
    outer = _loss(student, x, y, 1.0, 0.0, carrying)
    inner = _loss(student, x[-few:], y[-few:], -1.0, settings.penalty)
    loss, gradients = hypergradient(
        outer, inner, shared, weights, steps=settings.fixed_point, rate=settings.fixed_rate
    )
    require_finite(loss, STAGE)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient


def worst_shared(
    student: Classifier, clean: CleanSet, generator: torch.Generator, settings: IBAU
) -> Tensor:
    """Return the perturbation [C, H, W] that changes the predictions of most images.

    In units of the input's range; its norm is within the radius.
    """
    shared = torch.zeros(student.input_shape)
    predictions = student.predict(clean.images)
    limit = settings.radius * math.sqrt(shared.numel() / VALUES)
    for rows in minibatches(len(clean), settings.batch, settings.inner_steps, generator):
        shared.requires_grad_(True)
        loss = _loss(student, clean.images[rows], predictions[rows], -1.0, settings.penalty)(shared)
        (gradient,) = torch.autograd.grad(loss, shared)
        shared = shared.detach() - settings.inner_rate * gradient
        shared = shared * min(1.0, limit / max(float(shared.norm()), 1e-12))
    return shared


def hypergradient(
    outer: Loss, inner: Loss, point: Tensor, weights: Sequence[Tensor], *, steps: int, rate: float
) -> tuple[Tensor, list[Tensor]]:
    """Return the outer loss at `point`, and its total derivative with respect to each weight.

    `point` follows the weights: it stays a fixed point of descent on the inner loss with step size
    `rate`.

    >>> weight = torch.tensor(3.0, requires_grad=True)
    >>> inner = lambda d: 0.5 * (d - 2 * weight) ** 2
    >>> outer = lambda d: 0.5 * d**2
    >>> point = torch.tensor(6.0)  # where the inner loss is least
    >>> loss, gradients = hypergradient(outer, inner, point, [weight], steps=200, rate=0.1)
    >>> float(loss), round(float(gradients[0]), 4)  # d/dw of 2 w^2
    (18.0, 12.0)
    """
    point = point.detach().requires_grad_(True)
    loss = outer(point)
    direct = torch.autograd.grad(loss, [point, *weights], allow_unused=True)
    at_point = torch.zeros_like(point) if direct[0] is None else direct[0]
    (slope,) = torch.autograd.grad(inner(point), point, create_graph=True)
    step = point - rate * slope
    v = torch.zeros_like(point)
    for _ in range(steps):
        (pulled,) = torch.autograd.grad(step, point, v, retain_graph=True)
        v = pulled + at_point
    through = torch.autograd.grad(step, weights, v, allow_unused=True)
    parts = zip(direct[1:], through, weights, strict=True)
    return loss.detach(), [_sum(one, other, weight) for one, other, weight in parts]


def _sum(one: Tensor | None, other: Tensor | None, weight: Tensor) -> Tensor:
    given = [part for part in (one, other) if part is not None]
    return sum(given, torch.zeros_like(weight)).detach()


def _loss(
    student: Classifier,
    x: Tensor,
    y: Tensor,
    sign: float,
    penalty: float,
    carrying: Tensor | None = None,
) -> Loss:
    """Return a function of d: `sign` times the mean loss of the images with d, plus the penalty."""
    low, high = student.bounds
    carried = torch.ones(len(x)) if carrying is None else carrying.float()
    carried = (high - low) * carried.view(-1, *[1] * (x.dim() - 1))

    def of(shared: Tensor) -> Tensor:
        moved = x + carried * shared
        return sign * F.cross_entropy(student(moved), y) + penalty * shared.pow(2).sum()

    return of
