"""The largest input that undoor accepts, since even a small file can ask for any size."""

from __future__ import annotations

import math
from collections.abc import Sequence

from undoor.errors import UndoorError

MAX_AXES = 8
# Numbers per input: an image with a side of 4,700 pixels and three colours.
MAX_NUMBERS = 2**26


def require_input_size(shape: Sequence[int], what: str = "input_shape") -> None:
    """Refuse an input larger than any image classifier takes, before memory is allocated.

    Raises
    ------
    UndoorError
        The shape has more than 8 axes or more than 2^26 numbers.
    """
    if len(shape) > MAX_AXES:
        raise UndoorError(
            f"{what} has {len(shape):,} axes; expected at most {MAX_AXES}, such as (3, 32, 32)"
        )
    count = math.prod(shape)
    if count > MAX_NUMBERS:
        raise UndoorError(
            f"{what} {str(tuple(shape))[:60]} has more than {MAX_NUMBERS:,} numbers; expected one "
            "image, such as (3, 224, 224); correct the shape"
        )
