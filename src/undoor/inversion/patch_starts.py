"""Where searches for patches start: the opaque squares that pull inputs to a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import CPU, array, from_array, on
from undoor.families.family import Places
from undoor.inversion.candidates import Search
from undoor.inversion.chunks import attack, groups
from undoor.inversion.journalled_search import search_digest, step
from undoor.inversion.optimisation import Deck
from undoor.inversion.work import Work
from undoor.journal import NO_DRAFT, Arrays, Draft
from undoor.triggers import Stamp

# Steps of one image each: colours that need more to pull are not planted.
STEPS = 10
STEP = 1.0
MOMENTUM = 0.7
# A logit beyond which a colour does not change any more.
MAX_LOGIT = 4.0
# From one square to the next, in their sides: for few classes and for many.
NEAR, FAR = 1.0, 1.8
# How opaque the squares are when the search for the smallest patch starts from them.
OPACITY = 0.8


@dataclass(frozen=True, eq=False)
class Pulled:
    """What the squares do for one search.

    Attributes
    ----------
    pull
        Mean probability of the target with the best square, in [0, 1].
    starts
        Searches that start from the best squares.
    """

    pull: float
    starts: tuple[Search, ...]


def try_squares(
    work: Work,
    searches: Sequence[Search],
    places: Places,
    family: str,
    *,
    distance: float,
    keep: int,
) -> list[Pulled]:
    """Try opaque squares for every search, and start from those that pull most.

    Every square gets random colours, which a few steps along the sign of the gradient improve. A
    search for mask and pattern at once has to start with a faint mask, through which a planted
    patch has hardly a gradient; in an opaque square it shows at once. Most networks are moved by a
    planted patch wherever it is, so that squares need not cover every place.

    Parameters
    ----------
    work
        The model, its images and the budget.
    searches
        What to look for.
    places
        The squares.
    family
        Of the triggers that the searches start from.
    distance
        From one square to the next, in sides of one: `NEAR` for few classes, or `FAR`.
    keep
        How many squares a search starts from.

    Returns
    -------
    list of Pulled
        One for each of `searches`.

    Raises
    ------
    BudgetEnded
        Before all were tried; those that were are stored in the journal.
    """
    masks = on(CPU, places.masks(work.classifier.input_shape, distance))
    bounds = work.classifier.bounds
    out: list[Pulled] = []
    for done, search in enumerate(searches):
        pulling = _pulling_most(work, search, masks, keep)
        pairs = zip(pulling["squares"].tolist(), from_array(pulling["patterns"]), strict=True)
        stamps = [Stamp(family, OPACITY * masks[i], p, "replace", bounds) for i, p in pairs]
        starts = tuple(replace(search, start=stamp) for stamp in stamps)
        out.append(Pulled(float(pulling["pull"]), starts))
        work.run.progress("trying squares", done + 1, len(searches))
    return out


def square_passes(classifier: Classifier, places: Places, distance: float, searches: int) -> float:
    """Return the sample passes of trying squares for so many searches."""
    return float(len(places.masks(classifier.input_shape, distance)) * STEPS * searches)


def _pulling_most(work: Work, search: Search, masks: Tensor, keep: int) -> Arrays:
    """Return the `keep` squares that pull most, the patterns [keep, C, H, W] in them, and the pull.

    From the journal where the work has one and they are there already.
    """

    def compute(_: Draft) -> Arrays:
        pull, patterns = _pulls(work, search, on(work.images.x.device, masks))
        order = pull.argsort(descending=True)[:keep]
        return {
            "squares": array(order),
            "patterns": array(patterns[order]),
            "pull": np.array(float(pull.max())),
        }

    if work.run.journal is None:
        return compute(NO_DRAFT)
    facts = (search_digest(search), array(masks), keep)
    return step(work.run.journal, "squares", compute, work.run.generator, work.run.meter, *facts)


def _pulls(work: Work, search: Search, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pull [P] of every square, and its colours [P, C, H, W] in raw units.

    The pull is the probability of the target, on average over the second half of the steps.
    """
    deck, count = Deck(search, work.run.generator), len(masks)
    shape = (count, *work.classifier.input_shape)
    logit = 0.5 * torch.randn(*shape, generator=work.run.generator, device=CPU)
    logit = on(masks.device, logit)
    momentum = torch.zeros_like(logit)
    pull = torch.zeros(count, device=masks.device)
    for turn in range(work.run.steps(STEPS)):
        drawn = deck.draw(turn, 1)
        entropy, gradient = _push(work, logit, masks, drawn, away=deck.leave is not None)
        size = gradient.abs().flatten(1).mean(1).clamp_min(1e-12)
        momentum = MOMENTUM * momentum + gradient / size.view(-1, 1, 1, 1)
        logit = (logit - STEP * momentum.sign()).clamp(-MAX_LOGIT, MAX_LOGIT)
        if turn >= STEPS // 2:
            pull += (-entropy).exp() / (STEPS - STEPS // 2)
    return pull, _colours(work, logit)


def _push(
    work: Work, logit: Tensor, masks: Tensor, drawn: tuple[Tensor, Tensor], *, away: bool
) -> tuple[Tensor, Tensor]:
    """Return the loss [P] of one image under each square, and its gradient [P, C, H, W].

    As many squares at a time as the classifier's capacity allows.
    """
    classifier, (row, label) = work.classifier, drawn
    limit = classifier.capacity.learning if classifier.capacity else None
    entropies: list[Tensor] = []
    gradients: list[Tensor] = []
    for cut in groups(len(masks), limit):
        part, mask = logit[cut].clone().requires_grad_(True), masks[cut]
        x = work.images.x[row] * (1 - mask) + _colours(work, part) * mask
        x = x.contiguous(memory_format=classifier.memory_format)
        count = len(mask)
        leaving = torch.full((count,), away, device=mask.device)
        entropy, _ = attack(classifier, x[:, None], label.expand(count, 1), leaving)
        gradients += torch.autograd.grad(entropy.sum(), part)
        entropies.append(entropy.detach())
    return torch.cat(entropies), torch.cat(gradients)


def _colours(work: Work, logit: Tensor) -> Tensor:
    low, high = work.classifier.bounds
    return low + (high - low) * logit.sigmoid()
