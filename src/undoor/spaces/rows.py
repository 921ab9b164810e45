"""Rows of a table [D], one number in [0, 1] for each column."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from undoor import vocabulary
from undoor.noun import Noun
from undoor.spaces.space import Bounds, Shape
from undoor.spaces.vectors import Vectors


class Rows(Vectors):
    """Rows of a table whose columns the model describes (`undoor.spaces.columns`).

    They are shown as vectors are.
    """

    name = vocabulary.ROWS
    noun = Noun("row", "rows", "tabular", ("columns", ""))
    own_families: ClassVar[bool] = True

    def applies_to(self, shape: Shape) -> bool:
        """Return whether the shape is [D]."""
        return len(shape) == 1

    def recognises(self, shape: Shape) -> bool:
        """Return False: without a description of the columns, numbers are vectors."""
        del shape
        return False

    def quantised(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Return the rows as they are: files of tables hold numbers, not bytes."""
        del bounds
        return x

    def misfit(self, got: Shape, wanted: Shape) -> str:
        """Return why inputs are no rows of the model's table, and what to do."""
        if len(got) != len(wanted):
            return (
                f"the data look like images of shape {got}, the model takes rows of a table with "
                f"{wanted[0]} columns; give a .csv or .parquet file with these columns"
            )
        return (
            f"the rows have {got[0]} columns, the model takes {wanted[0]}; give those of its "
            "training, in their order"
        )


ROWS = Rows()
