"""The classes that are searched, and those that they are compared with."""

from __future__ import annotations

from dataclasses import replace

import torch

from helpers.family_names import OF_ONE_SIZE
from helpers.scan_work import toy_work
from helpers.tiny import TARGET
from undoor.inversion.goals import CONTROL, Goals, with_control
from undoor.scan.screen import screen


def drawn(asked: list[int], classes: int, seed: int = 0) -> Goals:
    return with_control(asked, classes, torch.Generator().manual_seed(seed))


def test_control_is_drawn_from_the_others() -> None:
    goals = drawn([7, 3, 3], 43)
    assert goals.asked == (3, 7)
    assert len(set(goals.control)) == CONTROL
    assert not set(goals.control) & set(goals.asked)
    assert goals.searched == tuple(sorted(goals.asked + goals.control))
    assert drawn([7, 3], 43) == goals
    assert drawn([7, 3], 43, seed=1) != goals


def test_of_few_classes_all_others_are_the_control() -> None:
    assert drawn([1], 4).searched == (0, 1, 2, 3)


def test_searches_go_to_the_goals_alone() -> None:
    goals = Goals((TARGET,), (0, 4))
    work = replace(toy_work(), goals=goals)
    for family in ("patch", *OF_ONE_SIZE[:1]):
        assert [found.target for found in screen(work, family)] == [0, TARGET, 4]
