"""Which small squares push inputs to which class: starts for patch triggers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from undoor.scan.invert import Deck, Search, attack
from undoor.scan.work import Work
from undoor.triggers import Stamp

# Side of a square, as a share of the shorter side of an image, and in pixels at least.
SIDE = 5 / 32
LEAST_SIDE = 3
# Steps of one image each: colours that need more to pull are not planted.
STEPS = 10
STEP = 1.0
MOMENTUM = 0.7
# A logit beyond which a colour does not change any more.
MOST_LOGIT = 4.0
# How opaque the squares are when the search for the smallest patch goes on from them.
OPACITY = 0.8


@dataclass(frozen=True, eq=False)
class Pulled:
    """What the squares do for one search. pull : mean probability with the best of them.
    starts : searches from the best of them."""

    pull: float
    starts: tuple[Search, ...]


def squares(shape: tuple[int, ...], distance: float) -> Tensor:
    """Masks [P, 1, H, W] of squares on a grid that ends at the edges.

    shape : (C, H, W). distance : from one to the next, in sides of a square.

    >>> squares((3, 32, 32), 1.0).shape
    torch.Size([49, 1, 32, 32])
    """
    _, height, width = shape
    shorter = min(height, width)
    side = min(shorter, max(LEAST_SIDE, round(SIDE * shorter)))
    step = max(1, round(distance * side))
    tops, lefts = ([*range(0, length - side, step), length - side] for length in (height, width))
    masks = torch.zeros(len(tops) * len(lefts), 1, height, width)
    corners = ((top, left) for top in tops for left in lefts)
    for mask, (top, left) in zip(masks, corners, strict=True):
        mask[:, top : top + side, left : left + side] = 1
    return masks


def try_squares(
    work: Work, searches: Sequence[Search], *, distance: float, keep: int
) -> list[Pulled]:
    """For each of `searches`, how squares of its best colours pull, and searches from `keep`.

    Every square gets random colours, which a few steps along the sign of the gradient improve. A
    search for mask and pattern at once has to start with a faint mask, through which a planted
    patch has hardly a gradient; in an opaque square it shows at once. Most networks answer to a
    planted patch wherever it is, so that squares need not cover every place.

    Nothing is tried for those at which the budget ends.
    """
    masks = squares(work.classifier.input_shape, distance)
    bounds = work.classifier.bounds
    out: list[Pulled] = []
    for done, search in enumerate(searches):
        if work.meter.exhausted:
            out.append(Pulled(0.0, ()))
            continue
        pull, patterns = _pulls(work, search, masks)
        work.meter.spend(len(masks) * STEPS)
        best = pull.argsort(descending=True)[:keep].tolist()
        stamps = [Stamp("patch", OPACITY * masks[i], patterns[i], "replace", bounds) for i in best]
        starts = tuple(replace(search, start=stamp) for stamp in stamps)
        out.append(Pulled(float(pull.max()), starts))
        work.progress("trying squares", done + 1, len(searches))
    return out


def _pulls(work: Work, search: Search, masks: Tensor) -> tuple[Tensor, Tensor]:
    """The probability that each square gives [P], on average over the second half of the steps,
    and its colours at the end, as a pattern [P, C, H, W] in raw units."""
    classifier, (low, high) = work.classifier, work.classifier.bounds
    deck, count = Deck(search, work.generator), len(masks)
    away = torch.full((count,), deck.leave is not None)
    logit = 0.5 * torch.randn(count, *classifier.input_shape, generator=work.generator)
    momentum = torch.zeros_like(logit)
    pull = torch.zeros(count)
    for step in range(STEPS):
        row, label = deck.draw(step, 1)
        logit.requires_grad_(True)
        pattern = low + (high - low) * logit.sigmoid()
        x = work.images.x[row] * (1 - masks) + pattern * masks
        x = x.contiguous(memory_format=torch.channels_last)
        entropy, _ = attack(classifier, x[:, None], label.expand(count, 1), away)
        (gradient,) = torch.autograd.grad(entropy.sum(), logit)
        size = gradient.abs().flatten(1).mean(1).clamp_min(1e-12)
        momentum = MOMENTUM * momentum + gradient / size.view(-1, 1, 1, 1)
        logit = (logit.detach() - STEP * momentum.sign()).clamp(-MOST_LOGIT, MOST_LOGIT)
        if step >= STEPS // 2:
            pull += (-entropy.detach()).exp() / (STEPS - STEPS // 2)
    return pull, low + (high - low) * logit.sigmoid()
