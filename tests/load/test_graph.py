"""A network read from a file is held to what the file says, whatever the scale of its scores."""

from __future__ import annotations

import pytest
import torch

from undoor.errors import UndoorError
from undoor.load.graph import require_same


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e6])
def test_differences_are_judged_beside_the_scores(scale: float) -> None:
    """Of scores of a millionth, any two were the same."""
    scores = scale * torch.tensor([[3.0, -1.0], [0.5, 2.0]])
    require_same(scores * (1 + 1e-6), scores, "it")
    with pytest.raises(UndoorError, match="it returns scores that differ by"):
        require_same(scores * 1.01, scores, "it")


def test_other_shapes_and_numbers_that_are_none() -> None:
    scores = torch.ones(2, 3)
    with pytest.raises(UndoorError, match="instead of"):
        require_same(scores[:, :2], scores, "it")
    with pytest.raises(UndoorError, match="returns scores that differ by"):
        require_same(scores * torch.nan, scores, "it")
