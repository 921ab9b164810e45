"""Reverse-engineer the smallest trigger for each of many target classes, all as one batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.scan.families import make_bank
from undoor.scan.fast import fast_bfloat16
from undoor.scan.meter import Meter
from undoor.sites import insert
from undoor.triggers import Trigger, TriggerBank


@dataclass(frozen=True)
class Schedule:
    """How candidates are optimised.

    steps : of Adam; batch : images a candidate and step. Few images make noisy steps, which leave
        the basins of universal adversarial patterns, and cost less.
    success : ASR at which a candidate counts as working and its size may be pressed down.
    weight : of the size in the loss at the start; it rises by `rise` after each step with enough
        success and falls by `fall` after any other (the annealing of Wang et al., S&P 2019, made
        gentle: a steep rise ends in universal adversarial patterns instead of the trigger).
    trial, keep : after `trial` steps, the `keep` smallest candidates of each target go on alone.
    patience : steps without a candidate whose best size shrinks by 1 % before stopping.
    """

    steps: int = 360
    batch: int = 4
    success: float = 0.9
    weight: float = 0.003
    rise: float = 1.05
    fall: float = 1.1
    trial: int = 0
    keep: int = 1
    patience: int = 60


@dataclass(frozen=True, eq=False)
class Search:
    """What to look for: a trigger that moves the images of `pool` (indices [n]) to `target`.

    start : a trigger to make smaller, of the family searched; none starts from noise.
    """

    target: int
    pool: Tensor
    start: Trigger | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """The smallest trigger that worked for `target`; `size` is None where none did."""

    target: int
    family: str
    size: float | None
    trigger: Trigger


def invert(
    classifier: Classifier,
    images: Tensor,
    searches: Sequence[Search],
    *,
    family: str,
    schedule: Schedule,
    generator: torch.Generator,
    meter: Meter | None = None,
    progress: Progress = silent,
) -> tuple[Candidate, ...]:
    """One candidate for each of `searches`.

    Minimises cross-entropy towards the target plus weight x size over the family's parameters
    (the paper's detection step, with all sources of a target together). The candidates share one
    forward and one backward pass a step, in channels_last and, where the CPU has it, bfloat16.
    What `meter` allows is spent at most; the candidates are then as they stand.

    Raises
    ------
    UndoorError : the loss stopped being finite.
    """
    bank = make_bank(family, len(searches), classifier, images, generator)
    for index, search in enumerate(searches):
        if search.start is not None:
            bank.place(index, search.start)
    decks = [s.pool[torch.randperm(len(s.pool), generator=generator)] for s in searches]
    targets = torch.tensor([search.target for search in searches])
    run = _Run(classifier, bank, targets, decks, schedule)
    for step in range(schedule.steps):
        if step == schedule.trial > 0:
            run = run.narrowed()
        run.advance(images, step)
        if meter:
            meter.spend(len(run.targets) * schedule.batch)
            if meter.exhausted:
                break
        progress(f"inverting {family} triggers", step + 1, schedule.steps)
        if run.best.idle >= schedule.patience:
            break
    progress(f"inverting {family} triggers", schedule.steps, schedule.steps)
    return run.best.candidates(run.targets.tolist())


def smallest(candidates: Sequence[Candidate]) -> dict[int, Candidate]:
    """The smallest candidate of each target: one start in two can miss a trigger."""
    best: dict[int, Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: float("inf") if c.size is None else c.size):
        best.setdefault(candidate.target, candidate)
    return best


class _Run:
    """Candidates under way: their parameters, optimiser, weights, and the best of each so far."""

    def __init__(
        self,
        classifier: Classifier,
        bank: TriggerBank,
        targets: Tensor,
        decks: list[Tensor],
        schedule: Schedule,
    ) -> None:
        self.classifier = classifier
        self.triggered = insert(classifier, bank.site, _of_rows(bank))
        self.bank = bank
        self.targets = targets
        self.decks = decks
        self.schedule = schedule
        self.optimizer = torch.optim.Adam(bank.parameters(), lr=bank.step_size, betas=(0.5, 0.9))
        self.weight = torch.full((len(targets),), schedule.weight)
        self.best = _Best(bank, len(targets), schedule.batch)

    def advance(self, images: Tensor, step: int) -> None:
        """One step of Adam on the next images of every deck."""
        rows = torch.arange(self.schedule.batch) + step * self.schedule.batch
        batch = images[torch.stack([deck[rows % len(deck)] for deck in self.decks])]
        entropy, asr = _attack(self.triggered, batch, self.targets)
        sizes = self.bank.sizes()
        self.best.update(sizes.detach(), asr, self.schedule.success)
        loss = (entropy + self.weight * sizes).sum()
        if not bool(torch.isfinite(loss)):
            raise UndoorError(
                f"the loss became {loss.item()} while inverting {self.bank.family} triggers; the "
                "model answers NaN or infinity to inputs within its bounds"
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        enough = asr >= self.schedule.success
        weight = torch.where(
            enough, self.weight * self.schedule.rise, self.weight / self.schedule.fall
        )
        self.weight = weight.clamp(1e-5, 1e3)

    def narrowed(self) -> _Run:
        """The most promising candidates of each target alone, going on as they stand."""
        rows = self.best.smallest(self.targets, self.schedule.keep)
        run = _Run(
            self.classifier,
            self.bank.rows(rows),
            self.targets[rows],
            [self.decks[i] for i in rows],
            self.schedule,
        )
        state = self.optimizer.state_dict()
        for moments in state["state"].values():
            moments |= {key: moments[key][rows] for key in ("exp_avg", "exp_avg_sq")}
        run.optimizer.load_state_dict(state)
        run.weight = self.weight[rows]
        run.best = self.best.of_rows(run.bank, rows)
        return run


def _attack(triggered: Classifier, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy towards the target and ASR, both [M], of clean inputs x [M, n, ...]."""
    count, batch = x.shape[:2]
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
        logits = triggered(x.flatten(0, 1))
    logits = logits.float().view(count, batch, -1)
    wanted = targets[:, None].expand(count, batch)
    entropy = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
    asr = (logits.argmax(2) == wanted).float().mean(1)
    return entropy.view(count, batch).mean(1), asr


def _of_rows(bank: TriggerBank) -> Callable[[Tensor], Tensor]:
    """The bank on a flat batch, in which the images of the candidates come one after another."""

    def change(z: Tensor) -> Tensor:
        changed = bank(z.unflatten(0, (bank.count, -1))).flatten(0, 1)
        if changed.dim() == 4:
            return changed.contiguous(memory_format=torch.channels_last)
        return changed

    return change


class _Best:
    """The smallest working state of every candidate so far, and how long nothing got smaller."""

    def __init__(self, bank: TriggerBank, count: int, batch: int) -> None:
        self.bank = bank
        # One batch of a few images says little: success is judged on a running mean over about
        # the last fifty images.
        self.rate = min(0.3, batch / 27)
        self.state = {key: value.clone() for key, value in bank.state_dict().items()}
        self.size = torch.full((count,), torch.inf)
        self.asr = torch.zeros(count)
        self.idle = 0

    def update(self, sizes: Tensor, asr: Tensor, success: float) -> None:
        self.asr += self.rate * (asr - self.asr)
        better = (self.asr >= success) & (sizes < self.size)
        waiting = torch.isinf(self.size)
        shrunk = better & (sizes < 0.99 * self.size)
        self.idle = 0 if bool(shrunk.any()) or bool(waiting.all()) else self.idle + 1
        keep = better | waiting
        for key, value in self.bank.state_dict().items():
            self.state[key][keep] = value[keep]
        self.size[better] = sizes[better]

    def smallest(self, targets: Tensor, keep: int) -> list[int]:
        """Rows of the `keep` smallest candidates of each target; where none worked yet, of those
        that come nearest to it."""
        order = sorted(
            range(len(targets)), key=lambda row: (float(self.size[row]), -float(self.asr[row]))
        )
        chosen = ([row for row in order if targets[row] == t][:keep] for t in targets.unique())
        return sorted(row for rows in chosen for row in rows)

    def of_rows(self, bank: TriggerBank, rows: list[int]) -> _Best:
        """The record of these rows; `bank` holds their candidates."""
        best = copy.copy(self)
        best.bank = bank
        best.state = {key: value[rows] for key, value in self.state.items()}
        best.size, best.asr = self.size[rows], self.asr[rows]
        return best

    def candidates(self, targets: Sequence[int]) -> tuple[Candidate, ...]:
        self.bank.load_state_dict(self.state)
        return tuple(
            Candidate(
                target,
                self.bank.family,
                None if torch.isinf(self.size[i]) else float(self.size[i]),
                self.bank.export(i),
            )
            for i, target in enumerate(targets)
        )
