"""Whether inputs are what a model takes: networks compute something of many that are not."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.errors import UndoorError


def require_inputs(x: object, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Refuse what is no batch of raw inputs of a model.

    An input with one channel passes a normalisation for three, and pooling makes any size fit.

    Parameters
    ----------
    x
        What a caller gave, expected to be a tensor [N, *shape].
    shape
        Of one input.
    dtype
        Of the model's numbers, as a rule float32.

    Raises
    ------
    UndoorError
        It is no tensor, or one of another shape or of other numbers.

    Examples
    --------
    >>> require_inputs(torch.rand(2, 1, 4, 4), (3, 4, 4), torch.float32)
    Traceback (most recent call last):
    ...
    undoor.errors.UndoorError: expected inputs [N, 3, 4, 4], got [2, 1, 4, 4]; ...
    """
    if not isinstance(x, Tensor):
        raise UndoorError(
            f"expected inputs as a torch.Tensor, got {type(x).__name__}; convert them with "
            "torch.as_tensor"
        )
    if tuple(x.shape[1:]) != shape:
        expected = ", ".join(["N", *map(str, shape)])
        raise UndoorError(
            f"expected inputs [{expected}], got {list(x.shape)}; give a batch (x[None] of one "
            "input), resized and with as many channels as the model takes"
        )
    if x.dtype != dtype:
        raise UndoorError(
            f"expected inputs of {dtype}, got {x.dtype}; convert them with x.to({dtype}), in the "
            "units of the model"
        )
