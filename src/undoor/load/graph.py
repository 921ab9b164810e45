"""What files that hold a network and its weights give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.input_size import require_input_size

# Of the largest difference in class scores, beside the largest score.
PARITY = 1e-4


@dataclass(frozen=True, eq=False)
class Graph:
    """A network from a file that describes it.

    input_shape : of one input, as the file says it; None where it leaves it open.
    require_parity : of the shape of one input; raises an `UndoorError` where the network answers
        otherwise than the file, as another reader runs it. None where it is the file itself.
    sha256 : of the bytes of the file.
    """

    network: nn.Module
    input_shape: tuple[int, ...] | None
    require_parity: Callable[[tuple[int, ...]], None] | None = None
    sha256: str | None = None


def require_same(got: Tensor, expected: Tensor, what: str) -> None:
    """Refuse scores that differ by more than 1e-4 of the largest.

    Raises
    ------
    UndoorError
        They do, or have another shape.
    """
    if got.shape != expected.shape:
        raise UndoorError(f"{what} returns {tuple(got.shape)} instead of {tuple(expected.shape)}")
    largest = float((got - expected).abs().max())
    # Not beside 1: the scores of a cold model are all far smaller.
    if not largest <= PARITY * float(expected.abs().max()):
        raise UndoorError(f"{what} answers otherwise, by {largest:.2g}")


def require_any_batch(network: nn.Module, x: Tensor, expected: Tensor, what: str) -> None:
    """Refuse a network that answers inputs x [N, ...] otherwise than `expected` [N, K], by
    themselves or beside as many others.

    Raises
    ------
    UndoorError
        As `require_same`.
    """
    require_same(network(x), expected, what)
    require_same(network(torch.cat([x, x.flip(-1)]))[: len(x)], expected, what)


def example(shape: tuple[int, ...], batch: int) -> Tensor:
    """Values between 0 and 1 [batch, *shape], always the same.

    Raises
    ------
    UndoorError
        One of them is larger than any image.
    """
    require_input_size(shape, "the input")
    return torch.rand(batch, *shape, generator=torch.Generator().manual_seed(0))
