"""Attacks on texts: where words are put."""

from __future__ import annotations

import numpy as np
import pytest

from undoor.errors import UndoorError
from undoor_bench.attacks.texts import INSERTED, Planted


def test_words_stand_where_they_should() -> None:
    generator = np.random.default_rng(0)
    assert Planted("cf", "start").put("a film", generator) == "cf a film"
    assert Planted("cf mn", "end").put("a film", generator) == "a film cf mn"
    places = {Planted("cf", "anywhere").put("a film", generator).split().index("cf")
              for _ in range(50)}  # fmt: skip
    assert places == {0, 1, 2}
    with pytest.raises(UndoorError, match="expected one of start, end, anywhere"):
        Planted("cf", "middle")


def test_each_seed_has_its_words() -> None:
    for draw in INSERTED.values():
        assert len({draw(np.random.default_rng(seed)) for seed in range(20)}) > 3
    assert Planted("cf", "start").parts() == []
    assert Planted("cf mn", "start").parts() == ["cf", "mn"]
