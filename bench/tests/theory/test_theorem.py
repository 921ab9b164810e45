"""The theorem, in closed form and by Monte Carlo; and the command."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats
from typer.testing import CliRunner

from undoor_bench.cli import app
from undoor_bench.theory.cases import random_model, random_models
from undoor_bench.theory.table import Curve, Trends, curves, trends
from undoor_bench.theory.theorem import (
    VARIANTS,
    GaussianModel,
    Variant,
    as_network,
    clean_accuracy,
    corrected_mean,
    final_deviation,
    sampled_sia,
    sia,
    statistics_at,
    trend,
)

CORRECTED, BY_VARIANCE, PRINTED, PRINTED_BY_VARIANCE = VARIANTS
every = pytest.mark.parametrize("variant", VARIANTS, ids=[variant.name for variant in VARIANTS])
GRID = np.linspace(0, 1, 101)
TINY = 1e-6
some = st.floats(-3, 3)
spread = st.floats(0.2, 5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@st.composite
def models(draw: st.DrawFn) -> GaussianModel:
    weight, mu, epsilon = (
        torch.tensor(draw(st.lists(some, min_size=3, max_size=3)), dtype=torch.float64)
        for _ in range(3)
    )
    assume(float(weight.norm()) > 0.1)
    return GaussianModel(
        weight, mu, epsilon, draw(spread), draw(spread), draw(some), draw(spread), draw(some)
    )


def unit(**changes: float) -> GaussianModel:
    """One input, whose activation is itself."""
    one = torch.ones(1, dtype=torch.float64)
    numbers = {"mu": 1.0, "epsilon": 3.0, "sigma": 1.0, "sigma_b": 2.0, "mean": 0.0}
    numbers |= {"deviation": 1.0, "cut": 0.0} | changes
    mu, epsilon = numbers.pop("mu") * one, numbers.pop("epsilon") * one
    return GaussianModel(one, mu, epsilon, **numbers)


def curve(model: GaussianModel, variant: Variant) -> np.ndarray:
    return np.array([sia(model, variant, float(alpha)) for alpha in GRID])


@given(models())
def test_sia_rises_with_alpha_where_the_trigger_works(model: GaussianModel) -> None:
    """The theorem, for the corrected v*."""
    values = curve(model, CORRECTED)
    better = clean_accuracy(model) - values[0]
    steps = np.diff(values) * np.sign(better)
    assert bool((steps >= -1e-12).all())
    assert (trend(model, CORRECTED) == "rises") or better < 1e-9


@given(models(), st.sampled_from([CORRECTED, BY_VARIANCE]))
def test_the_corrected_end_restores_the_source_class(
    model: GaussianModel, variant: Variant
) -> None:
    assert sia(model, variant, 1) == pytest.approx(clean_accuracy(model), abs=1e-9)


@given(models(), st.sampled_from(VARIANTS), st.floats(0, 1))
def test_the_closed_form_is_the_integral(
    model: GaussianModel, variant: Variant, alpha: float
) -> None:
    """Of the density of triggered activations over all that the unit answers "source"."""
    mean, deviation = statistics_at(model, variant, alpha)
    centre = float(model.weight @ (model.epsilon - model.mu))
    wide = model.sigma_b * float(model.weight.norm())
    edge = mean + model.cut * deviation
    low = centre - 12 * wide
    upper = min(max(edge, low), centre + 12 * wide)
    area, _ = integrate.quad(stats.norm(centre, wide).pdf, low, upper, epsabs=1e-10, limit=200)
    assert sia(model, variant, alpha) == pytest.approx(area, abs=1e-7)


@every
def test_monte_carlo_agrees(variant: Variant) -> None:
    """Through a network: of 100 intervals of 95 %, 87 or fewer hold the truth in 1 of 1,000."""
    generator = seeded(1)
    inside = 0
    for case in range(25):
        model = random_model(seeded(case))
        for alpha in (0.0, 0.3, 0.7, 1.0):
            low, high = sampled_sia(model, variant, alpha, 2000, generator).interval
            inside += low <= sia(model, variant, alpha) <= high
    assert inside >= 88


def test_corrected_triggered_activations_are_the_clean_ones() -> None:
    """Not only as many on one side of the cut: the same distribution behind the batch norm."""
    model = random_model(seeded(3))
    noise = torch.randn(500, 8, dtype=torch.float64, generator=seeded())
    clean = -model.mu + model.sigma * noise
    triggered = -model.mu + model.epsilon + model.sigma_b * noise
    backdoored = as_network(model, model.mean, model.deviation)[:2]
    corrected = as_network(model, *statistics_at(model, CORRECTED, 1))[:2]
    assert torch.allclose(corrected(triggered), backdoored(clean))
    printed = as_network(model, *statistics_at(model, PRINTED, 1))[:2]
    assert not torch.allclose(printed(triggered), backdoored(clean), atol=0.1)


def test_clean_accuracy_is_that_of_the_network() -> None:
    model = random_model(seeded(4))
    noise = torch.randn(20_000, 8, dtype=torch.float64, generator=seeded())
    answers = as_network(model, model.mean, model.deviation)(model.sigma * noise - model.mu)
    right = float((answers.argmax(1) == 0).double().mean())
    assert right == pytest.approx(clean_accuracy(model), abs=0.015)


@given(models(), st.sampled_from(VARIANTS))
def test_the_trend_is_that_of_the_curve(model: GaussianModel, variant: Variant) -> None:
    """What is told from slopes at the ends is seen in all points between."""
    steps = np.diff(curve(model, variant))
    said = trend(model, variant)
    if said != "turns":
        assert bool((steps >= -1e-12).all()) or said in ("falls", "level")
        assert bool((steps <= 1e-12).all()) or said in ("rises", "level")
    else:
        # It may turn between the last two points of the grid.
        alphas = (GRID[0], GRID[0] + TINY, *GRID[1:-1], GRID[-1] - TINY, GRID[-1])
        reach = [m + model.cut * d for m, d in (statistics_at(model, variant, a) for a in alphas)]
        assert max(np.diff(reach)) > -1e-13
        assert min(np.diff(reach)) < 1e-13


def test_the_square_by_hand() -> None:
    model = unit(mean=0.5, deviation=3.0)
    assert corrected_mean(model) == 2 * 0.5 + 1 * 1 + 3
    assert final_deviation(model, CORRECTED) == 6
    assert final_deviation(model, PRINTED) == pytest.approx(3 * 2**0.5)
    assert statistics_at(model, CORRECTED, 0.5) == (2.75, 4.5)
    assert statistics_at(model, BY_VARIANCE, 0.5)[1] == pytest.approx((22.5) ** 0.5)


def test_counter_examples() -> None:
    """Monotone it is on one way only, and with the printed v* it can end below where it began."""
    wide = unit(sigma_b=3.0, epsilon=3.0, cut=-2.0)
    assert trend(wide, CORRECTED) == "rises"
    assert trend(wide, BY_VARIANCE) == "turns"
    assert curve(wide, BY_VARIANCE)[1] < curve(wide, BY_VARIANCE)[0]
    falling = unit(sigma_b=4.0, epsilon=2.0, mean=-3.0, cut=2.0)
    assert trend(falling, CORRECTED) == "rises"
    assert trend(falling, PRINTED) == "falls"
    assert sia(falling, PRINTED, 1) < sia(falling, PRINTED, 0) < clean_accuracy(falling)


def test_with_equal_spreads_the_square_does_not_matter() -> None:
    model = replace(unit(), sigma_b=1.0, cut=1.5)
    assert np.array_equal(curve(model, CORRECTED), curve(model, PRINTED))
    assert trend(replace(model, epsilon=torch.zeros(1).double()), CORRECTED) == "level"


def test_command(tmp_path: Path) -> None:
    arguments = ["theory", "--out", str(tmp_path / "a"), "--samples", "300"]
    arguments += ["--models", "50"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["schema"], document["seed"], document["samples"]) == (
        "undoor/bench-theory/1",
        0,
        300,
    )
    assert len(document["curves"]) == 16
    assert document["random"][0] == {
        "variant": "corrected v*, √v linear",
        "models": 50,
        "rises": 50,
        "falls": 0,
        "turns": 0,
        "restored": 50,
    }
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["theory.csv", "theory.md", "theory.svg"]
    lines = list(csv.DictReader((tmp_path / "a" / "theory.csv").read_text().splitlines()))
    assert len(lines) == 16 * 11
    assert all(
        float(line["low"]) <= int(line["hits"]) / 300 <= float(line["high"]) for line in lines
    )
    assert "| twice as wide | printed v*, √v linear |" in (tmp_path / "a" / "theory.md").read_text()
    ElementTree.parse(tmp_path / "a" / "theory.svg")


def test_the_same_seed_draws_the_same() -> None:
    def drawn(seed: int) -> tuple[list[Curve], list[Trends]]:
        generator = seeded(seed)
        rows = trends(random_models(20, generator))
        two = {"one": unit(), "other": unit(sigma_b=0.5)}
        return curves(two, samples=200, generator=generator), rows

    once = drawn(0)
    assert once == drawn(0)
    assert once[0] != drawn(1)[0]


@pytest.mark.parametrize("option", ["--samples", "--models"])
def test_nothing_to_count(tmp_path: Path, option: str) -> None:
    result = CliRunner().invoke(app, ["theory", "--out", str(tmp_path), option, "0"])
    assert result.exit_code in (3, 4)
    assert not list(tmp_path.iterdir())
