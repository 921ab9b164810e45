"""The order of hundreds of classes, by statistics that do not look at each of them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from helpers.scan_work import work_on
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.families.registry import families_for
from undoor.inversion import ranking
from undoor.inversion.goals import FRONT, MAX_TRIED, RANKED_CONTROL, Goals
from undoor.inversion.ranking import front, passes_of_ranking, ranked_first
from undoor.inversion.smaller import first_look_of
from undoor.inversion.work import Work

SIDE = 16
CLASSES = MAX_TRIED + 50
PLANTED = 137


def many_classes(*, planted: bool) -> Classifier:
    """A class for each of many random patterns; a bright corner leads to one of them."""
    generator = torch.Generator().manual_seed(3)
    patterns = torch.randn(CLASSES, 3, SIDE, SIDE, generator=generator)
    patterns[:, :, :4, :4] = 0
    head = nn.Linear(3 * SIDE**2, CLASSES)
    with torch.no_grad():
        head.weight.copy_(patterns.flatten(1))
        if planted:
            corner = torch.zeros(3, SIDE, SIDE)
            corner[:, :3, :3] = 12.0
            head.weight[PLANTED] += corner.flatten()
        head.bias.copy_(-0.5 * head.weight.sum(1))
    return Classifier(
        nn.Sequential(nn.Flatten(), head), input_shape=(3, SIDE, SIDE), bounds=(0.0, 1.0)
    )


def work_of(classifier: Classifier, seed: int = 0) -> Work:
    head = classifier.network[1]  # type: ignore[index]
    weight = head.weight.detach().view(CLASSES, 3, SIDE, SIDE)
    labels = torch.arange(0, CLASSES, 10).repeat_interleave(3)
    noise = 0.02 * torch.randn(
        len(labels), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)
    )
    images = (0.5 + 0.1 * weight[labels].clamp(-2, 2) + noise).clamp(0.1, 0.9)
    images[:, :, :4, :4] = 0.3
    return work_on(classifier, CleanSet(images, labels), seed=seed)


def test_a_planted_target_is_at_the_front() -> None:
    found = front(work_of(many_classes(planted=True)))
    assert len(found) == FRONT
    assert PLANTED in found
    assert PLANTED not in front(work_of(many_classes(planted=False)))


def test_front_and_control_are_searched() -> None:
    work = work_of(many_classes(planted=True))
    before = work.run.meter.passes
    look = ranked_first(first_look_of(work))
    goals = look.work.goals
    assert goals is not None
    assert goals.ranked
    assert look.full.goals == goals
    assert len(goals.control) == RANKED_CONTROL
    assert PLANTED in goals.asked
    assert not set(goals.asked) & set(goals.control)
    families = [n for n in families_for(work.classifier) if ranking._searched_by_gradients(n)]
    spent = work.run.meter.passes - before
    forward_alone = len(families) * len(work.images.estimate) / 2
    assert spent == passes_of_ranking(len(families)) + forward_alone


def test_asked_for_classes_are_not_ranked() -> None:
    work = replace(work_of(many_classes(planted=True)), goals=Goals((3,), (4,)))
    look = first_look_of(work)
    assert ranked_first(look) is look
