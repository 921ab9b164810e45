"""Reverse-engineer the smallest trigger for each of many target classes, all as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.triggers import TRIGGERS, Trigger, TriggerBank


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
    progress: Progress = silent,
) -> tuple[Candidate, ...]:
    """One candidate for each of `searches`.

    Minimises cross-entropy towards the target plus weight x size over the family's parameters
    (the paper's detection step, with all sources of a target together). The candidates share one
    forward and one backward pass a step, in channels_last and, where the CPU has it, bfloat16.

    Raises
    ------
    UndoorError : the loss stopped being finite.
    """
    bank = TRIGGERS[family](len(searches), classifier.input_shape, classifier.bounds, generator)
    for index, search in enumerate(searches):
        if search.start is not None:
            bank.place(index, search.start)
    optimizer = _adam(bank)
    decks = [s.pool[torch.randperm(len(s.pool), generator=generator)] for s in searches]
    targets = torch.tensor([search.target for search in searches])
    weight = torch.full((len(searches),), schedule.weight)
    best = _Best(bank, len(searches), schedule.batch)
    for step in range(schedule.steps):
        if step == schedule.trial > 0:
            kept = best.smallest(targets, schedule.keep)
            bank = bank.rows(kept)
            optimizer = _adam(bank, optimizer, kept)
            best.select(bank, kept)
            targets, weight = targets[kept], weight[kept]
            decks = [decks[row] for row in kept]
        rows = torch.arange(schedule.batch) + step * schedule.batch
        batch = images[torch.stack([deck[rows % len(deck)] for deck in decks])]
        entropy, asr = _attack(classifier, bank(batch), targets)
        sizes = bank.sizes()
        best.update(bank, sizes.detach(), asr, schedule.success)
        loss = (entropy + weight * sizes).sum()
        if not bool(torch.isfinite(loss)):
            raise UndoorError(
                f"the loss became {loss.item()} while inverting {family} triggers; the model "
                "answers NaN or infinity to inputs within its bounds"
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        weight = torch.where(
            asr >= schedule.success, weight * schedule.rise, weight / schedule.fall
        ).clamp(1e-5, 1e3)
        progress(f"inverting {family} triggers", step + 1, schedule.steps)
        if best.idle >= schedule.patience:
            break
    progress(f"inverting {family} triggers", schedule.steps, schedule.steps)
    return best.candidates(targets.tolist())


def _attack(classifier: Classifier, stamped: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy towards the target and ASR, both [M], of inputs [M, n, ...]."""
    count, batch = stamped.shape[:2]
    flat = stamped.flatten(0, 1)
    if flat.dim() == 4:
        flat = flat.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
        logits = classifier(flat)
    logits = logits.float().view(count, batch, -1)
    wanted = targets[:, None].expand(count, batch)
    entropy = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
    asr = (logits.argmax(2) == wanted).float().mean(1)
    return entropy.view(count, batch).mean(1), asr


def _adam(
    bank: TriggerBank, former: torch.optim.Optimizer | None = None, rows: Sequence[int] = ()
) -> torch.optim.Adam:
    """Adam for a bank; with what `former` knows, where the bank is these rows of another."""
    optimizer = torch.optim.Adam(bank.parameters(), lr=bank.step_size, betas=(0.5, 0.9))
    if former is not None:
        state = former.state_dict()
        for moments in state["state"].values():
            for key in ("exp_avg", "exp_avg_sq"):
                moments[key] = moments[key][list(rows)]
        optimizer.load_state_dict(state)
    return optimizer


def fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere autocast only costs time."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return supported is not None and bool(supported())


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

    def update(self, bank: TriggerBank, sizes: Tensor, asr: Tensor, success: float) -> None:
        self.asr += self.rate * (asr - self.asr)
        better = (self.asr >= success) & (sizes < self.size)
        waiting = torch.isinf(self.size)
        shrunk = better & (sizes < 0.99 * self.size)
        self.idle = 0 if bool(shrunk.any()) or bool(waiting.all()) else self.idle + 1
        keep = better | waiting
        for key, value in bank.state_dict().items():
            self.state[key][keep] = value[keep]
        self.size[better] = sizes[better]

    def smallest(self, targets: Tensor, keep: int) -> list[int]:
        """Rows of the `keep` smallest candidates of each target; success decides among those of
        which none worked yet."""
        order = sorted(
            range(len(self.size)), key=lambda i: (float(self.size[i]), -float(self.asr[i]))
        )
        rows = [
            row for t in targets.unique() for row in [i for i in order if targets[i] == t][:keep]
        ]
        return sorted(rows)

    def select(self, bank: TriggerBank, rows: list[int]) -> None:
        self.bank = bank
        self.state = {key: value[rows] for key, value in self.state.items()}
        self.size, self.asr = self.size[rows], self.asr[rows]

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
