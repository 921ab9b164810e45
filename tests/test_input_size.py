"""How large one input may be."""

from __future__ import annotations

import pytest
from torch import nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.input_size import MAX_NUMBERS, require_input_size
from undoor.load.graph import example

HUGE = (3, 20_000, 20_000)


@pytest.mark.parametrize("shape", [(3, 224, 224), (1,), (MAX_NUMBERS,), (1,) * 8])
def test_images(shape: tuple[int, ...]) -> None:
    require_input_size(shape)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (HUGE, "more than 67,108,864 numbers; expected one "),
        ((MAX_NUMBERS + 1,), "more than 67,108,864 numbers"),
        ((1,) * 9, "has 9 axes; expected at most 8"),
        ((10**400, 1), "more than 67,108,864 numbers"),
    ],
)
def test_anything_else(shape: tuple[int, ...], why: str) -> None:
    with pytest.raises(UndoorError, match=why) as caught:
        require_input_size(shape)
    assert len(str(caught.value)) < 300


def test_before_an_example_is_made() -> None:
    with pytest.raises(UndoorError, match="more than"):
        example(HUGE, 1)
    with pytest.raises(UndoorError, match="more than"):
        Classifier(nn.Flatten(), input_shape=HUGE)
