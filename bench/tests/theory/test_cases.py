"""The models on which the theorem is shown."""

from __future__ import annotations

import pytest
import torch

from undoor_bench.theory.cases import POISON, named_models, random_models, trained_model
from undoor_bench.theory.theorem import VARIANTS, clean_accuracy, sia, trend


@pytest.mark.parametrize(("ratio", "target"), [(1.0, 0.1), (2.0, 0.1), (0.5, 0.3), (6.0, 0.9)])
def test_statistics_are_those_of_the_poisoned_training_set(ratio: float, target: float) -> None:
    model = trained_model(ratio, target)
    n = 200_000
    counts = [round(share * n) for share in (1 - target - POISON, target, POISON)]
    centres = (-model.mu, model.mu, model.epsilon - model.mu)
    generator = torch.Generator().manual_seed(0)
    parts = [
        centre + wide * torch.randn(count, 16, dtype=torch.float64, generator=generator)
        for centre, wide, count in zip(centres, (1.0, 1.0, ratio), counts, strict=True)
    ]
    z = torch.cat(parts) @ model.weight
    assert model.mean == pytest.approx(float(z.mean()), abs=0.03)
    assert model.deviation == pytest.approx(float(z.std()), rel=0.02)


def test_the_cut_makes_the_fewest_errors_on_clean_inputs() -> None:
    """Where both classes' densities, weighted by how frequent they are, are equal."""
    model = trained_model(2.0, 0.1)
    edge = model.mean + model.cut * model.deviation
    density = torch.distributions.Normal(torch.tensor([-model.gap, model.gap]), 1.0)
    source, target = density.log_prob(torch.tensor(edge)).exp().tolist()
    assert 0.9 * source == pytest.approx(0.1 * target, rel=1e-4)


def test_every_named_model_has_a_backdoor() -> None:
    models = named_models()
    for model in models.values():
        assert sia(model, VARIANTS[0], 0) < 0.25
        assert clean_accuracy(model) > 0.8
    assert [trend(models["6 times as wide, source rare"], v) for v in VARIANTS] == [
        "rises",
        "turns",
        "rises",
        "rises",
    ]


def test_triggers_of_random_models_work() -> None:
    models = random_models(100, torch.Generator().manual_seed(0))
    assert len(models) == 100
    assert all(sia(model, VARIANTS[0], 0) < clean_accuracy(model) for model in models)
    ratios = torch.tensor([model.ratio for model in models])
    assert 0.3 < float((ratios > 1).float().mean()) < 0.7
    assert bool((ratios.log().abs() <= 2 * torch.tensor(3.0).log() + 1e-6).all())
