"""Candidates on their images: forward and backward, as many at a time as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import autocast
from undoor.families.bank import TriggerBank
from undoor.inversion.class_directions import Barred, ClassDirections, barred
from undoor.sites import insert


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some candidates of a bank, and the network under their triggers.

    Attributes
    ----------
    rows
        Which candidates of the whole bank these are.
    bank
        These alone; they share their values and gradients with the whole.
    triggered
        The network under them.
    class_directions
        What bars the targets' natural directions; None where nothing is barred.
    bars
        The last layers of the network, where the directions are barred.
    """

    rows: slice
    bank: TriggerBank
    triggered: Classifier
    class_directions: ClassDirections | None
    bars: tuple[Barred, ...] = ()

    def entropies(
        self, images: Tensor, rows: Tensor, labels: Tensor, away: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return loss, ASR and size of every candidate, all [M].

        Parameters
        ----------
        images
            All clean inputs [N, ...].
        rows
            [M, n], which of them each candidate is tried on.
        labels, away
            As of `attack`.
        """
        self._bar(rows, labels)
        entropy, asr = attack(self.triggered, images[rows], labels, away)
        return entropy, asr, self.bank.sizes()

    def margins(
        self, images: Tensor, rows: Tensor, labels: Tensor, clean: Tensor | None = None
    ) -> Tensor:
        """Return how clearly each input goes to its class [M, n], in logits.

        Parameters
        ----------
        images
            All clean inputs [N, ...].
        rows
            [M, n], which of them each candidate is tried on.
        labels
            [M, n], the classes to reach, one for each candidate.
        clean
            The outputs of all inputs without a trigger [N, K], where the task compares with them.
        """
        logits = self.outputs(images, rows, labels)
        before = None if clean is None else clean[rows]
        return self.triggered.task.margins(logits, labels[:, 0].tolist(), before)

    def outputs(self, images: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
        """Return the outputs [M, n, K]; parameters as of `margins`."""
        self._bar(rows, labels, every=self.triggered.task.bars_all)
        return answered(self.triggered, images[rows])

    def _bar(self, rows: Tensor, labels: Tensor, *, every: bool = False) -> None:
        """Set the directions that are barred to the next inputs, where there are bars.

        Parameters
        ----------
        every
            Whether those of all goals are, and not that of the label alone.
        """
        for bar, read in zip(
            self.bars, self.class_directions.heads if self.class_directions else (), strict=True
        ):
            values = read.values[rows.flatten()]
            if every:
                bar.bar_all(values, read.span)
            else:
                bar.bar(values, read.directions[labels.flatten()])


def chunks_of(
    classifier: Classifier,
    bank: TriggerBank,
    class_directions: ClassDirections | None,
    limit: int | None,
) -> list[Chunk]:
    """Return the bank in chunks of at most `limit` candidates; whole for None.

    Parameters
    ----------
    classifier
        The network that is searched.
    bank
        All candidates.
    class_directions
        What bars the targets' natural directions; None bars nothing.
    limit
        How many candidates may be in the network at a time.
    """
    count = bank.count
    if limit is None or count <= limit:
        return [_chunk(classifier, bank, slice(0, count), class_directions)]
    cuts = [slice(first, min(first + limit, count)) for first in range(0, count, limit)]
    return [_chunk(classifier, bank.part(cut), cut, class_directions) for cut in cuts]


def groups(batch: int, limit: int | None) -> Iterator[slice]:
    """Return the slices of a batch in groups of at most `limit` images; whole for None.

    >>> list(groups(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = batch if limit is None else max(1, min(batch, limit))
    return (slice(first, min(first + step, batch)) for first in range(0, batch, step))


def _chunk(
    classifier: Classifier, bank: TriggerBank, rows: slice, class_directions: ClassDirections | None
) -> Chunk:
    changed = insert(classifier, bank.site, _of_rows(bank, classifier.memory_format))
    if class_directions is None:
        return Chunk(rows, bank, changed, None)
    changed, bars = barred(changed, [read.head for read in class_directions.heads])
    return Chunk(rows, bank, changed, class_directions, bars)


def attack(triggered: Classifier, x: Tensor, labels: Tensor, away: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean loss of the task and the ASR of M candidates.

    Parameters
    ----------
    triggered
        The network under the triggers.
    x
        Clean inputs [M, n, ...].
    labels
        [M, n], the classes to reach, or to leave where `away`.
    away
        [M], whether the inputs of a candidate are to leave `labels`.

    Returns
    -------
    tuple of Tensor
        Loss [M] and ASR [M], the latter in [0, 1].
    """
    logits, task = answered(triggered, x), triggered.task
    reached = task.reached(task.predictions(logits), labels) ^ away[:, None]
    return task.loss(logits, labels, away).mean(1), reached.float().mean(1)


def answered(triggered: Classifier, x: Tensor) -> Tensor:
    """Return the logits [M, n, K] of clean inputs [M, n, ...] under M triggers."""
    with autocast(x.device):
        logits = triggered(x.flatten(0, 1))
    return logits.float().unflatten(0, x.shape[:2])


def _of_rows(bank: TriggerBank, layout: torch.memory_format) -> Callable[[Tensor], Tensor]:
    """Return the bank as a change of a flat batch, one candidate's images after another's."""

    def change(z: Tensor) -> Tensor:
        changed = bank(z.unflatten(0, (bank.count, -1))).flatten(0, 1)
        if changed.dim() == 4:
            return changed.contiguous(memory_format=layout)
        return changed

    return change
