"""Tables of the theorem."""

from __future__ import annotations

import pytest
import torch

from undoor_bench.share import Share
from undoor_bench.theory.cases import random_models
from undoor_bench.theory.table import (
    ALPHAS,
    Curve,
    Point,
    Trends,
    cells,
    lines,
    markdown,
    random_cells,
    trends,
)
from undoor_bench.theory.theorem import VARIANTS, Variant


def made(*exact: float) -> Curve:
    """Ten of twenty hits everywhere: an interval of 0.27 to 0.73."""
    low, high = Share(10, 20).interval
    points = tuple(
        Point(alpha, value, 10, 20, low, high) for alpha, value in zip(ALPHAS, exact, strict=False)
    )
    return Curve("wide", Variant(True, "variance"), points, 0.9, "turns")


def test_points_agree_within_the_interval() -> None:
    curve = made(0.1, 0.3, 0.5, 0.7, 0.8)
    assert curve.agreeing == Share(3, 5)
    assert cells(curve) == [
        "wide",
        "printed v*, v linear",
        "10.0 %",
        "80.0 %",
        "90.0 %",
        "turns",
        "3/5 (15 to 95 %)",
    ]


def test_a_line_a_point() -> None:
    first, second = lines([made(0.1, 0.3)])
    assert first["alpha"] == 0.0
    assert (second["v_star"], second["along"], second["exact"], second["hits"]) == (
        "printed",
        "variance",
        "0.300000",
        10,
    )
    assert made(0.1, 0.3).to_json()["points"][1]["samples"] == 20


def test_trends_are_counted_variant_by_variant() -> None:
    rows = trends(random_models(300, torch.Generator().manual_seed(2)))
    assert [row.variant for row in rows] == list(VARIANTS)
    for row in rows:
        assert row.rises.hits + row.falls.hits + row.turns.hits == 300
    corrected, by_variance, printed, _ = rows
    assert (corrected.rises, corrected.restored) == (Share(300, 300), Share(300, 300))
    assert by_variance.restored == Share(300, 300)
    assert by_variance.turns.hits > 0
    assert by_variance.falls.hits == 0
    assert printed.turns.hits == 0
    assert printed.falls.hits > 0
    assert printed.restored.hits < 250


def test_markdown_counts_all_points() -> None:
    row = Trends(VARIANTS[0], *(Share(k, 4) for k in (4, 0, 0, 3)))
    text = markdown([made(0.1, 0.3), made(0.5, 0.5)], [row])
    assert "estimate: 3/4 (19 to 99 %)." in text
    assert "Of 4 models drawn at random" in text
    assert random_cells(row)[-1] == "3/4 (19 to 99 %)"
    assert text.count("| wide |") == 2


@pytest.mark.parametrize("end", [0, -1])
def test_alphas_reach_from_one_end_to_the_other(end: int) -> None:
    assert ALPHAS[end] == (0.0, 1.0)[end]
