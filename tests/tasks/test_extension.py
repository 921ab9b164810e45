"""A task from another package: one file and an entry point, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import undoor
from helpers.installed_package import Package
from helpers.made_repairs import make_repair
from helpers.tiny import CLASSES, SIDE, TARGET, clean_images, toy_network, true_trigger
from helpers.toy_task import STEPS
from helpers.whole_way import go_the_whole_way
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.evaluate import stamp_set
from undoor.tasks.registry import task_named
from undoor.tasks.task import Task

Install = Callable[..., None]


@pytest.fixture
def install(package: Package) -> Install:
    return partial(package.declares, "undoor.tasks")


@pytest.fixture
def steps(install: Install) -> None:
    install(steps="helpers.toy_task:STEPS")


def ordinal_network() -> nn.Sequential:
    """The toy network with one output a threshold: positive where the class is above it."""
    network = toy_network(backdoored=True, norm=True)
    classes = network[-1]
    assert isinstance(classes, nn.Linear)
    thresholds = nn.Linear(classes.in_features, CLASSES - 1)
    above = torch.arange(CLASSES) > torch.arange(CLASSES - 1)[:, None]
    with torch.no_grad():
        signs = torch.where(above, 1.0, -1.0)
        thresholds.weight.copy_(signs @ classes.weight)
        thresholds.bias.copy_(signs @ classes.bias)
    network[-1] = thresholds
    return network


def scale_reader() -> Classifier:
    return Classifier(ordinal_network(), input_shape=(1, SIDE, SIDE), task=STEPS.name)


@pytest.mark.usefixtures("steps")
def test_it_is_found_by_its_name() -> None:
    classifier = scale_reader()
    assert classifier.task is task_named(STEPS.name) is STEPS
    assert (classifier.num_outputs, classifier.num_classes) == (CLASSES - 1, CLASSES)
    assert classifier.class_names == tuple("012345")
    clean = clean_images()
    assert torch.equal(classifier.predict(clean.images), clean.labels)


def test_nothing_is_left_of_it() -> None:
    with pytest.raises(UndoorError, match=r"expected a task \(single label, .*\), got 'toy steps'"):
        scale_reader()


@pytest.mark.usefixtures("steps")
def test_it_is_part_of_the_model() -> None:
    """Its answers are others, with the same weights."""
    told, plain = scale_reader(), Classifier(ordinal_network(), input_shape=(1, SIDE, SIDE))
    assert told.fingerprint() != plain.fingerprint()


@pytest.mark.usefixtures("steps")
def test_it_is_scanned_repaired_guarded_exported_and_reported(tmp_path: Path) -> None:
    fresh = clean_images(8, seed=5)
    stamped = stamp_set(fresh, true_trigger(), TARGET)
    found, measured, pages = go_the_whole_way(
        scale_reader(), clean_images(12), fresh, stamped, tmp_path
    )
    assert found.verdict == "backdoored"
    assert [finding.target for finding in found.findings] == [TARGET]
    assert measured.before["asr"].value == 1
    assert measured.after["asr"].value == 0
    assert measured.after["sia"].value == 1
    assert measured.after["acc"].value == 1
    assert "backdoor" in pages["html"]


@pytest.mark.usefixtures("steps")
def test_an_export_says_how_many_outputs_there_are(tmp_path: Path) -> None:
    """One less than there are classes."""
    classifier = scale_reader()
    made = undoor.export(classifier, make_repair(classifier), tmp_path / "guarded.pt2")
    assert made.to_json()["outputs"][0]["shape"] == ["batch", CLASSES - 1]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"a": "helpers.toy_task:UndoorError"}, "to be an undoor.tasks.task.Task, got type"),
        (
            {"a": "helpers.toy_task:STEPS", "b": "helpers.toy_task:STEPS"},
            "tasks of different names, got 'toy steps' again from the entry point b",
        ),
    ],
)
def test_what_is_no_task_is_refused(install: Install, points: dict[str, str], message: str) -> None:
    install(**points)
    with pytest.raises(UndoorError, match=message):
        task_named("any")


def require_consistent(task: Task, outputs: Tensor) -> None:
    """What margin, answers, loss and the answer without a goal say of each other."""
    goals = task.goals(outputs.shape[1])
    answers = task.predictions(outputs)
    assert task.probabilities(outputs).shape == (len(outputs), goals)
    assert bool((task.certainty(outputs) >= 0).all())
    for goal in range(goals):
        reached = task.reached(answers, goal)
        margin = task.margin(outputs, goal)
        assert bool(reached[margin > 1e-6].all())
        assert not bool(reached[margin < -1e-6].any())
        other = task.without(outputs, goal)
        assert not bool(task.reached(task.predictions(other), goal).any())
        assert bool(torch.isfinite(other).all())
    labels = answers[None].clone()
    towards = task.loss(outputs[None], labels, torch.tensor([False]))
    leaving = task.loss(outputs[None], labels, torch.tensor([True]))
    assert towards.shape == leaving.shape == labels.shape
    assert bool((towards >= 0).all())
    clear = task.certainty(outputs) > 1
    sure, own = 5 * outputs[clear][None], labels[:, clear]
    near, far = (task.loss(sure, own, torch.tensor([away])) for away in (False, True))
    assert bool((near < far).all())
    assert task.spread(2 * outputs) == pytest.approx(2 * task.spread(outputs), rel=1e-4)
    lead = task.drawn_lead(outputs, torch.Generator().manual_seed(0))
    assert bool((lead >= 0).all())


@pytest.mark.parametrize("name", ["single label", "toy steps", "guided"])
def test_every_task_agrees_with_itself(name: str, install: Install, package: Package) -> None:
    """That of docs/own-task.md as somebody would copy it, too."""
    package.has_example("own-task.md", "guided_task")
    install(steps="helpers.toy_task:STEPS", guided="guided_task:BINARY")
    task = task_named({"guided": "binary"}.get(name, name))
    width = {"guided": 1}.get(name, 5)
    outputs = 3 * torch.randn(200, width, generator=torch.Generator().manual_seed(1))
    if task is STEPS:  # Who is above a step is above all below.
        outputs = outputs.sort(1, descending=True).values
    require_consistent(task, task.require(outputs))


@pytest.mark.usefixtures("steps")
def test_several_goals_are_left_out_at_once() -> None:
    outputs = 3 * torch.randn(50, 5, generator=torch.Generator().manual_seed(2))
    for task in (STEPS, task_named("single label")):
        answers = task.predictions(task.without(outputs, 0, 2, 4))
        assert not {0, 2, 4} & set(answers.tolist())
