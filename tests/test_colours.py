"""Channels of images, as arrays of NumPy and as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from undoor.colours import COLOUR, GREY, WITH_ALPHA, with_channels


def images(channels: int, *, grey: bool = False) -> torch.Tensor:
    made = torch.rand(3, channels, 4, 5, generator=torch.Generator().manual_seed(0))
    return made[:, :1].repeat(1, channels, 1, 1) if grey else made


@pytest.mark.parametrize(
    ("given", "wanted", "from_bytes", "got", "change"),
    [
        (images(GREY), COLOUR, True, COLOUR, "grey as colour"),
        (images(COLOUR, grey=True), GREY, True, GREY, "colour as grey"),
        (images(COLOUR), GREY, True, COLOUR, None),
        (images(WITH_ALPHA), COLOUR, True, COLOUR, None),
        (images(WITH_ALPHA), COLOUR, False, WITH_ALPHA, None),
        (images(2), COLOUR, True, 2, None),
    ],
)
def test_channels(
    given: torch.Tensor, wanted: int, from_bytes: bool, got: int, change: str | None
) -> None:
    made, told = with_channels(given, wanted, from_bytes=from_bytes)
    assert (made.shape[1], told) == (got, change)
    assert torch.equal(made[:, 0], given[:, 0])
    same, also = with_channels(given.numpy(), wanted, from_bytes=from_bytes)
    assert (np.array_equal(same, made.numpy()), also) == (True, told)
