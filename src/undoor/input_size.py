"""How large one input may be: a file of some bytes can ask for any."""

from __future__ import annotations

import math
from collections.abc import Sequence

from undoor.errors import UndoorError

MAX_AXES = 8
# Numbers of one input: an image of 4,700 pixels a side in three colours.
MAX_NUMBERS = 2**26


def require_input_size(shape: Sequence[int], what: str = "input_shape") -> None:
    """Refuse inputs that no image classifier takes, before memory is.

    Raises
    ------
    UndoorError
        It has more than 8 axes or more than 2^26 numbers.
    """
    if len(shape) > MAX_AXES:
        raise UndoorError(
            f"{what} has {len(shape):,} axes; expected at most {MAX_AXES}, such as (3, 32, 32)"
        )
    count = math.prod(shape)
    if count > MAX_NUMBERS:
        raise UndoorError(
            f"{what} {str(tuple(shape))[:60]} has more than {MAX_NUMBERS:,} numbers; expected one "
            "image, such as (3, 224, 224): correct it"
        )
