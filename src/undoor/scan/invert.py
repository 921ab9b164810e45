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
from undoor.scan.own import OwnDirections, barred
from undoor.sites import insert
from undoor.triggers import Trigger, TriggerBank

# The "target" of a search in which images of all classes are to leave their own.
ALL = -1


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
    leave : labels [N] of all images, given where the images of the pool are to leave their own
        class, wherever they go; `target` is then the class that they are of, or `ALL`.
    """

    target: int
    pool: Tensor
    start: Trigger | None = None
    leave: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """The smallest trigger that worked for `target`; `size` is None where none did. `asr` is the
    share of the last images that it moved, about fifty, where the search ended."""

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
    progress: Progress = silent,
) -> tuple[Candidate, ...]:
    """One candidate for each of `searches`.

    Minimises cross-entropy towards the target plus weight x size over the family's parameters
    (the paper's detection step, with all sources of a target together). The candidates share one
    forward and one backward pass a step, in channels_last and, where the CPU has it, bfloat16.
    What `meter` allows is spent at most; the candidates are then as they stand.

    own : of `images`; bars the targets' own directions to the families that ask for it.

    Raises
    ------
    UndoorError : the loss stopped being finite.
    """
    bank = make_bank(family, len(searches), classifier, images, generator)
    for index, search in enumerate(searches):
        if search.start is not None:
            bank.place(index, search.start)
    decks = [Deck(search, generator) for search in searches]
    run = _Run(classifier, bank, decks, schedule, own if bank.barred else None)
    for step in range(schedule.steps):
        if step == schedule.trial > 0:
            run = run.narrowed()
        run.advance(images, step)
        if meter:
            meter.spend(len(run.decks) * schedule.batch)
            if meter.exhausted:
                break
        progress(f"inverting {family} triggers", step + 1, schedule.steps)
        if run.best.idle >= schedule.patience:
            break
    progress(f"inverting {family} triggers", schedule.steps, schedule.steps)
    return run.best.candidates([deck.target for deck in run.decks])


def smallest(candidates: Sequence[Candidate]) -> dict[int, Candidate]:
    """The smallest candidate of each target, since one start in two can miss a trigger; where none
    works, the one that comes nearest to it. The most promising targets come first."""
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
        self.order = search.pool[torch.randperm(len(search.pool), generator=generator)]

    def draw(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Indices [count] of the step's images, and the class each is to reach or to leave."""
        rows = self.order[(torch.arange(count) + step * count) % len(self.order)]
        labels = torch.full_like(rows, self.target) if self.leave is None else self.leave[rows]
        return rows, labels


class _Run:
    """Candidates under way: their parameters, optimiser, weights, and the best of each so far."""

    def __init__(
        self,
        classifier: Classifier,
        bank: TriggerBank,
        decks: list[Deck],
        schedule: Schedule,
        own: OwnDirections | None,
    ) -> None:
        self.classifier = classifier
        self.triggered = insert(classifier, bank.site, _of_rows(bank))
        self.own = own
        if own:
            self.triggered, self.bar = barred(self.triggered, own.head)
        self.bank = bank
        self.decks = decks
        self.away = torch.tensor([deck.leave is not None for deck in decks])
        self.schedule = schedule
        self.optimizer = torch.optim.Adam(bank.parameters(), lr=bank.step_size, betas=(0.5, 0.9))
        self.weight = torch.full((len(decks),), schedule.weight)
        self.best = _Best(bank, len(decks), schedule.batch)

    def advance(self, images: Tensor, step: int) -> None:
        """One step of Adam on the next images of every deck."""
        drawn = [deck.draw(step, self.schedule.batch) for deck in self.decks]
        rows, labels = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        if self.own:
            flat = labels.flatten()
            self.bar.bar(self.own.features[rows.flatten()], self.own.directions[flat])
        entropy, asr = attack(self.triggered, images[rows], labels, self.away)
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
        targets = torch.tensor([deck.target for deck in self.decks])
        rows = self.best.smallest(targets, self.schedule.keep)
        run = _Run(
            self.classifier,
            self.bank.rows(rows),
            [self.decks[i] for i in rows],
            self.schedule,
            self.own,
        )
        state = self.optimizer.state_dict()
        for moments in state["state"].values():
            moments |= {key: moments[key][rows] for key in ("exp_avg", "exp_avg_sq")}
        run.optimizer.load_state_dict(state)
        run.weight = self.weight[rows]
        run.best = self.best.of_rows(run.bank, rows)
        return run


def attack(triggered: Classifier, x: Tensor, labels: Tensor, away: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and ASR, both [M], of clean inputs x [M, n, ...]: towards `labels` [M, n],
    or, where `away` [M], towards any class but these."""
    count, batch = x.shape[:2]
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
        logits = triggered(x.flatten(0, 1))
    logits = logits.float().view(count, batch, -1)
    named = F.one_hot(labels, logits.shape[2]).bool()
    counted = named ^ away[:, None, None]
    entropy = logits.logsumexp(2) - logits.masked_fill(~counted, -torch.inf).logsumexp(2)
    reached = (logits.argmax(2) == labels) ^ away[:, None]
    return entropy.mean(1), reached.float().mean(1)


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
                float(self.asr[i]),
            )
            for i, target in enumerate(targets)
        )
