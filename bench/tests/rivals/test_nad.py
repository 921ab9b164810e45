"""Attention distillation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench_helpers.rival_work import CLEAN, NOTHING, acc, asr, backdoored, seeded
from helpers.tiny import random_classifier
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.networks import NETWORKS
from undoor_bench.rivals.common import Descent
from undoor_bench.rivals.fine_tuning import fine_tuning
from undoor_bench.rivals.nad import NAD, attention, attention_layers, distance, nad
from undoor_bench.watch import watched

FAR, NEAR = Descent(steps=60, rate=0.1), Descent(steps=60, rate=0.02)


def test_attention_sees_where_and_not_how_much() -> None:
    z = torch.randn(4, 3, 5, 5, generator=seeded())
    seen = attention(z)
    assert seen.shape == (4, 25)
    assert torch.allclose(seen.norm(dim=1), torch.ones(4))
    assert torch.allclose(attention(7 * z), seen, atol=1e-6)
    assert torch.allclose(attention(z.flip(1)), seen, atol=1e-6)
    assert not torch.allclose(attention(z.flip(2)), seen, atol=1e-2)


def test_small_maps_weigh_no_more_than_those_of_64_positions() -> None:
    one, other = torch.zeros(2, 3, 1, 12, 12)
    one[:, :, :, 0], other[:, :, 0] = 1, 1
    # A row and a column of as many positions: the same distance however far the zeros reach.
    for side, wanted in ((12, 144), (8, 64), (4, 64), (2, 64)):
        a, b = one[..., :side, :side], other[..., :side, :side]
        squares = (attention(a) - attention(b)).square().sum(1).mean()
        assert float(distance(a, b)) == pytest.approx(float(squares) / wanted)


def test_groups_end_where_maps_shrink() -> None:
    classifier = Classifier(NETWORKS["ResNet9"](num_classes=3), input_shape=(3, 32, 32))
    ends = ("stage1.0", "stage2.0", "stage3.0", "residual2")
    assert attention_layers(classifier) == tuple(f"network.{end}" for end in ends)
    # Behind the activation, as in the paper.
    assert attention_layers(backdoored()) == ("network.2", "network.5")


def test_a_network_without_maps_has_no_attention() -> None:
    with pytest.raises(UndoorError, match=r"compares maps.*use fine_tuning"):
        attention_layers(random_classifier("mlp"))


def test_the_student_looks_where_the_teacher_looks() -> None:
    """Attention moves to the teacher's; without betas the student is a fine-tuned copy."""
    classifier = backdoored()
    generator = seeded()
    teacher = fine_tuning(classifier, CLEAN, NOTHING, generator, settings=FAR)
    near, far = (
        nad(classifier, CLEAN, NOTHING, seeded(), settings=NAD(beta, beta, FAR, NEAR))
        for beta in (1000.0, 0.0)
    )
    assert _distance(near, teacher) < 0.3 * _distance(far, teacher)
    plain = fine_tuning(classifier, CLEAN, NOTHING, generator, settings=NEAR)
    assert torch.allclose(plain(CLEAN.images), far(CLEAN.images), atol=1e-3)


def test_erases_the_backdoor() -> None:
    out = nad(backdoored(), CLEAN, NOTHING, seeded())
    assert asr(out) < 0.6
    assert acc(out) > 0.95


def test_a_network_without_batch_norms_gets_a_rate_it_bears() -> None:
    with_norms, without = (NAD.for_network(backdoored(norm)) for norm in (True, False))
    assert with_norms == NAD()
    assert without.student.rate == without.teacher.rate == 0.01
    fewer = replace(without.student, steps=100)
    settings = replace(without, teacher=fewer, student=fewer)
    out = nad(backdoored(norm=False), CLEAN, NOTHING, seeded(), settings=settings)
    assert acc(out) > 0.95


@torch.no_grad()
def _distance(one: Classifier, other: Classifier) -> float:
    names = attention_layers(one)
    with watched(one, names) as a, watched(other, names) as b:
        one(CLEAN.images)
        other(CLEAN.images)
    return sum(float((attention(a[n]) - attention(b[n])).square().sum()) for n in names)
