"""Of hundreds of classes, the order in which they are worth a search: cheap statistics first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from undoor.device import CPU, array, on, shuffled
from undoor.families.family import Family
from undoor.families.registry import families_for, family_named
from undoor.inversion.chunks import answered, chunks_of, groups
from undoor.inversion.goals import FRONT, MAX_TRIED, RANKED_CONTROL, with_control
from undoor.inversion.journalled_search import step
from undoor.inversion.margins import BETAS
from undoor.inversion.smaller import FirstLook
from undoor.inversion.work import Work
from undoor.journal import NO_DRAFT, Arrays, Draft
from undoor.tasks.task import Task

# Of each family: candidates without a target, steps of Adam, and images per candidate and step.
STARTS = 18
STEPS = 20
BATCH = 4
# Random features of which the last layer is asked for a class.
FEATURES = 4000


def ranked_first(look: FirstLook) -> FirstLook:
    """Return the work with the classes that are worth a search, where a model has hundreds.

    These are the classes that are first by any of several statistics, each in its turn, and others
    that are drawn at random, so that what is natural is learned from those. No statistic looks at
    one class after the other: what they cost does not grow with the number of classes.

    - For each trigger family that looks for the clearest trigger of one size: candidates without a
      target learn to move all images the same way, whichever, as a planted trigger does; how
      clearly they go to each class is its statistic.
    - The share of random non-negative features that the last layer gives each class.

    Parameters
    ----------
    look
        What the first search works on.

    Raises
    ------
    BudgetEnded
        Before the order was known.
    """
    work, classes = look.work, look.work.classifier.num_classes
    if work.goals is not None or classes <= MAX_TRIED or not work.classifier.task.numbered:
        return look
    generator = torch.Generator().manual_seed(0)
    goals = replace(with_control(front(work), classes, generator, RANKED_CONTROL), ranked=True)
    full = replace(look.full, goals=goals)
    return FirstLook(replace(work, goals=goals) if look.smaller else full, full)


def front(work: Work, count: int = FRONT) -> list[int]:
    """Return the `count` classes that the statistics put first.

    From the journal where the work has one and they are there already.
    """
    names = [each for each in families_for(work.classifier) if _searched_by_gradients(each)]

    def compute(_: Draft) -> Arrays:
        statistics = [_clearest(work, family_named(name)) for name in names]
        share = _head_share(work)
        statistics += [] if share is None else [share]
        return {"front": np.array(in_turn(statistics, count))}

    run = work.run
    if run.journal is None:
        return list(compute(NO_DRAFT)["front"].tolist())
    facts = (*names, count, array(work.images.estimate))
    found = step(run.journal, "ranking", compute, run.generator, run.meter, *facts)
    return list(found["front"].tolist())


def in_turn(statistics: Sequence[Tensor], count: int) -> list[int]:
    """Return the first `count` classes by statistics [K], one of each in turn.

    >>> in_turn([torch.tensor([0.0, 3.0, 2.0]), torch.tensor([5.0, 4.0, 0.0])], 2)
    [1, 0]
    """
    orders = torch.stack([each.argsort(descending=True, stable=True) for each in statistics])
    return list(dict.fromkeys(orders.T.flatten().tolist()))[:count]


def passes_of_ranking(families: int) -> float:
    """Return the sample passes of the statistics of so many families.

    >>> passes_of_ranking(5)
    7200.0
    """
    return float(families * STARTS * STEPS * BATCH)


def _searched_by_gradients(name: str) -> bool:
    family = family_named(name)
    return bool(family.at_size and not (family.cells or family.tokens or family.made_of))


def _clearest(work: Work, family: Family) -> Tensor:
    """Return how clearly candidates without a target move images to each class [K]."""
    plan, classifier, run = family.at_size, work.classifier, work.run
    assert plan is not None
    size = plan.size * family.growth(classifier.extent)
    bank = family.bank(STARTS, classifier, work.images.x, run.generator).to(classifier.device)
    limit = classifier.capacity.learning if classifier.capacity else None
    chunks = chunks_of(classifier, bank, None, max(1, limit // BATCH) if limit else None)
    optimizer = torch.optim.Adam(bank.parameters(), lr=plan.pace * bank.step_size, betas=BETAS)
    pool = work.images.estimate
    clean = classifier.logits(work.images.x[pool], 256).float()
    order = torch.stack([shuffled(len(pool), run.generator, pool.device) for _ in range(STARTS)])
    found = torch.full((classifier.num_classes,), -torch.inf, device=pool.device)
    bank.limit(size)
    for turn in range(STEPS):
        places = torch.arange(BATCH, device=pool.device) + turn * BATCH
        drawn = order[:, places % len(pool)]
        optimizer.zero_grad(set_to_none=len(chunks) == 1)
        for chunk in chunks:
            for cut in groups(BATCH, limit):
                rows = drawn[chunk.rows, cut]
                logits = answered(chunk.triggered, work.images.x[pool[rows]])
                # The class that rises most, whichever: towards it all images are moved further.
                (-(logits - clean[rows]).mean(1).amax(1)).sum().backward()
                found = torch.maximum(found, _margins(classifier.task, logits.detach()).amax(0))
        optimizer.step()
        bank.limit(size)
        run.progress("ranking classes", turn + 1, STEPS)
    return on(CPU, found)


def _margins(task: Task, logits: Tensor) -> Tensor:
    """Return how clearly inputs go to each class, on average over those of a candidate: [M, K]."""
    flat, classes = logits.flatten(0, 1), range(logits.shape[-1])
    each = torch.stack([task.margin(flat, goal) for goal in classes], 1)
    return each.view(*logits.shape).mean(1)


def _head_share(work: Work) -> Tensor | None:
    """Return the share of random non-negative features that each class gets [K].

    None where the last layer is no linear one, or there are several.
    """
    directions, classifier = work.class_directions, work.classifier
    if directions is None or len(directions.heads) != 1:
        return None
    layer = classifier.get_submodule(directions.heads[0].head.name)
    if not isinstance(layer, nn.Linear) or layer.out_features != classifier.num_classes:
        return None
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(FEATURES, layer.in_features, generator=generator, device=CPU).abs()
    with torch.no_grad():
        predicted = classifier.task.predictions(layer(on(classifier.device, features)))
    return on(CPU, predicted.bincount(minlength=classifier.num_classes).float())
