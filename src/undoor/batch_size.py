"""Refuse networks that take batches of one size alone, and say which."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from undoor.errors import UndoorError

# Those that networks are exported for.
_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 16, 32, 64, 100, 128, 256)
# Values that one batch may hold: a fixed size is looked for no further.
_MAX_VALUES = 2**22
_OTHER = 3


def failure(network: Callable[[Tensor], object], x: Tensor, error: Exception) -> UndoorError:
    """Return what to say of a network that failed on a batch x [N, ...], having tried other
    sizes.
    """
    told = _first_line(error)
    size = next((n for n in _sizes(x) if n != len(x) and _failed(network, x, n) is None), None)
    if size is None:
        return UndoorError(
            f"the network failed on an input of shape {tuple(x.shape)}: {told}; check input.shape "
            "and the architecture's arguments"
        )
    return _fixed(size, len(x), told)


def require_another_size(network: Callable[[Tensor], object], x: Tensor) -> None:
    """Refuse a network that took the batch x [N, ...] and takes none of another size.

    Raises
    ------
    UndoorError
        It fails on one of 3.
    """
    error = _failed(network, x, _OTHER)
    if error is not None:
        raise _fixed(len(x), _OTHER, _first_line(error)) from error


def _fixed(taken: int, refused: int, told: str) -> UndoorError:
    return UndoorError(
        f"the network takes batches of {taken}, but fails on batches of {refused} ({told}); scans "
        "need one that takes batches of any size: export it with a dynamic batch axis, or have its "
        "code take the size from the input, as x.flatten(1) does"
    )


def _sizes(x: Tensor) -> Iterable[int]:
    most = _MAX_VALUES // max(1, x[0].numel())
    return (n for n in _SIZES if n <= max(4, most))


def _failed(network: Callable[[Tensor], object], x: Tensor, size: int) -> Exception | None:
    try:
        network(x[torch.arange(size, device=x.device) % len(x)])
    except Exception as error:
        return error
    return None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
