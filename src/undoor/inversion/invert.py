"""Reverse-engineer the smallest trigger for each of many target classes, all as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.families.registry import family_named
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Candidate, Search
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.meter import Meter
from undoor.inversion.optimisation import Deck, Optimisation, placed
from undoor.inversion.steps import carried_out
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
    bank = placed(record, searches, classifier, images, generator)
    decks = [Deck(search, generator) for search in searches]
    run = Optimisation(
        classifier, bank, decks, schedule, class_directions if record.barred else None
    )
    run = carried_out(
        run,
        images,
        schedule.steps,
        f"inverting {family} triggers",
        meter=meter,
        draft=draft,
        progress=progress,
    )
    return run.candidates()
