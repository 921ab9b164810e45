"""Reverse-engineer the smallest trigger for each of many target classes, all as one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import CPU, array, from_array, indices, on, shuffled
from undoor.errors import BudgetEnded, UndoorError
from undoor.families.bank import TriggerBank
from undoor.families.registry import family_named
from undoor.families.schedules import Schedule
from undoor.inversion.best_so_far import Best
from undoor.inversion.chunks import groups, parts_of
from undoor.inversion.class_directions import OwnDirections
from undoor.inversion.meter import Meter, Spent
from undoor.journal import NO_DRAFT, Draft
from undoor.progress import Progress, silent
from undoor.triggers import Trigger

# What Adam keeps of every candidate.
MOMENTS = ("exp_avg", "exp_avg_sq")
# The "target" of a search in which images of all classes are to leave their own.
ALL = -1


@dataclass(frozen=True, eq=False)
class Search:
    """What to look for: a trigger that moves the images of `pool` (indices [n]) to `target`.

    start : a trigger to make smaller, of the family searched; none starts from noise.
    leave : labels [N] of all images, given where the images of the pool are to leave their own
        class, wherever they go; `target` is then the class that they are of, or `ALL`.
    """

    target: int
    pool: Tensor
    start: Trigger | None = None
    leave: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """The smallest trigger that worked for `target`; `size` is None where none did.

    `asr` is the share of the last images that it moved, about fifty, where the search ended.
    """

    target: int
    family: str
    size: float | None
    trigger: Trigger
    asr: float = 0.0


def invert(
    classifier: Classifier,
    images: Tensor,
    searches: Sequence[Search],
    *,
    family: str,
    schedule: Schedule,
    generator: torch.Generator,
    own: OwnDirections | None = None,
    meter: Meter | None = None,
    draft: Draft = NO_DRAFT,
    progress: Progress = silent,
) -> tuple[Candidate, ...]:
    """Return one candidate for each of `searches`.

    Minimises cross-entropy towards the target plus weight x size over the family's parameters
    (the paper's detection step, with all sources of a target together). The candidates share one
    forward and one backward pass a step, in channels_last and, where the CPU has it, bfloat16.
    Where the budget of `meter` ends, the steps so far are kept in `draft`.

    Parameters
    ----------
    own
        Of `images`; bars the targets' own directions to the families that ask for it.
    draft
        Where the search keeps how far it is, and goes on from if it was killed.

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
    run = _Run(classifier, bank, decks, schedule, own if record.barred else None)
    spent = Spent(meter)
    run, done = _resumed(run, draft, spent)
    stage = f"inverting {family} triggers"
    try:
        # What a step has spent that the budget cut short is not kept: it is made again.
        before = spent.arrays()
        while done < schedule.steps and run.best.idle < schedule.patience:
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


def _resumed(run: _Run, draft: Draft, spent: Spent) -> tuple[_Run, int]:
    """Return the run as it was kept, and how many steps it had taken.

    As it is where nothing was.
    """
    kept = draft.read()
    if kept is None:
        return run, 0
    if "rows" in kept:
        run = run.of_rows(kept["rows"].tolist())
    run.restore(kept)
    spent.resume(kept)
    return run, int(kept["done"])


def smallest(candidates: Sequence[Candidate]) -> dict[int, Candidate]:
    """Return the smallest candidate of each target, since one start in two can miss a trigger.

    Where none works, the one that comes nearest to it. The most promising targets come first.
    """
    best: dict[int, Candidate] = {}
    for candidate in sorted(candidates, key=_promise):
        best.setdefault(candidate.target, candidate)
    return best


def _promise(candidate: Candidate) -> tuple[float, float]:
    return (torch.inf if candidate.size is None else candidate.size, -candidate.asr)


class Deck:
    """The images of a search in random order, and what each is to be answered or not."""

    def __init__(self, search: Search, generator: torch.Generator) -> None:
        self.target = search.target
        self.leave = search.leave
        self.order = search.pool[shuffled(len(search.pool), generator, search.pool.device)]

    def draw(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Return indices [count] of the step's images, and the class each is to reach or to
        leave.
        """
        turn = torch.arange(count, device=self.order.device) + step * count
        rows = self.order[turn % len(self.order)]
        labels = torch.full_like(rows, self.target) if self.leave is None else self.leave[rows]
        return rows, labels


class _Run:
    """Candidates under way: their parameters, optimiser, weights, and the best of each so far.

    Parameters
    ----------
    rows
        Which of all candidates these are, where only some go on.
    """

    def __init__(
        self,
        classifier: Classifier,
        bank: TriggerBank,
        decks: list[Deck],
        schedule: Schedule,
        own: OwnDirections | None,
        rows: list[int] | None = None,
    ) -> None:
        self.classifier = classifier
        self.own = own
        self.rows = rows
        self.bank = bank
        self.decks = decks
        away = [deck.leave is not None for deck in decks]
        self.away = torch.tensor(away, device=bank.device)
        self.schedule = schedule
        self.at_once = classifier.capacity.learning if classifier.capacity else None
        most = max(1, self.at_once // schedule.batch) if self.at_once else None
        self.parts = parts_of(classifier, bank, own, most)
        self.optimizer = torch.optim.Adam(bank.parameters(), lr=bank.step_size, betas=(0.5, 0.9))
        self.weight = torch.full((len(decks),), schedule.weight, device=bank.device)
        self.best = Best(bank, len(decks), schedule.batch)

    def advance(self, images: Tensor, step: int) -> None:
        """One step of Adam on the next images of every deck."""
        drawn = [deck.draw(step, self.schedule.batch) for deck in self.decks]
        rows, labels = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        # Parts share their gradients with the bank: these must stay where they are.
        self.optimizer.zero_grad(set_to_none=len(self.parts) == 1)
        sizes, asr = (torch.zeros_like(self.weight) for _ in range(2))
        for part in self.parts:
            own = part.rows
            for group in groups(self.schedule.batch, self.at_once):
                share = (group.stop - group.start) / self.schedule.batch
                entropy, reached, size = part.entropies(
                    images, rows[own, group], labels[own, group], self.away[own]
                )
                loss = share * (entropy + self.weight[own] * size).sum()
                self._require_finite(loss)
                loss.backward()
                sizes[own] += share * size.detach()
                asr[own] += share * reached
        self.best.update(sizes, asr, self.schedule.success)
        self.optimizer.step()
        enough = asr >= self.schedule.success
        weight = torch.where(
            enough, self.weight * self.schedule.rise, self.weight / self.schedule.fall
        )
        self.weight = weight.clamp(1e-5, 1e3)

    def _require_finite(self, loss: Tensor) -> None:
        if not bool(torch.isfinite(loss)):
            raise UndoorError(
                f"the loss became {loss.item()} while inverting {self.bank.family} triggers; the "
                "model answers NaN or infinity to inputs within its bounds"
            )

    def narrowed(self) -> _Run:
        """Return the most promising candidates of each target alone, going on as they stand."""
        targets = indices((deck.target for deck in self.decks), CPU)
        rows = self.best.smallest(targets, self.schedule.keep)
        run = self.of_rows(rows)
        state = self.optimizer.state_dict()
        for moments in state["state"].values():
            moments |= {key: moments[key][rows] for key in MOMENTS}
        run.optimizer.load_state_dict(state)
        run.weight = self.weight[rows]
        run.best = self.best.of_rows(run.bank, rows)
        return run

    def of_rows(self, rows: list[int]) -> _Run:
        """Return a run of these candidates alone, from its beginning."""
        decks = [self.decks[i] for i in rows]
        bank = self.bank.rows(rows)
        return _Run(self.classifier, bank, decks, self.schedule, self.own, rows)

    def arrays(self, done: int) -> dict[str, NDArray[Any]]:
        """Return all that it takes to go on after `done` steps."""
        moments = {
            f"adam/{index}/{key}": array(value)
            for index, kept in self.optimizer.state_dict()["state"].items()
            for key, value in kept.items()
        }
        bank = {f"bank/{key}": array(value) for key, value in self.bank.state_dict().items()}
        best = {f"best/{key}": value for key, value in self.best.arrays().items()}
        rows = {} if self.rows is None else {"rows": np.array(self.rows)}
        whole = {"done": np.array(done), "weight": array(self.weight)}
        return whole | rows | bank | best | moments

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Stand where `arrays` were taken from a run of the same candidates."""
        tensors = {key: from_array(value) for key, value in arrays.items()}
        self.bank.load_state_dict({key: tensors[f"bank/{key}"] for key in self.bank.state_dict()})
        self.weight = on(self.weight.device, tensors["weight"])
        self.best.restore(
            {k.removeprefix("best/"): v for k, v in arrays.items() if k.startswith("best/")}
        )
        state = self.optimizer.state_dict()
        for key, value in tensors.items():
            if key.startswith("adam/"):
                _, index, name = key.split("/")
                state["state"].setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict(state)

    def candidates(self) -> tuple[Candidate, ...]:
        """Return the best of each."""
        best = self.best
        self.bank.load_state_dict(best.state)
        self.bank.to(CPU)
        return tuple(
            Candidate(
                deck.target,
                self.bank.family,
                None if torch.isinf(best.size[i]) else float(best.size[i]),
                self.bank.export(i),
                float(best.asr[i]),
            )
            for i, deck in enumerate(self.decks)
        )
