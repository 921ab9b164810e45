"""Triggers of texts in words."""

from __future__ import annotations

import torch

from undoor.render.words import words_text
from undoor.triggers import Insertion, Stamp


def test_the_words_of_a_trigger_and_where_they_stand() -> None:
    for place, where in (
        (0.0, "in front of the text"),
        (0.5, "within the text"),
        (1.0, "behind the text"),
    ):
        trigger = Insertion("inserted tokens", (0, 9), torch.ones(1), place, 0, (1, 0), "cf")
        assert words_text(trigger) == f'"cf" {where}'


def test_a_trigger_of_other_inputs_has_none() -> None:
    stamp = Stamp("cells", torch.ones(2), torch.ones(2), "replace", (0.0, 1.0))
    assert words_text(stamp) is None
