"""Candidates on their images: forward and backward, as many at a time as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import autocast
from undoor.families.bank import TriggerBank
from undoor.inversion.class_directions import Barred, OwnDirections, barred
from undoor.sites import insert


@dataclass(frozen=True, eq=False)
class Part:
    """The candidates `rows` of a bank, whose values and gradients they share, and the network under
    them.

    Attributes
    ----------
    bars
        Its last layers, where the targets' own directions are barred.
    """

    rows: slice
    bank: TriggerBank
    triggered: Classifier
    own: OwnDirections | None
    bars: tuple[Barred, ...] = ()

    def entropies(
        self, images: Tensor, rows: Tensor, labels: Tensor, away: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `attack` for the images of `rows` [M, n] of all, and the sizes [M]."""
        for bar, read in zip(self.bars, self.own.heads if self.own else (), strict=True):
            bar.bar(read.values[rows.flatten()], read.directions[labels.flatten()])
        entropy, asr = attack(self.triggered, images[rows], labels, away)
        return entropy, asr, self.bank.sizes()


def parts_of(
    classifier: Classifier, bank: TriggerBank, own: OwnDirections | None, most: int | None
) -> list[Part]:
    """Return the bank in parts of `most` candidates; whole for None.

    Parameters
    ----------
    own
        What bars the way.
    """
    count = bank.count
    if most is None or count <= most:
        return [_part(classifier, bank, slice(0, count), own)]
    cuts = [slice(first, min(first + most, count)) for first in range(0, count, most)]
    return [_part(classifier, bank.part(cut), cut, own) for cut in cuts]


def groups(batch: int, most: int | None) -> Iterator[slice]:
    """Yield a batch of images in groups of `most`; whole for None.

    >>> list(groups(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = batch if most is None else max(1, min(batch, most))
    return (slice(first, min(first + step, batch)) for first in range(0, batch, step))


def _part(
    classifier: Classifier, bank: TriggerBank, rows: slice, own: OwnDirections | None
) -> Part:
    changed = insert(classifier, bank.site, _of_rows(bank, classifier.memory_format))
    if own is None:
        return Part(rows, bank, changed, None)
    changed, bars = barred(changed, [read.head for read in own.heads])
    return Part(rows, bank, changed, own, bars)


def attack(triggered: Classifier, x: Tensor, labels: Tensor, away: Tensor) -> tuple[Tensor, Tensor]:
    """Mean loss of the task and ASR, both [M], of clean inputs x [M, n, ...].

    Towards `labels` [M, n], or, where `away` [M], towards anything but these.
    """
    count, batch = x.shape[:2]
    with autocast(x.device):
        logits = triggered(x.flatten(0, 1))
    logits = logits.float().view(count, batch, -1)
    task = triggered.task
    reached = task.reached(task.predictions(logits), labels) ^ away[:, None]
    return task.loss(logits, labels, away).mean(1), reached.float().mean(1)


def _of_rows(bank: TriggerBank, layout: torch.memory_format) -> Callable[[Tensor], Tensor]:
    """Return the bank on a flat batch, in which the images of the candidates come one after
    another.
    """

    def change(z: Tensor) -> Tensor:
        changed = bank(z.unflatten(0, (bank.count, -1))).flatten(0, 1)
        if changed.dim() == 4:
            return changed.contiguous(memory_format=layout)
        return changed

    return change
