"""Images: [C, H, W]."""

from __future__ import annotations

import pytest
import torch

from undoor.resizing import Resizing
from undoor.spaces.images import IMAGES
from undoor.spaces.space import Extent


def test_shapes() -> None:
    assert IMAGES.applies_to((3, 8, 4))
    assert not IMAGES.applies_to((8,))
    assert not IMAGES.applies_to((2, 3, 8, 4))
    assert IMAGES.channels((1, 8, 4)) == 1
    assert IMAGES.resizing((3, 8, 4)) == Resizing((8, 4))


def test_examples_lie_within() -> None:
    found = IMAGES.examples(6, (3, 4, 5), (-2.0, 3.0), torch.Generator().manual_seed(0))
    again = IMAGES.examples(6, (3, 4, 5), (-2.0, 3.0), torch.Generator().manual_seed(0))
    assert found.shape == (6, 3, 4, 5)
    assert torch.equal(found, again)
    assert float(found.min()) >= -2
    assert float(found.max()) <= 3
    assert float(found.max()) > 2
    ends = IMAGES.at(torch.tensor([[0.0, 1.0]]), (-2.0, 3.0))
    assert ends.tolist() == [[-2.0, 3.0]]


def test_within() -> None:
    nan, inf = torch.nan, torch.inf
    x = torch.tensor([[0.0, 1.02], [0.0, 255.0], [0.0, nan], [inf, 0.0], [0.0, -inf]])
    assert IMAGES.within(x, (0, 1)).tolist() == [True, False, False, False, False]
    assert IMAGES.within(torch.zeros(0, 2, 3), (0, 1)).shape == (0,)


def test_stored_with_eight_bits() -> None:
    x = torch.tensor([0.0, 0.4, 0.4005, 1.0])
    assert (IMAGES.quantised(x, (0.0, 1.0)) * 255).round(decimals=3).tolist() == [0, 102, 102, 255]
    assert IMAGES.quantised(torch.tensor([12.4]), (0.0, 255.0)).tolist() == [12.0]


def test_extent() -> None:
    assert IMAGES.extent((3, 32, 32)) == Extent()
    assert IMAGES.extent((1, 64, 16)) == Extent(1.0, 1 / 3, 1.0)


@pytest.mark.parametrize(
    ("channels", "wanted", "from_bytes", "got", "told"),
    [
        (1, 3, False, 3, "grey as colour"),
        (4, 3, True, 3, None),
        (4, 3, False, 4, None),
        (3, 3, False, 3, None),
        (3, 1, False, 3, None),
    ],
)
def test_colours(channels: int, wanted: int, from_bytes: bool, got: int, told: str | None) -> None:
    x = torch.rand(2, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    found, changed = IMAGES.matched(x, (wanted, 4, 4), from_bytes=from_bytes)
    assert (found.shape[1], changed) == (got, told)


def test_colours_that_are_grey() -> None:
    grey = torch.rand(2, 1, 4, 4).expand(2, 3, 4, 4)
    found, changed = IMAGES.matched(grey, (1, 4, 4), from_bytes=True)
    assert torch.equal(found, grey[:, :1])
    assert changed == "colour as grey"


def test_misfits_say_why() -> None:
    assert "the images are grey (1 channels), the model takes colour" in IMAGES.misfit(
        (1, 4, 4), (3, 4, 4)
    )
    assert "resize them as" in IMAGES.misfit((3, 4, 4), (3, 8, 8))


def test_odd_inputs_are_patches_at_the_ends() -> None:
    x = torch.full((8, 3, 6, 6), 0.5)
    odd = IMAGES.odd(x, (0.0, 1.0))
    changed = (odd != x).any(1).flatten(1).sum(1)
    assert changed.tolist() == [1, 1, 1, 1, 9, 9, 9, 9]
    assert set(odd.unique().tolist()) == {0.0, 0.5, 1.0}
    assert bool((x == 0.5).all())
