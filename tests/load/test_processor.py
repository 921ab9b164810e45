"""Image processors are asked what they do, and refused where that cannot be taken over."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from undoor.errors import UndoorError
from undoor.load.processor import read_preprocessing
from undoor.resizing import Resizing


class Processor(SimpleNamespace):
    """Resizes to 8 x 8 and applies `change` to values in [0, 1]."""

    def __init__(self, change: Callable[[Any], Any] = lambda x: x, **attributes: Any) -> None:
        known = {"size": {"height": 8, "width": 8}, "resample": 2, "do_resize": True}
        super().__init__(**{**known, **attributes})
        self.change = change

    def __call__(self, picture: Any, **_: Any) -> dict[str, Any]:
        planes = [Image.fromarray(plane) for plane in picture]
        if self.do_resize:
            planes = [plane.resize((8, 8), Image.Resampling.BILINEAR) for plane in planes]
        values = np.stack([np.asarray(plane, np.float64) for plane in planes]) / 255
        return {"pixel_values": self.change(values)[None]}


def test_scale_and_offset_of_each_channel() -> None:
    scale = np.array([2.0, 3, 4])[:, None, None]
    preprocessing, flipped = read_preprocessing(Processor(lambda x: scale * x - 1), 3, 8)
    assert preprocessing.std == pytest.approx((1 / 2, 1 / 3, 1 / 4), abs=1e-6)
    assert preprocessing.mean == pytest.approx((1 / 2, 1 / 3, 1 / 4), abs=1e-6)
    assert preprocessing.resizing == Resizing((8, 8))
    assert not flipped


def test_reversed_colours() -> None:
    scale = np.array([2.0, 3, 4])[:, None, None]
    preprocessing, flipped = read_preprocessing(Processor(lambda x: scale * x[::-1]), 3, 8)
    assert flipped
    # As the picture has them: its first channel is the network's last.
    assert preprocessing.std == pytest.approx((1 / 4, 1 / 3, 1 / 2), abs=1e-6)


def test_size_of_the_network_where_nothing_is_resized() -> None:
    preprocessing, _ = read_preprocessing(Processor(do_resize=False), 1, [6, 10])
    assert preprocessing.shape == (1, 6, 10)


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        (Processor(lambda x: 1 - x), r"does not map bright values to larger ones"),
        (Processor(lambda x: 0 * x), r"does not map bright values to larger"),
        (Processor(lambda x: x**2), r"does more than resize"),
        (Processor(lambda x: x[:, ::-1]), r"does more than resize"),
        (Processor(lambda x: x[[1, 2, 0]]), r"does more than resize"),
        (Processor(lambda x: x[:1]), r"returns arrays of shape \(1, 8, 8\), but the model takes 3"),
        (Processor(lambda x: x[:, :, :0]), r"returns arrays of shape"),
        (Processor(lambda x: x + np.eye(8)), r"does not keep flat images flat"),
        (Processor(lambda x: np.nan * x), r"does not keep flat images flat"),
        (Processor(lambda x: x.nonsense), r"fails on an image \(.*nonsense"),
        (Processor(size={"height": 5000, "width": 8}), r"more than 4096 pixels"),
        (Processor(resample=3), r"does more than resize"),
    ],
)
def test_refused(processor: Processor, message: str) -> None:
    with pytest.raises(UndoorError, match=f"{message}.*give input_shape, mean and std"):
        read_preprocessing(processor, 3, 8)
