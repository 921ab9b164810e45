"""Mask inversion, one class after another: the rival whose cost is compared.

Wang et al., Neural Cleanse (IEEE S&P 2019), written anew from the paper and the published settings.
Kept as its authors run it: the size's weight starts at 0, doubles after five successful steps and
falls after five others, and a class ends early when its smallest mask stopped shrinking. Of the two
thresholds for that which their code has (0.99 in the class, 1.0 in the example), this is the
cheaper one. Not kept: batches are always full, and the network computes in the layout and numbers
of our own scan (channels_last; bfloat16 where the CPU has it), so that seconds compare the methods.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.device import CPU, autocast
from undoor.errors import UndoorError
from undoor.inversion.meter import Meter
from undoor.progress import Progress, silent
from undoor.scan import Budget

Stop = Literal["early stop", "all steps", "cut off"]
# A mask this many deviations below the median is a trigger, says the paper.
MAX_ANOMALY = 2.0
# A normal distribution's standard deviation is that many times its median absolute deviation.
NORMAL = 1.4826
# Keeps tanh within what atanh can undo.
EDGE = 1e-7


@dataclass(frozen=True)
class Settings:
    """The published settings.

    Attributes
    ----------
    steps, batches, batch, rate, betas
        Adam's; a step is `batches` mini-batches of `batch` images, as many as 1,000 samples fill.
    first_weight, up, down
        The first weight of the mask's size in the loss, and its factors after `patience` steps that
        moved a share of at least `success`, or a smaller one.
    stop_share, stop_patience
        A class ends after this many steps in which the smallest mask stays above this share of the
        previous smallest, once the weight has risen and fallen.
    """

    steps: int = 1000
    batches: int = 31
    batch: int = 32
    rate: float = 0.1
    betas: tuple[float, float] = (0.5, 0.9)
    first_weight: float = 1e-3
    up: float = 2.0
    down: float = 2.0**1.5
    patience: int = 5
    success: float = 0.99
    stop_share: float = 0.99
    stop_patience: int = 25

    @property
    def most_passes(self) -> int:
        """Return the passes of one class that never stops early.

        >>> Settings().most_passes
        992000
        """
        return self.steps * self.batches * self.batch


@dataclass(frozen=True)
class Inversion:
    """The result and the cost of the search for one class's mask.

    Attributes
    ----------
    size
        L1 norm of the smallest mask that moved enough images, or, where none did, of the last.
    worked
        Whether one did.
    passes
        Images that went forward and backward.
    stopped
        "cut off" where a cap ended it; size is then not final.
    """

    target: int
    size: float
    worked: bool
    steps: int
    passes: int
    seconds: float
    stopped: Stop


def invert_class(
    classifier: Classifier,
    images: Tensor,
    target: int,
    *,
    generator: torch.Generator,
    settings: Settings | None = None,
    cap: Budget | None = None,
    progress: Progress = silent,
) -> Inversion:
    """Return the smallest mask and pattern that move the `images` [N, C, H, W] to `target`.

    Images of `target` are among them, as in the authors' code.

    Parameters
    ----------
    cap
        The search is cut off after the first step that reaches it.

    Raises
    ------
    UndoorError
        The model does not take images, or its loss is not finite.
    """
    if len(classifier.input_shape) != 3:
        raise UndoorError(f"mask inversion needs images, got inputs of {classifier.input_shape}")
    settings, meter = settings or Settings(), Meter()
    counted = classifier.counted(meter)
    search, best = _Search(counted, images, target, settings, generator), _Best(settings)
    steps, stopped = _anneal(search, best, settings, meter, cap or Budget(), progress)
    progress(f"inverting masks, class {target}", settings.steps, settings.steps)
    worked = math.isfinite(best.size)
    final = best.mask_size if worked else search.mask_size()
    return Inversion(target, final, worked, steps, int(meter.passes), meter.seconds, stopped)


def _anneal(
    search: _Search, best: _Best, settings: Settings, meter: Meter, cap: Budget, progress: Progress
) -> tuple[int, Stop]:
    """Return how many steps it took, and what ended them."""
    weight = _Weight(settings)
    for step in range(1, settings.steps + 1):
        share, size = search.step(weight.value)
        progress(f"inverting masks, class {search.target}", step, settings.steps)
        enough = share >= settings.success
        best.update(enough, size, search)
        if weight.rose and weight.fell and best.idle >= settings.stop_patience:
            return step, "early stop"
        weight.update(enough)
        if _reached(cap, meter) and step < settings.steps:
            return step, "cut off"
    return settings.steps, "all steps"


def _reached(cap: Budget, meter: Meter) -> bool:
    return (cap.passes is not None and meter.passes >= cap.passes) or (
        cap.seconds is not None and meter.seconds >= cap.seconds
    )


class _Search:
    """A mask [1, H, W] and a pattern [C, H, W], both behind tanh, and their optimiser."""

    def __init__(
        self,
        classifier: Classifier,
        images: Tensor,
        target: int,
        settings: Settings,
        generator: torch.Generator,
    ) -> None:
        channels, height, width = classifier.input_shape
        self.classifier = classifier
        self.target = target
        self.settings = settings
        self._deck = _batches(images, settings.batch, generator)
        self._mask = _start(1, height, width, generator)
        self._pattern = _start(channels, height, width, generator)
        self.optimizer = torch.optim.Adam(
            [self._mask, self._pattern], lr=settings.rate, betas=settings.betas
        )

    def step(self, weight: float) -> tuple[float, float]:
        """Return the share of images moved and the size of the mask, averaged over a step."""
        shares, sizes = [], []
        low, high = self.classifier.bounds
        for _ in range(self.settings.batches):
            x = next(self._deck)
            mask = _open(self._mask)
            triggered = (1 - mask) * x + mask * (low + (high - low) * _open(self._pattern))
            with autocast(CPU):
                logits = self.classifier(triggered.contiguous(memory_format=torch.channels_last))
            wanted = torch.full((len(x),), self.target)
            size = mask.sum()
            loss = F.cross_entropy(logits.float(), wanted) + weight * size
            if not bool(torch.isfinite(loss)):
                raise UndoorError(f"the loss became {loss.item()} while inverting masks")
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            shares.append(float((logits.argmax(1) == wanted).float().mean()))
            sizes.append(float(size.detach()))
        return float(np.mean(shares)), float(np.mean(sizes))

    @torch.no_grad()
    def mask_size(self) -> float:
        return float(_open(self._mask).sum())


@dataclass
class _Weight:
    """The weight of the mask's size in the loss: 0 until masks work at all, then up and down."""

    settings: Settings
    value: float = 0.0
    rose: bool = False
    fell: bool = False
    wins: int = 0
    losses: int = 0

    def update(self, enough: bool) -> None:
        """Take a step into account that moved enough images, or did not."""
        self.wins, self.losses = (self.wins + 1, 0) if enough else (0, self.losses + 1)
        if self.wins >= self.settings.patience and self.value == 0:
            # The step that sets the weight counts among those that raise it next.
            self.value, self.wins = self.settings.first_weight, 1
            self.rose = self.fell = False
        elif self.wins >= self.settings.patience:
            self.value, self.wins, self.rose = self.value * self.settings.up, 0, True
        elif self.losses >= self.settings.patience:
            self.value, self.losses, self.fell = self.value / self.settings.down, 0, True


@dataclass
class _Best:
    """The smallest mask that worked so far, and for how many steps none was much smaller.

    Attributes
    ----------
    size
        Mean over a step's batches, by which masks are compared.
    mask_size
        After that step.
    """

    settings: Settings
    size: float = math.inf
    mask_size: float = math.inf
    idle: int = 0
    before: float = field(default=math.inf, init=False)

    def update(self, enough: bool, size: float, search: _Search) -> None:
        if enough and size < self.size:
            self.size, self.mask_size = size, search.mask_size()
        if math.isfinite(self.size):
            still = self.size >= self.settings.stop_share * self.before
            self.idle = self.idle + 1 if still else 0
        self.before = self.size


def _start(channels: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return a parameter whose `_open` is uniform in [0, 1]."""
    uniform = torch.rand(channels, height, width, generator=generator)
    return torch.atanh((uniform - 0.5) * (2 - EDGE)).requires_grad_()


def _open(value: Tensor) -> Tensor:
    return torch.tanh(value) / (2 - EDGE) + 0.5


def _batches(images: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield full batches without end; every image comes once before any comes again."""
    left = torch.empty(0, dtype=torch.int64)
    while True:
        while len(left) < size:
            left = torch.cat([left, torch.randperm(len(images), generator=generator)])
        yield images[left[:size]]
        left = left[size:]


def anomaly_indices(sizes: Sequence[float]) -> list[float]:
    """Return how many deviations every mask lies from the median of all.

    >>> [round(index, 2) for index in anomaly_indices([10.0, 11.0, 12.0, 3.0])]
    [0.34, 0.34, 1.01, 5.06]
    """
    away = np.abs(np.array(sizes) - np.median(sizes))
    deviation = NORMAL * np.median(away)
    # Where most masks are equal, any other is infinitely odd.
    odd = np.where(away > 0, np.inf, 0.0)
    return np.divide(away, deviation, out=odd, where=deviation > 0).tolist()


def flagged(sizes: Sequence[float]) -> list[int]:
    """Return the places of the masks that are outliers below the median."""
    middle = np.median(sizes)
    indices = anomaly_indices(sizes)
    return [i for i, size in enumerate(sizes) if size < middle and indices[i] > MAX_ANOMALY]
