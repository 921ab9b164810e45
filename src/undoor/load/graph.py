"""A network from a file that holds it and its weights, and its comparison with the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.input_size import require_input_size

# Largest difference in class scores, as a share of the largest score.
PARITY = 1e-4


@dataclass(frozen=True, eq=False)
class Graph:
    """A network from a file that describes it.

    Attributes
    ----------
    network
        Takes inputs [N, *shape].
    input_shape
        Of one input, as the file has it; None where the file leaves it open.
    require_parity
        Takes the shape of one input, and raises an `UndoorError` where the network's scores differ
        from those of the file, as another reader runs it. None where there is no other reader.
    sha256
        Of the bytes of the file.
    names
        Of the numbers of a row, in their order; empty where the file does not say.
    """

    network: nn.Module
    input_shape: tuple[int, ...] | None
    require_parity: Callable[[tuple[int, ...]], None] | None = None
    sha256: str | None = None
    names: tuple[str, ...] = ()


def require_same(got: Tensor, expected: Tensor, what: str) -> None:
    """Refuse scores that differ from the expected ones by more than 1e-4 of the largest.

    Parameters
    ----------
    got, expected
        Class scores [N, K].
    what
        What they are the scores of, for messages.

    Raises
    ------
    UndoorError
        They differ by more, or have another shape.
    """
    if got.shape != expected.shape:
        raise UndoorError(f"{what} returns {tuple(got.shape)} instead of {tuple(expected.shape)}")
    largest = float((got - expected).abs().max())
    # Not relative to 1: at a high temperature all scores of a model are far smaller.
    limit = PARITY * float(expected.abs().max())
    if not largest <= limit:
        raise UndoorError(
            f"{what} returns scores that differ by {largest:.2g}; expected at most {limit:.2g}"
        )


def require_any_batch(network: nn.Module, x: Tensor, expected: Tensor, what: str) -> None:
    """Refuse a network whose scores differ from the expected ones, alone or in a larger batch.

    Parameters
    ----------
    network
        Returns class scores.
    x
        Inputs [N, ...], given alone and together with as many others.
    expected
        Their class scores [N, K].
    what
        The network, for messages.

    Raises
    ------
    UndoorError
        As `require_same`.
    """
    require_same(network(x), expected, what)
    require_same(network(torch.cat([x, x.flip(-1)]))[: len(x)], expected, what)


def example(shape: tuple[int, ...], batch: int) -> Tensor:
    """Return values in [0, 1), [batch, *shape], always the same.

    Raises
    ------
    UndoorError
        One input is larger than any image.
    """
    require_input_size(shape, "the input")
    return torch.rand(batch, *shape, generator=torch.Generator().manual_seed(0))
