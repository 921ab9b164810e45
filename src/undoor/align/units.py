"""Activations seen unit by unit: a unit is a channel, or one position of a channel."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from undoor.vocabulary import Granularity


def unit_axes(z: Tensor, granularity: Granularity) -> tuple[int, ...]:
    """Return the axes of activations [N, C, ...] over which a unit's values are gathered.

    >>> import torch
    >>> unit_axes(torch.zeros(8, 3, 4, 4), "channel"), unit_axes(torch.zeros(8, 5), "channel")
    ((0, 2, 3), (0,))
    """
    return (0, *range(2, z.dim())) if granularity == "channel" else (0,)


def by_unit(z: Tensor, granularity: Granularity) -> Tensor:
    """Return activations [N, C, ...] as [units, values of that unit]."""
    if granularity == "channel":
        return z.transpose(0, 1).flatten(1)
    return z.flatten(1).T


def like_map(values: Tensor, z: Tensor, granularity: Granularity) -> Tensor:
    """Shape values [units] to broadcast against one activation map of z [N, C, ...]."""
    if granularity == "channel":
        return values.view(-1, *[1] * (z.dim() - 2))
    return values.view(z.shape[1:])


def over_values(
    reduce: Callable[[Tensor, tuple[int, ...]], Tensor], z: Tensor, granularity: Granularity
) -> Tensor:
    """Reduce each unit's values in z [N, C, ...] to one: [C], or [C, ...] per position.

    >>> import torch
    >>> over_values(torch.amax, torch.arange(12.0).view(2, 3, 2, 1), "channel")
    tensor([ 7.,  9., 11.])
    """
    # Of channels_last activations PyTorch reduces the first axis alone 10 to 25 times slower than
    # of the same numbers in the order of memory.
    if granularity == "position" and z.dim() == 4 and not z.is_contiguous():
        return reduce(z.permute(0, 2, 3, 1), (0,)).permute(2, 0, 1)
    return reduce(z, unit_axes(z, granularity))
