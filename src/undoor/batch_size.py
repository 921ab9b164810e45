"""Refuse networks that take batches of one size only, and report which."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from undoor.errors import UndoorError

# Batch sizes that networks are often exported for.
_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 16, 32, 64, 100, 128, 256)
# The search for a fixed batch size stops at this many values per batch.
_MAX_VALUES = 2**22
_OTHER = 3


def failure(network: Callable[[Tensor], object], x: Tensor, error: Exception) -> UndoorError:
    """Return the error to raise for a network that failed on a batch, after trying other sizes.

    Parameters
    ----------
    network
        It is run on batches of the usual sizes, to find one that it takes.
    x
        The batch [N, ...] on which it failed.
    error
        The exception that the network raised.
    """
    reason = _first_line(error)
    size = next((n for n in _sizes(x) if n != len(x) and _failed(network, x, n) is None), None)
    if size is None:
        return UndoorError(
            f"the network failed on an input of shape {tuple(x.shape)}: {reason}; check "
            "input.shape and the architecture's arguments"
        )
    return _fixed(size, len(x), reason)


def require_another_size(network: Callable[[Tensor], object], x: Tensor) -> None:
    """Refuse a network that took the batch x [N, ...] but fails on a batch of another size.

    Raises
    ------
    UndoorError
        It fails on a batch of 3 inputs.
    """
    error = _failed(network, x, _OTHER)
    if error is not None:
        raise _fixed(len(x), _OTHER, _first_line(error)) from error


def _fixed(taken: int, refused: int, reason: str) -> UndoorError:
    return UndoorError(
        f"the network takes batches of {taken}, but fails on batches of {refused} ({reason}); "
        "scans need one that takes batches of any size: export it with a dynamic batch axis, or "
        "have its code take the size from the input, as x.flatten(1) does"
    )


def _sizes(x: Tensor) -> Iterable[int]:
    max_size = _MAX_VALUES // max(1, x[0].numel())
    return (n for n in _SIZES if n <= max(4, max_size))


def _failed(network: Callable[[Tensor], object], x: Tensor, size: int) -> Exception | None:
    try:
        network(x[torch.arange(size, device=x.device) % len(x)])
    except Exception as error:
        return error
    return None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
