"""What a served model takes as one input: numbers of one shape, or pixels of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undoor.preparation import WHITE, Preparation
from undoor.serve.refusal import bad_request
from undoor.vocabulary import EXPORT_INPUT, EXPORT_PIXELS

ANY_SIDE = -1
SIDES = {EXPORT_PIXELS: ("height", "width")}


@dataclass(frozen=True)
class InputForm:
    """The input of a model, as the Open Inference Protocol describes it.

    Attributes
    ----------
    name
        Of the input.
    datatype
        A name of the protocol.
    shape
        Of one input; `ANY_SIDE` where any length will do.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    @staticmethod
    def of(preparation: Preparation) -> InputForm:
        """Return the form of raw inputs, or of pixels where the graph prepares them."""
        shape = preparation.contract.input_shape
        if not preparation.in_graph:
            return InputForm(EXPORT_INPUT, "FP32", shape)
        return InputForm(EXPORT_PIXELS, "UINT8", (ANY_SIDE, ANY_SIDE, shape[0]))

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether one input may have this shape."""
        return len(shape) == len(self.shape) and all(
            got == wanted or (wanted == ANY_SIDE and got > 0)
            for got, wanted in zip(shape, self.shape, strict=True)
        )

    def described(self) -> str:
        """Return the shape of a batch in words.

        >>> InputForm("pixels", "UINT8", (-1, -1, 3)).described()
        '[N, height, width, 3]'
        """
        names = iter(SIDES.get(self.name, ()))
        sides = (next(names) if side == ANY_SIDE else str(side) for side in self.shape)
        return f"[N, {', '.join(sides)}]"

    def taken(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return numbers, float32 of any shape, as the model takes them: float32, or uint8.

        Raises
        ------
        Refusal
            They are no pixels, where the model takes pixels.
        """
        if self.name != EXPORT_PIXELS:
            return values
        with np.errstate(invalid="ignore"):
            are_pixels = (values >= 0) & (values <= WHITE) & (values % 1 == 0)
        if not are_pixels.all():
            raise bad_request(
                f"expected pixels, whole numbers from 0 to {WHITE}, got others: the file prepares "
                "pictures itself; send pixels, or the picture to /classify"
            )
        return values.astype(np.uint8)
