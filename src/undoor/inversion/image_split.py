"""The clean set cut in two: what triggers are estimated on, and what they are tried on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.clean_set import CleanSet
from undoor.device import shuffled
from undoor.tasks.task import Task

HELD_OUT = 0.3
MAX_HELD_OUT = 400


@dataclass(frozen=True, eq=False)
class ScanImages:
    """The clean set cut in two: what triggers are estimated on, and what they are tried on.

    Attributes
    ----------
    x
        Clean inputs [N, ...].
    y
        Their labels [N].
    known
        [N], whether the model predicts the image as its class.
    estimate, held_out
        Indices of the images that triggers are estimated on, and tried on.
    task
        What the labels mean.
    """

    x: Tensor
    y: Tensor
    known: Tensor
    estimate: Tensor
    held_out: Tensor
    task: Task

    @property
    def classes_with_images(self) -> int:
        """How many classes, or other groups of samples, there are images of."""
        return len(self.task.groups(self.y).unique())

    def pool(self, target: int, sources: Sequence[int] | None = None) -> Tensor:
        """Return the indices to estimate on: all classes but the target, or the given sources."""
        keep = ~self.task.reached(self.y[self.estimate], target)
        if sources is not None:
            keep &= self.task.among(self.y[self.estimate], sources)
        return self.estimate[keep]

    def tried_on(self, target: int) -> Tensor:
        """Return the indices to try a trigger on: those held out of all classes but the target.

        Where there are so few clean inputs that none is held out, those to estimate on.
        """
        others = self.held_out[~self.task.reached(self.y[self.held_out], target)]
        return others if len(others) else self.pool(target)

    def known_pool(self, source: int | None = None) -> Tensor:
        """Return the indices to estimate on where images are to leave their class.

        An image that the model does not predict as its class has left it already.

        Parameters
        ----------
        source
            The class of the images; None for all.
        """
        keep = self.known[self.estimate]
        if source is not None:
            keep = keep & self.task.reached(self.y[self.estimate], source)
        return self.estimate[keep]


def split(clean: CleanSet, known: Tensor, task: Task, generator: torch.Generator) -> ScanImages:
    """Hold out about a third of each class; a class with one image serves in both parts.

    Parameters
    ----------
    clean
        Clean images.
    known
        [N], as of `ScanImages`.
    task
        What the labels mean.
    generator
        The source of chance, on the CPU.
    """
    estimate, held_out = [], []
    groups = task.groups(clean.labels)
    for group in groups.unique():
        rows = (groups == group).nonzero()[:, 0]
        rows = rows[shuffled(len(rows), generator, rows.device)]
        cut = max(1, round(len(rows) * HELD_OUT))
        held_out.append(rows[:cut])
        estimate.append(rows[cut:] if len(rows) > 1 else rows)
    drawn = torch.cat(held_out)
    drawn = drawn[shuffled(len(drawn), generator, drawn.device)[:MAX_HELD_OUT]]
    return ScanImages(clean.images, clean.labels, known, torch.cat(estimate), drawn, task)


def whole(clean: CleanSet, task: Task) -> ScanImages:
    """Return the clean set undivided, all of it known.

    For work in which held-out images decide nothing and no image is to leave its class.
    """
    rows = torch.arange(len(clean), device=clean.labels.device)
    known = torch.ones_like(rows, dtype=torch.bool)
    return ScanImages(clean.images, clean.labels, known, rows, rows, task)
