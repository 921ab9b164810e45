"""Reverse-engineer the smallest trigger for each of many target classes, all as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.errors import BudgetEnded
from undoor.families.registry import family_named
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Candidate, Search
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.meter import Meter, Spent
from undoor.inversion.optimisation import Deck, Optimisation
from undoor.journal import NO_DRAFT, Draft
from undoor.progress import Progress, silent


def invert(
    classifier: Classifier,
    images: Tensor,
    searches: Sequence[Search],
    *,
    family: str,
    schedule: Schedule,
    generator: torch.Generator,
    class_directions: ClassDirections | None = None,
    meter: Meter | None = None,
    draft: Draft = NO_DRAFT,
    progress: Progress = silent,
) -> tuple[Candidate, ...]:
    """Search for the smallest trigger of each search, all as one batch.

    Minimises cross-entropy towards the target plus weight x size over the family's parameters
    (the paper's detection step, with all sources of a target together). The candidates share one
    forward and one backward pass per step, in channels_last and, where the CPU has it, bfloat16.
    Where the budget of `meter` ends, the steps so far are stored in `draft`.

    Parameters
    ----------
    classifier
        The network that is searched.
    images
        Clean inputs [N, ...].
    searches
        What to look for.
    family
        The name of the trigger family.
    schedule
        How candidates are optimised.
    generator
        The source of chance, on the CPU.
    class_directions
        Of `images`; bars the targets' natural directions to the families that ask for it.
    meter
        What counts the passes; its budget may end.
    draft
        Where checkpoints are written, and the search resumes from.

    Returns
    -------
    tuple of Candidate
        One for each of `searches`, or for those that a trial left.

    Raises
    ------
    UndoorError
        The loss stopped being finite.
    BudgetEnded
        Before the search did.
    """
    record = family_named(family)
    bank = record.bank(len(searches), classifier, images, generator)
    for index, search in enumerate(searches):
        if search.start is not None:
            bank.place(index, search.start)
    # Made, placed and exported on the CPU, so that families need not know of devices.
    bank.to(classifier.device)
    decks = [Deck(search, generator) for search in searches]
    run = Optimisation(
        classifier, bank, decks, schedule, class_directions if record.barred else None
    )
    spent = Spent(meter)
    run, done = _resumed(run, draft, spent)
    stage = f"inverting {family} triggers"
    try:
        # What a step has spent that the budget cut short is not stored: the step is repeated.
        before = spent.arrays()
        while done < schedule.steps and run.best_so_far.idle < schedule.patience:
            if done == schedule.trial > 0 and run.rows is None:
                run = run.narrowed()
            run.advance(images, done)
            done, before = done + 1, spent.arrays()
            draft.save(lambda run=run, done=done: run.arrays(done) | spent.arrays())  # type: ignore[misc]
            progress(stage, done, schedule.steps)
    except BudgetEnded:
        draft.save(lambda: run.arrays(done) | before, now=True)
        raise
    if done < schedule.steps:
        progress(stage, schedule.steps, schedule.steps)
    return run.candidates()


def _resumed(run: Optimisation, draft: Draft, spent: Spent) -> tuple[Optimisation, int]:
    """Return the run at its checkpoint, and how many steps it had taken.

    The run as it is, and 0, where there is no checkpoint.
    """
    checkpoint = draft.read()
    if checkpoint is None:
        return run, 0
    if "rows" in checkpoint:
        run = run.of_rows(checkpoint["rows"].tolist())
    run.restore(checkpoint)
    spent.resume(checkpoint)
    return run, int(checkpoint["done"])
