"""All pixels moved in colour space (Jiang et al., CVPR 2023)."""

from __future__ import annotations

import torch

from undoor.errors import UndoorError
from undoor.triggers import Stamp


def colour_shift(
    shape: tuple[int, ...], *, shift: tuple[float, ...] = (0.12, -0.08, 0.12)
) -> Stamp:
    """Return a stamp that adds `shift` to the channels of every pixel.

    Parameters
    ----------
    shape
        (C, H, W) of the images.

    Raises
    ------
    UndoorError
        Not one shift a channel.
    """
    if len(shift) != shape[0]:
        raise UndoorError(f"expected a shift for each of {shape[0]} channels, got {len(shift)}")
    pattern = torch.tensor(shift)[:, None, None].expand(shape).contiguous()
    return Stamp("given", torch.zeros(1, *shape[1:]), pattern, "add", (0.0, 1.0))
