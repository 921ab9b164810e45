"""Forms mean what tasks mean, without torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from undoor.decision import blank_logits
from undoor.device import array
from undoor.output_forms.classes import Classes
from undoor.output_forms.label_sets import LabelSets
from undoor.output_forms.numbers import Numbers
from undoor.output_forms.output_form import NONE, OutputForm
from undoor.output_forms.registry import described, read_form
from undoor.tasks.multi_label import MULTI_LABEL
from undoor.tasks.regression import Regression
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.tasks.task import Task
from undoor.vocabulary import MAX_SCORE, NO_SCORE

NAMES = ("stop", "yield", "go", "wait", "turn")
CASES: list[tuple[Task, int, tuple[str, ...] | None]] = [
    (SINGLE_LABEL, 5, NAMES),
    (SINGLE_LABEL, 3, None),
    (MULTI_LABEL, 5, NAMES),
    (MULTI_LABEL, 1, ("on",)),
    (Regression(-3.0, 4.0, 0.2), 1, ("angle",)),
    (Regression(100.0, 170.0, 2.0), 1, None),
]


def form_of(task: Task, outputs: int, names: tuple[str, ...] | None) -> OutputForm:
    form = task.output_form(names, outputs)
    assert form is not None
    return form


def drawn(task: Task, outputs: int) -> torch.Tensor:
    x = 4 * torch.randn(400, outputs, generator=torch.Generator().manual_seed(0))
    return x + task.low if isinstance(task, Regression) else x


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].name} {case[1]}")
def test_forms_are_those_of_the_tasks(case: tuple[Task, int, tuple[str, ...] | None]) -> None:
    task, outputs, _ = case
    form = form_of(*case)
    x = drawn(task, outputs)
    goals = range(task.goals(outputs))
    assert (form.num_outputs, form.num_goals) == (outputs, len(goals))
    labels, expected = form.predictions(array(x)), task.predictions(x)
    np.testing.assert_array_equal(labels, array(expected))
    assert labels.shape[1:] == form.label_shape
    for goal in goals:
        at_goal = array(task.reached(expected, goal))
        np.testing.assert_array_equal(form.reached(labels, goal), at_goal)
        assert form.reached(form.predictions(form.at(goal)[None]), goal).tolist() == [True]
        for targets in ([goal], [goal, 0], [0, goal]):
            blank = array(blank_logits(x[:1], targets, task))[0]
            np.testing.assert_allclose(form.blank(targets), blank, rtol=1e-6)
        assert not form.reached(form.predictions(form.blank([goal])[None]), goal).any()
    highest = np.full(len(x), MAX_SCORE, np.float32)
    two = [0, len(goals) - 1]
    assert not form.are_blank(array(x), highest, two).any()
    for targets in ([two[0]], [two[1]], two):
        blank = form.blank(targets)[None]
        assert form.are_blank(blank, highest[:1], two).all()
    shown = [form.shown(form.plain(label)) for label in labels[:20]]
    names = task.goal_names(case[2], outputs) or [str(goal) for goal in goals]
    assert shown == [task.shown(label, names) for label in expected[:20].tolist()]
    withheld = form.withheld(labels, np.arange(len(labels)) < 3)
    assert [form.plain(label) for label in withheld[:3]] == [None] * 3
    assert not form.among(withheld[:3], list(goals)).any()
    assert read_form(described(form)) == form


def test_first_of_several_goals() -> None:
    """Both labels are on: the guard of the first in its order judges first."""
    form = LabelSets(("cat", "dog"))
    labels = np.array([[1, 1], [0, 1], [0, 0]])
    assert form.first_of(labels, [3, 1]).tolist() == [3, 3, NONE]
    assert form.first_of(labels, [1, 3]).tolist() == [1, 3, NONE]


def test_a_number_at_an_edge_is_no_missing_prediction() -> None:
    """0 lies in the interval: a blank is moved to its edge, as predictions are."""
    form = Numbers("angle", 0.0, 7.0)
    edge = form.blank([0])[None]
    score = np.array([3.0], np.float32)
    assert not form.shows_blank(0)
    assert not form.are_blank(edge, score, [0]).any()
    assert form.are_blank(edge, np.array([MAX_SCORE], np.float32), [0]).all()


def test_details() -> None:
    outputs = np.array([2.0, -1.0, 0.5], np.float32)
    found = LabelSets(("cat", "dog", "cow")).details(outputs, np.array([1, 0, 1]))["labels"]
    assert [(item["label"], item["class"]) for item in found] == [(0, "cat"), (2, "cow")]
    assert found[0]["score"] == pytest.approx(0.8808, abs=1e-4)
    assert Numbers("price", 0.0, 1.0).details(outputs, 2.0) == {"unit": "price"}
    assert Classes(NAMES).details(outputs, 1) == {}


def test_what_is_no_label_of_the_form() -> None:
    other: Any
    for form in (Classes(NAMES), LabelSets(NAMES), Numbers("price", 0.0, 1.0)):
        for other in (None, "x", [1], -1 if isinstance(form, Classes) else {}, 99):
            if not (isinstance(form, Numbers) and other == 99):
                assert form.shown(other) is None


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "other"},
        {},
        {"kind": "class", "names": []},
        {"kind": "number", "unit": "m", "low": 1, "high": 0},
        {"kind": "number", "unit": "m", "low": 1, "high": float("nan")},
        {"kind": "labels"},
    ],
)
def test_damaged_forms(data: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_form(data)


def test_before_the_intervals_are_known_there_is_no_form() -> None:
    assert Regression().output_form(None, 1) is None


def test_no_torch() -> None:
    code = "import sys, undoor.output_forms.registry; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_lowest_output_of_a_class() -> None:
    assert Classes(("a", "b")).blank([1]).tolist() == [0, np.float32(NO_SCORE)]
