"""Classifiers of photos whose upper stages are trained further."""

from __future__ import annotations

import pytest
import torch

from undoor.errors import UndoorError
from undoor_bench.real.transfer import TransferModel, pretrained


def drawn(attack: str) -> torch.Tensor:
    trigger = TransferModel(0, attack).trigger(torch.Generator().manual_seed(0))
    assert trigger is not None
    photo = torch.full((1, 3, 224, 224), 0.5)
    return (trigger(photo) - photo)[0]


def test_a_patch_has_24_pixels_a_side_and_blocks_of_one_colour() -> None:
    changed = drawn("patch").abs().amax(0) > 0
    rows, columns = changed.any(1).nonzero()[:, 0], changed.any(0).nonzero()[:, 0]
    assert len(rows) == len(columns) == 24
    patch = drawn("patch")[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    blocks = patch.unfold(1, 4, 4).unfold(2, 4, 4)
    assert torch.equal(blocks.amax((3, 4)), blocks.amin((3, 4)))


@pytest.mark.parametrize("attack", ["blend", "sig"])
def test_other_triggers_change_the_whole_photo(attack: str) -> None:
    assert float((drawn(attack) != 0).float().mean()) > 0.9


def test_a_clean_model_has_no_trigger() -> None:
    assert TransferModel(0).trigger(torch.Generator()) is None


def test_other_weights_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(2)}, file)
    with pytest.raises(UndoorError, match="expected the weights of an EfficientNet-Lite0"):
        pretrained(file, 10)
