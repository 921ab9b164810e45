"""The raw inputs of a model: their shape and bounds, and how they are normalised."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from undoor.device import CPU, on
from undoor.errors import UndoorError
from undoor.input_size import require_input_size
from undoor.resizing import Resizing
from undoor.spaces.columns import Column, require_columns, seen_by_network
from undoor.spaces.registry import space_for
from undoor.spaces.space import Bounds, Extent
from undoor.spaces.tokenizer import Tokenizer
from undoor.vocabulary import ROWS, SIGNALS, TOKENS


class InputTransform(nn.Module):
    """What raw inputs are, and how they become the inputs of a network.

    Parameters
    ----------
    input_shape, bounds, scale, mean, std, space, resizing, columns, sampling_rate, tokenizer
        As of `undoor.Classifier`.

    Raises
    ------
    UndoorError
        One of them is impossible, or they contradict one another.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        input_shape: Sequence[int] | None,
        bounds: tuple[float, float] | None,
        scale: float,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        space: str | None,
        resizing: Resizing | None,
        columns: Sequence[Column],
        sampling_rate: int | None,
        tokenizer: Tokenizer | None,
    ) -> None:
        super().__init__()
        input_shape, bounds = _described(input_shape, bounds, columns, tokenizer)
        self.input_shape = _checked_shape(input_shape)
        self.columns = require_columns(columns) if columns else ()
        self.tokenizer = tokenizer
        space = space or (ROWS if columns else TOKENS if tokenizer else None)
        self.space = space_for(self.input_shape, space)
        self.resizing = resizing or self.space.resizing(self.input_shape)
        if self.resizing and self.resizing.size != self.input_shape[1:]:
            raise UndoorError(
                f"images are resized to {self.resizing.size}, but input_shape is "
                f"{self.input_shape}; let them agree"
            )
        self.bounds = (float(bounds[0]), float(bounds[1]))
        self.scale = float(scale)
        self.sampling_rate = _checked_rate(sampling_rate, self.space.name)
        self.register_buffer("mean", _per_channel("mean", mean, 0.0, self.input_shape), False)
        self.register_buffer("std", _per_channel("std", std, 1.0, self.input_shape), False)
        if not self.bounds[0] < self.bounds[1]:
            raise UndoorError(
                f"bounds must be (low, high) with low < high, got {tuple(bounds)}; "
                "images in files are usually (0, 1)"
            )
        if not bool((self.std > 0).all()):
            raise UndoorError(f"std must be positive, got {list(std or [])}")
        _require_described(self.space.name, self.columns, self.input_shape, self.bounds)
        _require_tokenizer(self.space.name, tokenizer, self.input_shape, self.bounds)
        scaled = self.scale != 1 or mean is not None or std is not None
        if self.columns and scaled:
            raise UndoorError(
                "expected the mean and scale of numbers in the description of each column, got "
                "some for all of them; move them there"
            )
        if tokenizer and scaled:
            raise UndoorError(
                "expected no scale, mean or std of token ids, got some; leave them out"
            )

    @property
    def device(self) -> torch.device:
        """The device on which the model computes."""
        return self.mean.device

    @property
    def extent(self) -> Extent:
        """The size of an input relative to those that natural trigger sizes were measured on."""
        return self.space.extent(self.input_shape)

    def normalised(self, x: Tensor) -> Tensor:
        """Return what the network sees of raw inputs [N, *input_shape]."""
        if self.columns:
            return seen_by_network(self.columns, x)
        if self.tokenizer:
            # Ids beyond the last one, NaN and infinity are flagged, and must not end a whole batch.
            low, high = self.bounds
            return x.nan_to_num(low, high, low).clamp(low, high).round().long()
        return (x * self.scale - self.mean) / self.std

    def examples(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return random valid raw inputs [count, *input_shape] on the model's device.

        Parameters
        ----------
        generator
            A generator on the CPU; without one, the inputs are always the same.
        """
        generator = generator or torch.Generator().manual_seed(0)
        drawn = self.space.examples(count, self.input_shape, self.bounds, generator)
        return on(self.device, drawn)

    def level(self, count: int, share: float = 0.0) -> Tensor:
        """Return raw inputs [count, *input_shape] of one value, on the model's device.

        Parameters
        ----------
        share
            Where the value lies in the range of the bounds: 0 is the lowest, 1 the highest.
        """
        shares = torch.full((count, *self.input_shape), share, device=self.device)
        return self.space.at(shares, self.bounds)


def _described(
    input_shape: Sequence[int] | None,
    bounds: tuple[float, float] | None,
    columns: Sequence[Column],
    tokenizer: Tokenizer | None,
) -> tuple[Sequence[int], tuple[float, float]]:
    """Return shape and bounds, those that are not given as columns or a tokenizer describe them.

    Raises
    ------
    UndoorError
        There is no shape, and nothing from which it follows.
    """
    usual = (tokenizer.length,) if tokenizer else (len(columns),)
    if input_shape is None and not tokenizer and not columns:
        raise UndoorError("expected input_shape, such as (3, 32, 32), got none; give it")
    high = tokenizer.size - 1.0 if tokenizer else 1.0
    return (
        usual if input_shape is None else input_shape,
        (0.0, high) if bounds is None else bounds,
    )


def _require_described(
    space: str, columns: Sequence[Column], shape: tuple[int, ...], bounds: Bounds
) -> None:
    """Refuse rows whose columns are not described, and columns of anything but rows."""
    if space == ROWS and not columns:
        raise UndoorError(
            f"expected a description of each column of the space {ROWS!r}, got none; write columns "
            "under [input] of a model.toml, or give columns"
        )
    if columns and space != ROWS:
        raise UndoorError(
            f"expected columns of the space {ROWS!r} alone, got some of {space!r}; leave one out"
        )
    if columns and (shape, bounds) != ((len(columns),), (0.0, 1.0)):
        raise UndoorError(
            f"expected input_shape ({len(columns)},) and bounds (0, 1), as there are "
            f"{len(columns)} columns, got {shape} and {bounds}; leave both out"
        )


def _checked_rate(sampling_rate: int | None, space: str) -> int | None:
    """Return the sampling rate; an UndoorError where it is none, or inputs are no signals."""
    if sampling_rate is not None and (space != SIGNALS or sampling_rate < 1):
        raise UndoorError(
            f"expected sampling_rate to be a number of samples per second, at least 1, of the "
            f"space {SIGNALS!r}, got {sampling_rate} of {space!r}; correct it, or leave it out"
        )
    return sampling_rate


def _require_tokenizer(
    space: str, tokenizer: Tokenizer | None, shape: tuple[int, ...], bounds: Bounds
) -> None:
    """Refuse token ids without a tokenizer, and a tokenizer of anything but token ids."""
    if (space == TOKENS) != (tokenizer is not None):
        raise UndoorError(
            f"expected a tokenizer of the space {TOKENS!r} and of no other, got "
            f"{'none' if tokenizer is None else 'one'} of {space!r}; write tokenizer under [input] "
            "of a model.toml, or give undoor.spaces.tokenizer.Tokenizer.read(FILE, length)"
        )
    if tokenizer and (shape, bounds) != ((tokenizer.length,), (0.0, tokenizer.size - 1.0)):
        raise UndoorError(
            f"expected input_shape ({tokenizer.length},) and bounds (0, {tokenizer.size - 1}), as "
            f"the tokenizer has {tokenizer.size} tokens, got {shape} and {bounds}; leave both out"
        )


def _checked_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of one raw input; an UndoorError where no image has such a shape."""
    shape = tuple(int(n) for n in input_shape)
    if not shape or min(shape) < 1:
        raise UndoorError(
            f"input_shape must be positive numbers such as (3, 32, 32), got {input_shape}"
        )
    require_input_size(shape)
    return shape


def _per_channel(
    name: str, values: Sequence[float] | None, default: float, shape: tuple[int, ...]
) -> Tensor:
    """Return one number per channel, [C or 1, 1, ...]; `default` where none is given."""
    channels = shape[0]
    numbers = [default] * channels if values is None else [float(v) for v in values]
    if len(numbers) not in (1, channels):
        raise UndoorError(
            f"{name} must have one value or one for each of the {channels} channels, "
            f"got {len(numbers)}"
        )
    if not all(math.isfinite(number) for number in numbers):
        raise UndoorError(f"{name} must be finite numbers, got {numbers}")
    return torch.tensor(numbers, device=CPU).view(-1, *[1] * (len(shape) - 1))
