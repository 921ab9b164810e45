"""The loop of a search: one step after the other, from checkpoint to checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, TypeVar

from numpy.typing import NDArray
from torch import Tensor

from undoor.errors import BudgetEnded
from undoor.inversion.meter import Meter, Spent
from undoor.journal import Draft
from undoor.progress import Progress

# The key of a checkpoint under which stands how many steps were taken.
DONE = "done"


class Stepped(Protocol):
    """A search under way."""

    @property
    def over(self) -> bool:
        """Whether further steps are not worth their cost."""

    def advance(self, images: Tensor, step: int) -> None:
        """Take one step on clean inputs [N, ...]."""

    def following(self, done: int) -> Self:
        """Return the run as it goes on after `done` steps: itself, or a part of it."""

    def arrays(self, done: int) -> dict[str, NDArray[Any]]:
        """Return a checkpoint after `done` steps."""

    def restored(self, checkpoint: Mapping[str, NDArray[Any]]) -> Self:
        """Return the run as it was at a checkpoint."""


R = TypeVar("R", bound=Stepped)


def carried_out(
    run: R,
    images: Tensor,
    steps: int,
    stage: str,
    *,
    meter: Meter | None,
    draft: Draft,
    progress: Progress,
) -> R:
    """Take the steps of a search, and return it at its end.

    Where the budget of `meter` ends, the steps so far are stored in `draft`.

    Parameters
    ----------
    run
        The search at its beginning.
    images
        Clean inputs [N, ...].
    steps
        How many steps it has at most.
    stage
        What it is called in progress.
    meter
        What counts the passes; its budget may end.
    draft
        Where checkpoints are written, and the search resumes from.
    progress
        Progress callback.

    Raises
    ------
    BudgetEnded
        Before the search did.
    """
    spent, done = Spent(meter), 0
    if checkpoint := draft.read():
        run, done = run.restored(checkpoint), int(checkpoint[DONE])
        spent.resume(checkpoint)
    try:
        # What a step has spent that the budget cut short is not stored: the step is repeated.
        before = spent.arrays()
        while done < steps and not run.over:
            run = run.following(done)
            run.advance(images, done)
            done, before = done + 1, spent.arrays()
            draft.save(lambda run=run, done=done: run.arrays(done) | spent.arrays())  # type: ignore[misc]
            progress(stage, done, steps)
    except BudgetEnded:
        draft.save(lambda: run.arrays(done) | before, now=True)
        raise
    if done < steps:
        progress(stage, steps, steps)
    return run
