"""Candidates under way: one step of Adam after the other, on the next images of every search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import CPU, array, from_array, indices, on, shuffled
from undoor.errors import UndoorError
from undoor.families.bank import TriggerBank
from undoor.families.family import Family
from undoor.families.schedules import Schedule
from undoor.inversion.best_so_far import BestSoFar
from undoor.inversion.candidates import Candidate, Search
from undoor.inversion.checkpoints import (
    adam_arrays,
    bank_arrays,
    restore_adam,
    restore_bank,
)
from undoor.inversion.chunks import chunks_of, groups
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.steps import DONE

# What Adam stores of every candidate.
MOMENTS = ("exp_avg", "exp_avg_sq")


class Deck:
    """The images of a search in random order, and the class each is to reach or to leave."""

    def __init__(self, search: Search, generator: torch.Generator) -> None:
        self.target = search.target
        self.leave = search.leave
        self.order = search.pool[shuffled(len(search.pool), generator, search.pool.device)]

    def draw(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Return the images of a step.

        Parameters
        ----------
        step
            Steps before this one.
        count
            Images per step.

        Returns
        -------
        tuple of Tensor
            Indices [count] of the images, and the class [count] each is to reach or to leave.
        """
        turn = torch.arange(count, device=self.order.device) + step * count
        rows = self.order[turn % len(self.order)]
        labels = torch.full_like(rows, self.target) if self.leave is None else self.leave[rows]
        return rows, labels


def placed(
    family: Family,
    searches: Sequence[Search],
    classifier: Classifier,
    images: Tensor,
    generator: torch.Generator,
) -> TriggerBank:
    """Return a candidate for each search at its start, on the classifier's device.

    Candidates are made, placed and exported on the CPU, so that families need not know of devices.
    """
    bank = family.bank(len(searches), classifier, images, generator)
    for index, search in enumerate(searches):
        if search.start is not None:
            bank.place(index, search.start)
    return bank.to(classifier.device)


class Optimisation:
    """Candidates under way: their parameters, optimiser, weights, and the best of each so far.

    Parameters
    ----------
    rows
        Which of all candidates these are, where only some are continued.
    """

    def __init__(
        self,
        classifier: Classifier,
        bank: TriggerBank,
        decks: list[Deck],
        schedule: Schedule,
        class_directions: ClassDirections | None,
        rows: list[int] | None = None,
    ) -> None:
        self.classifier = classifier
        self.class_directions = class_directions
        self.rows = rows
        self.bank = bank
        self.decks = decks
        away = [deck.leave is not None for deck in decks]
        self.away = torch.tensor(away, device=bank.device)
        self.schedule = schedule
        self.at_once = classifier.capacity.learning if classifier.capacity else None
        limit = max(1, self.at_once // schedule.batch) if self.at_once else None
        self.chunks = chunks_of(classifier, bank, class_directions, limit)
        self.optimizer = torch.optim.Adam(bank.parameters(), lr=bank.step_size, betas=(0.5, 0.9))
        self.weight = torch.full((len(decks),), schedule.weight, device=bank.device)
        self.best_so_far = BestSoFar(bank, len(decks), schedule.batch)

    def advance(self, images: Tensor, step: int) -> None:
        """Make one step of Adam on the next images of every deck."""
        drawn = [deck.draw(step, self.schedule.batch) for deck in self.decks]
        rows, labels = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        # Chunks share their gradients with the bank: these must stay where they are.
        self.optimizer.zero_grad(set_to_none=len(self.chunks) == 1)
        sizes, asr = (torch.zeros_like(self.weight) for _ in range(2))
        for chunk in self.chunks:
            cut = chunk.rows
            for group in groups(self.schedule.batch, self.at_once):
                share = (group.stop - group.start) / self.schedule.batch
                entropy, reached, size = chunk.entropies(
                    images,
                    rows[cut, group],
                    labels[cut, group],
                    self.away[cut],
                )
                loss = share * (entropy + self.weight[cut] * size).sum()
                self._require_finite(loss)
                loss.backward()
                sizes[cut] += share * size.detach()
                asr[cut] += share * reached
        self.best_so_far.update(sizes, asr, self.schedule.success)
        self.optimizer.step()
        enough = asr >= self.schedule.success
        weight = torch.where(
            enough, self.weight * self.schedule.rise, self.weight / self.schedule.fall
        )
        self.weight = weight.clamp(1e-5, 1e3)

    def _require_finite(self, loss: Tensor) -> None:
        if not bool(torch.isfinite(loss)):
            raise UndoorError(
                f"the loss became {loss.item()} while inverting {self.bank.family} triggers: the "
                "model outputs NaN or infinity for inputs within its bounds; check its weights"
            )

    @property
    def over(self) -> bool:
        """Whether no candidate has become smaller for long."""
        return self.best_so_far.idle >= self.schedule.patience

    def following(self, done: int) -> Optimisation:
        """Return the run, after its trial that of the most promising candidates of each target."""
        trial_ends = done == self.schedule.trial > 0 and self.rows is None
        return self._narrowed() if trial_ends else self

    def _narrowed(self) -> Optimisation:
        targets = indices((deck.target for deck in self.decks), CPU)
        rows = self.best_so_far.smallest(targets, self.schedule.keep)
        run = self.of_rows(rows)
        state = self.optimizer.state_dict()
        for moments in state["state"].values():
            moments |= {key: moments[key][rows] for key in MOMENTS}
        run.optimizer.load_state_dict(state)
        run.weight = self.weight[rows]
        run.best_so_far = self.best_so_far.of_rows(run.bank, rows)
        return run

    def of_rows(self, rows: list[int]) -> Optimisation:
        """Return a run of these candidates alone, from its beginning."""
        decks = [self.decks[i] for i in rows]
        bank = self.bank.rows(rows)
        return Optimisation(
            self.classifier, bank, decks, self.schedule, self.class_directions, rows
        )

    def arrays(self, done: int) -> dict[str, NDArray[Any]]:
        """Return a checkpoint after `done` steps."""
        smallest = {f"best/{key}": value for key, value in self.best_so_far.arrays().items()}
        rows = {} if self.rows is None else {"rows": np.array(self.rows)}
        whole = {DONE: np.array(done), "weight": array(self.weight)}
        return whole | rows | bank_arrays(self.bank) | smallest | adam_arrays(self.optimizer)

    def restored(self, checkpoint: Mapping[str, NDArray[Any]]) -> Optimisation:
        """Return the run as it was at a checkpoint of the same candidates."""
        run = self.of_rows(checkpoint["rows"].tolist()) if "rows" in checkpoint else self
        run._restore(checkpoint)
        return run

    def _restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        restore_bank(self.bank, arrays)
        self.weight = on(self.weight.device, from_array(arrays["weight"]))
        self.best_so_far.restore(
            {k.removeprefix("best/"): v for k, v in arrays.items() if k.startswith("best/")}
        )
        restore_adam(self.optimizer, arrays)

    def candidates(self) -> tuple[Candidate, ...]:
        """Return the smallest working state of each candidate."""
        found = self.best_so_far
        self.bank.load_state_dict(found.state)
        self.bank.to(CPU)
        return tuple(
            Candidate(
                deck.target,
                self.bank.family,
                None if torch.isinf(found.size[i]) else float(found.size[i]),
                self.bank.export(i),
                float(found.asr[i]),
            )
            for i, deck in enumerate(self.decks)
        )
