"""Vectors: the rows of a table."""

from __future__ import annotations

import torch

from undoor.spaces.space import Extent
from undoor.spaces.vectors import VECTORS


def test_shapes() -> None:
    assert VECTORS.recognises((8,))
    assert not VECTORS.recognises((2, 8))
    assert VECTORS.applies_to((2, 8))
    assert not VECTORS.applies_to((3, 8, 8))
    assert not VECTORS.maps
    assert VECTORS.extent((1000,)) == Extent()
    assert VECTORS.channels((3,)) == 0
    assert VECTORS.resizing((3,)) is None


def test_values_are_taken_as_they_are() -> None:
    """Four numbers are no colour with transparency."""
    x = torch.rand(2, 4)
    assert VECTORS.matched(x, (3,), from_bytes=True) == (x, None)


def test_a_bar_for_each_value() -> None:
    picture = VECTORS.picture(torch.tensor([[0.0, 0.5, 1.0, 7.0]]))
    assert picture.shape == (1, 1, 64, 16)
    dark = (picture[0, 0] < 0.5).sum(0)[::4]
    assert dark.tolist() == [0, 32, 64, 64]
    assert not bool((picture[0, 0, :32, 4:8] < 0.5).any())


def test_odd_inputs_have_one_value_at_an_end() -> None:
    x = torch.full((5, 3), 0.5)
    odd = VECTORS.odd(x, (0.0, 1.0))
    assert (odd != x).sum(1).tolist() == [1] * 5
    assert odd[:2, 0].tolist() == [0.0, 0.5]
    assert odd[1, 1] == 1.0
