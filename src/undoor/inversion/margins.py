"""Search for the trigger of a fixed size that moves inputs to a class most clearly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.device import CPU, indices, shuffled
from undoor.errors import UndoorError
from undoor.families.at_size import ENOUGH, AtSize
from undoor.families.bank import TriggerBank
from undoor.families.family import Family
from undoor.inversion.candidates import Candidate, Search
from undoor.inversion.checkpoints import (
    adam_arrays,
    bank_arrays,
    restore_adam,
    restore_bank,
)
from undoor.inversion.chunks import chunks_of, groups
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.followed import FEW_CLASSES, number_followed, repeated, some
from undoor.inversion.journalled_search import journalled, search_digest
from undoor.inversion.optimisation import Deck, placed
from undoor.inversion.steps import DONE, carried_out
from undoor.inversion.wave_starts import from_probes
from undoor.inversion.work import Work
from undoor.journal import Draft
from undoor.tasks.task import Task

BETAS = (0.7, 0.9)
# Inputs in the network at a time without gradients, unless memory bounds them.
ANSWERING = 1024


def largest_margins(work: Work, family: Family) -> tuple[Candidate, ...]:
    """Search for the trigger of the family's size with the largest margin, for each class.

    The margin is that of the class on held-out inputs of other classes, twice: as the network
    is, and without the part of the last layer's input that moved in the natural direction of the
    class (`undoor.inversion.class_directions`), since any class can be reached by inputs that look
    like it. What both say is for the task to tell (`undoor.tasks.task.Task.clearness`).

    Parameters
    ----------
    work
        The model, its images and the budget.
    family
        One with `at_size`.

    Returns
    -------
    tuple of Candidate
        One for each class that is followed, in class order: all of few classes, and of many the
        most promising and some drawn at random.

    Raises
    ------
    UndoorError
        Margins are not finite.
    BudgetEnded
        Before all were found.
    """
    plan = family.plan(work.classifier.task)
    assert plan is not None
    goals = work.targets
    searches = [Search(goal, work.images.pool(goal)) for goal in goals]
    probed = from_probes(work, searches, family, plan.probes)
    starts = {
        search.target: [*repeated([search], plan.starts), *more]
        for search, more in zip(searches, probed, strict=True)
    }
    if plan.trials:
        starts = _promising(work, family, plan, searches)
    elif _too_many(work, len(goals)):
        first = _best(_at_size(work, family, plan.trial(), [*starts.values()]))
        goals = some(work, sorted(first, key=lambda goal: -_margin(first[goal])))
    found = _best(_at_size(work, family, plan, [starts[goal] for goal in goals]))
    return tuple(found[goal] for goal in goals)


def _too_many(work: Work, goals: int) -> bool:
    """Return whether classes are tried before some of them are followed."""
    if work.classifier.task.at_one_size:
        return number_followed(goals) < goals
    return goals > FEW_CLASSES


def _promising(
    work: Work, family: Family, plan: AtSize, searches: Sequence[Search]
) -> dict[int, list[Search]]:
    """Return the clearest of many starts of each class after a short trial."""
    first = replace(plan.trial(), trials=0)
    tried = _at_size(work, family, first, [repeated([s], plan.trials) for s in searches])
    found: dict[int, list[Search]] = {search.target: [] for search in searches}
    pools = {search.target: search.pool for search in searches}
    for candidate in sorted(tried, key=_margin, reverse=True):
        kept = found[candidate.target]
        if len(kept) < plan.starts:
            goal = candidate.target
            kept.append(Search(goal, pools[goal], candidate.trigger))
    return found


def clean_margin(task: Task, outputs: Tensor) -> float:
    """Return the median margin of what clean inputs are predicted as, the unit of margins.

    Not that of their own class, which is near 0 in a network that is often wrong: natural triggers
    would seem as clear as planted ones there.

    Parameters
    ----------
    task
        Of the model that is scanned.
    outputs
        Of the clean inputs, [N, K].

    Returns
    -------
    float
        Above 0; 1.0 where at least half of the inputs are predicted as two classes at once.
    """
    median = float(task.own_margins(outputs).median())
    return median if median > 0 else 1.0


def _best(candidates: Sequence[Candidate]) -> dict[int, Candidate]:
    """Return the candidate of each class with the largest margin."""
    out: dict[int, Candidate] = {}
    for candidate in sorted(candidates, key=_margin, reverse=True):
        out.setdefault(candidate.target, candidate)
    return out


def _margin(candidate: Candidate) -> float:
    assert candidate.margin is not None
    return candidate.margin


def _at_size(
    work: Work, family: Family, plan: AtSize, starts: Sequence[Sequence[Search]]
) -> tuple[Candidate, ...]:
    """Return a candidate for every start of every class, from the journal where it is there.

    As many classes at a time as are few, so that candidates take no more memory where there are
    many.
    """
    out: list[Candidate] = []
    for cut in groups(len(starts), FEW_CLASSES):
        searches = [*chain(*starts[cut])]
        out += journalled(
            partial(_searched, work, family, plan, searches),
            work.run.journal,
            "margins",
            work.run.generator,
            work.run.meter,
            (family.name, plan, *map(search_digest, searches)),
            classifier=work.classifier,
        )
    return tuple(out)


def _searched(
    work: Work, family: Family, plan: AtSize, searches: Sequence[Search], draft: Draft
) -> tuple[Candidate, ...]:
    bank = placed(family, searches, work.classifier, work.images.x, work.run.generator)
    size = plan.size * family.growth(work.classifier.extent)
    run = carried_out(
        _Climb(work, bank, [Deck(search, work.run.generator) for search in searches], plan, size),
        work.images.x,
        work.run.steps(plan.steps),
        f"measuring {family.name}s",
        meter=work.run.meter,
        draft=draft,
        progress=work.run.progress,
    )
    return _measured(work, plan, run.bank, [search.target for search in searches])


class _Climb:
    """Candidates of one size, their margins under way up."""

    over = False

    def __init__(
        self, work: Work, bank: TriggerBank, decks: Sequence[Deck], plan: AtSize, size: float
    ) -> None:
        self.bank, self.decks, self.plan, self.size = bank, decks, plan, size
        self.clean = without_trigger(work)
        capacity = work.classifier.capacity
        self.limit = capacity.learning if capacity else None
        at_once = max(1, self.limit // plan.batch) if self.limit else None
        self.chunks = chunks_of(work.classifier, bank, None, at_once)
        self.optimizer = torch.optim.Adam(
            bank.parameters(), lr=plan.pace * bank.step_size, betas=BETAS
        )
        bank.limit(size)

    def advance(self, images: Tensor, step: int) -> None:
        """Make one step of Adam on the next images of every candidate."""
        drawn = [deck.draw(step, self.plan.batch) for deck in self.decks]
        rows, labels = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        # Chunks share their gradients with the bank: these must stay where they are.
        self.optimizer.zero_grad(set_to_none=len(self.chunks) == 1)
        for chunk in self.chunks:
            for cut in groups(self.plan.batch, self.limit):
                margins = chunk.margins(
                    images, rows[chunk.rows, cut], labels[chunk.rows, cut], self.clean
                )
                loss = -finite(margins, self.bank.family).clamp(max=ENOUGH).sum()
                loss.backward()
        self.optimizer.step()
        self.bank.limit(self.size)

    def following(self, done: int) -> _Climb:
        """Return the run itself: all candidates go on to the end."""
        return self

    def arrays(self, done: int) -> dict[str, NDArray[Any]]:
        """Return a checkpoint after `done` steps."""
        return {DONE: np.array(done)} | bank_arrays(self.bank) | adam_arrays(self.optimizer)

    def restored(self, checkpoint: Mapping[str, NDArray[Any]]) -> _Climb:
        """Return the run as it was at a checkpoint of the same candidates."""
        restore_bank(self.bank, checkpoint)
        restore_adam(self.optimizer, checkpoint)
        return self


@torch.no_grad()
def _measured(
    work: Work, plan: AtSize, bank: TriggerBank, goals: Sequence[int]
) -> tuple[Candidate, ...]:
    """Return the candidates with their margins on held-out inputs of other classes."""
    rows = _tried(work, goals, plan.tried)
    labels = indices(goals, rows.device)[:, None].expand_as(rows)
    total = torch.zeros(len(goals), device=rows.device)
    if not work.run.rehearsal:
        known = work.class_directions is not None
        clean = without_trigger(work)
        total = work.classifier.task.clearness(
            _outputs(work, plan, bank, rows, labels, None),
            _outputs(work, plan, bank, rows, labels, work.class_directions) if known else None,
            goals,
            unit=work.clean_margin,
            clean=None if clean is None else clean[rows],
        )
        total = finite(total, bank.family)
    sizes = bank.sizes().tolist()
    bank.to(CPU)
    return tuple(
        Candidate(goal, bank.family, size, bank.export(index), margin=margin)
        for index, (goal, size, margin) in enumerate(zip(goals, sizes, total.tolist(), strict=True))
    )


def _outputs(
    work: Work,
    plan: AtSize,
    bank: TriggerBank,
    rows: Tensor,
    labels: Tensor,
    directions: ClassDirections | None,
) -> Tensor:
    """Return the outputs [M, n, K] of the inputs `rows` under each candidate."""
    capacity = work.classifier.capacity
    limit = max(1, (capacity.inference if capacity else ANSWERING) // plan.tried)
    chunks = chunks_of(work.classifier, bank, directions, limit)
    found = [c.outputs(work.images.x, rows[c.rows], labels[c.rows]) for c in chunks]
    return torch.cat(found)


@torch.no_grad()
def without_trigger(work: Work) -> Tensor | None:
    """Return the outputs [N, K] of all clean inputs; None for a task that does not compare."""
    if not work.classifier.task.compares:
        return None
    return work.classifier.logits(work.images.x, ANSWERING).float()


def _tried(work: Work, goals: Sequence[int], count: int) -> Tensor:
    """Return the held-out inputs [M, count] that each candidate is measured on.

    Those of one class are the same for all its candidates. Where there are so few clean inputs that
    none is held out for a class, those that its triggers were searched on.
    """
    of_goal = {}
    for goal in dict.fromkeys(goals):
        others = work.images.tried_on(goal)
        order = others[shuffled(len(others), work.run.generator, others.device)]
        of_goal[goal] = order[torch.arange(count, device=order.device) % len(order)]
    return torch.stack([of_goal[goal] for goal in goals])


def finite(margins: Tensor, family: str) -> Tensor:
    """Return the margins of triggers of a family.

    Raises
    ------
    UndoorError
        They are not finite.
    """
    if not bool(torch.isfinite(margins).all()):
        raise UndoorError(
            f"the margins of {family} triggers are not finite: the model outputs NaN or "
            "infinity for inputs within its bounds; check its weights"
        )
    return margins
