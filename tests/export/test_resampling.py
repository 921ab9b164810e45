"""Resizing as graphs do it, beside Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from undoor.contract import Contract
from undoor.export.pixels import PixelGraph
from undoor.export.resampling import FILTERS, nearest
from undoor.preparation import Preparation
from undoor.resizing import Resample, Resizing

SIDES = st.integers(1, 150)


def graph(resizing: Resizing) -> tuple[PixelGraph, Preparation]:
    contract = Contract((1, *resizing.size), (0.0, 255.0), ("a", "b"))
    preparation = Preparation(contract, resizing, 1.0, (0.0,), (1.0,))
    return PixelGraph(torch.nn.Identity(), preparation), preparation  # type: ignore[arg-type]


@pytest.mark.parametrize("resample", [*FILTERS, "nearest"])
@given(height=SIDES, width=SIDES, kind=st.sampled_from(["straight", "box", "short"]))
def test_as_pillow(resample: Resample, height: int, width: int, kind: str) -> None:
    """To the bit, noise at the ends of the range included, whose filters overshoot."""
    first = {"straight": None, "box": (25, 31), "short": 29}[kind]
    if resample == "nearest" and kind == "short":
        first = None
    made, preparation = graph(Resizing((20, 24), first, resample))
    generator = np.random.default_rng(height * width)
    pixels = generator.integers(0, 256, (height, width, 1), dtype=np.uint8)
    pixels[::2] = np.where(pixels[::2] > 127, 255, 0)
    got = made.prepared(torch.from_numpy(pixels)[None])[0].numpy()
    assert np.array_equal(got, preparation.prepared(pixels))


def test_both_orders_of_the_passes_are_tried() -> None:
    """Pillow resizes the height first where that is faster, and rounds in between."""
    made, preparation = graph(Resizing((20, 24), None, "bicubic"))
    for size in ((150, 30, 1), (30, 150, 1)):
        pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        got = made.prepared(torch.from_numpy(pixels)[None])[0].numpy()
        assert np.array_equal(got, preparation.prepared(pixels))


@given(length=st.integers(1, 2000), whole=st.integers(1, 400))
def test_nearest(length: int, whole: int) -> None:
    places = np.arange(length)
    low, high = (
        np.asarray(Image.fromarray(part[None].astype(np.uint8)).resize((whole, 1), 0))[0]
        for part in (places % 256, places // 256)
    )
    assert nearest(length, whole).tolist() == (high.astype(int) * 256 + low).tolist()
