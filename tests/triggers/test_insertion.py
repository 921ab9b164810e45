"""Insertion triggers: where the tokens stand, and how they are stored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from undoor.errors import UndoorError
from undoor.triggers import Insertion, load_trigger
from undoor.triggers.insertion import END, START, inserted

BOUNDS = (0.0, 9.0)


def trigger(place: float, *tokens: float) -> Insertion:
    return Insertion("inserted tokens", BOUNDS, torch.tensor(tokens), place, 0, (1, 1), "cf mn")


def test_places() -> None:
    text = torch.tensor([[8.0, 1, 2, 9, 0, 0, 0]])
    assert trigger(START, 5, 6)(text).tolist() == [[8, 5, 6, 1, 2, 9, 0]]
    assert trigger(END, 5, 6)(text).tolist() == [[8, 1, 2, 5, 6, 9, 0]]
    assert trigger(0.5, 5)(text).tolist() == [[8, 1, 5, 2, 9, 0, 0]]


def test_a_full_text_loses_its_last_words() -> None:
    text = torch.tensor([[8.0, 1, 2, 3, 9]])
    assert trigger(START, 5, 6)(text).tolist() == [[8, 5, 6, 1, 9]]
    assert trigger(END, 5, 6)(text).tolist() == [[8, 1, 5, 6, 9]]


def test_several_at_once() -> None:
    texts = torch.tensor([[1.0, 2, 0], [1, 0, 0]])
    found = inserted(texts, torch.tensor([[5.0], [6.0]]), END, 0, (0, 0))
    assert found.tolist() == [[[1, 2, 5], [1, 5, 0]], [[1, 2, 6], [1, 6, 0]]]


def test_round_trip(tmp_path: Path) -> None:
    trigger(END, 5, 6).save(tmp_path / "trigger.npz")
    found = load_trigger(tmp_path / "trigger.npz", shape=(7,), bounds=BOUNDS)
    assert isinstance(found, Insertion)
    assert (found.tokens.tolist(), found.place, found.around) == ([5, 6], END, (1, 1))
    assert (found.words, found.family, found.pad) == ("cf mn", "inserted tokens", 0)


@pytest.mark.parametrize(
    ("shape", "bounds"), [((3,), BOUNDS), ((7,), (0.0, 4.0)), ((3, 8, 8), BOUNDS)]
)
def test_one_that_does_not_fit(
    tmp_path: Path, shape: tuple[int, ...], bounds: tuple[float, float]
) -> None:
    trigger(END, 5, 6).save(tmp_path / "trigger.npz")
    with pytest.raises(UndoorError, match="tokens with ids from 0 to"):
        load_trigger(tmp_path / "trigger.npz", shape=shape, bounds=bounds)
