"""How a picture of any size is brought to the input size of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from undoor.errors import UndoorError
from undoor.kinds import require_fields

Resample = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


@dataclass(frozen=True)
class Resizing:
    """Resize a picture, and crop its centre if `first` is given.

    Attributes
    ----------
    size
        (height, width) of the result.
    first
        The size before the centre is cropped: (height, width), or one number for the shorter side;
        None resizes straight to `size`, whatever the aspect ratio.
    resample
        The filter, under Pillow's name.

    Raises
    ------
    UndoorError
        There is no such filter, or a crop of `size` does not fit into `first`.

    Examples
    --------
    >>> Resizing((224, 224), first=256).whole(300, 600)
    (256, 512)
    >>> Resizing((224, 224)).whole(300, 600)
    (224, 224)
    """

    size: tuple[int, int]
    first: tuple[int, int] | int | None = None
    resample: Resample = "bilinear"

    def __post_init__(self) -> None:
        require_fields(self)
        if self.resample not in get_args(Resample):
            known = ", ".join(get_args(Resample))
            raise UndoorError(f"resample must be one of {known}, got {self.resample!r}")
        first = self.first or self.size
        sides = (first, first) if isinstance(first, int) else first
        if len(sides) != 2 or sides[0] < self.size[0] or sides[1] < self.size[1]:
            raise UndoorError(
                f"a centre of {self.size[0]}x{self.size[1]} does not fit into images resized to "
                f"{first}; give a resize of at least {max(self.size)}"
            )

    def whole(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) of a picture of this size before the centre is cropped."""
        if not isinstance(self.first, int):
            return self.first or self.size
        short = min(height, width)
        return self.first * height // short, self.first * width // short

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom of the centre crop of a picture of this size."""
        top, left = (height - self.size[0]) // 2, (width - self.size[1]) // 2
        return left, top, left + self.size[1], top + self.size[0]
