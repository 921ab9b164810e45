"""What `undoor-bench theory` measures, and its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import torch

from undoor.progress import Progress, silent
from undoor_bench import tables
from undoor_bench.share import Share
from undoor_bench.theory.theorem import (
    VARIANTS,
    GaussianModel,
    Trend,
    Variant,
    clean_accuracy,
    sampled_sia,
    sia,
    trend,
)

# Eleven steps from the backdoored statistics to the corrected ones.
ALPHAS = tuple(step / 10 for step in range(11))


@dataclass(frozen=True)
class Point:
    """SIA at one alpha: in closed form, and by Monte Carlo with its interval of 95 %."""

    alpha: float
    exact: float
    hits: int
    samples: int
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        """Whether the closed form lies in the interval."""
        return self.low <= self.exact <= self.high

    @property
    def rate(self) -> float:
        """The measured rate, in [0, 1]."""
        return self.hits / self.samples


@dataclass(frozen=True)
class Curve:
    """SIA against alpha, in one model and variant.

    Attributes
    ----------
    points
        At each of `ALPHAS`.
    clean
        Accuracy of the source class without the trigger, which a perfect correction reaches.
    """

    model: str
    variant: Variant
    points: tuple[Point, ...]
    clean: float
    trend: Trend

    @property
    def agreeing(self) -> Share:
        """How many of the points agree with the closed form."""
        return Share(sum(point.agrees for point in self.points), len(self.points))

    def to_json(self) -> dict[str, Any]:
        """Return the curve as it stands in the JSON document."""
        return {
            "model": self.model,
            "variant": self.variant.name,
            "trend": self.trend,
            "clean": self.clean,
            "points": [asdict(point) for point in self.points],
        }


@dataclass(frozen=True)
class Trends:
    """How often a variant's SIA only rises, only falls or turns, of models drawn at random.

    Attributes
    ----------
    restored
        It ends within a point of the source class's clean accuracy.
    """

    variant: Variant
    rises: Share
    falls: Share
    turns: Share
    restored: Share

    def to_json(self) -> dict[str, Any]:
        """Return the counts of trends as they stand in the JSON document."""
        shares = {"rises": self.rises, "falls": self.falls, "turns": self.turns}
        counts = {
            name: share.hits for name, share in (shares | {"restored": self.restored}).items()
        }
        return {"variant": self.variant.name, "models": self.rises.n, **counts}


def curves(
    models: Mapping[str, GaussianModel],
    *,
    samples: int,
    generator: torch.Generator,
    progress: Progress = silent,
) -> list[Curve]:
    """Return every model in every variant, model by model; each point with inputs of its own."""
    found: list[Curve] = []
    total = len(models) * len(VARIANTS)
    for name, variant in product(models, VARIANTS):
        progress("curves", len(found), total)
        model = models[name]
        points = tuple(_point(model, variant, alpha, samples, generator) for alpha in ALPHAS)
        found.append(Curve(name, variant, points, clean_accuracy(model), trend(model, variant)))
    progress("curves", total, total)
    return found


def _point(
    model: GaussianModel,
    variant: Variant,
    alpha: float,
    samples: int,
    generator: torch.Generator,
) -> Point:
    share = sampled_sia(model, variant, alpha, samples, generator)
    return Point(alpha, sia(model, variant, alpha), share.hits, samples, *share.interval)


def trends(models: Sequence[GaussianModel]) -> list[Trends]:
    """Return one row per variant."""
    rows = []
    for variant in VARIANTS:
        found = [trend(model, variant) for model in models]
        rises, falls, turns = (
            Share(found.count(name), len(found)) for name in ("rises", "falls", "turns")
        )
        near = [abs(sia(model, variant, 1) - clean_accuracy(model)) < 0.01 for model in models]
        rows.append(Trends(variant, rises, falls, turns, Share(sum(near), len(near))))
    return rows


HEADER = (
    "triggered inputs",
    "statistics move to",
    "SIA before",
    "SIA after",
    "clean accuracy",
    "SIA",
    "Monte Carlo agrees",
)
RANDOM_HEADER = ("statistics move to", "SIA only rises", "only falls", "turns", "ends restored")


def cells(curve: Curve) -> list[str]:
    """Return the cells of a curve in the table."""
    ends = (curve.points[0].exact, curve.points[-1].exact, curve.clean)
    rates = [f"{100 * rate:.1f} %" for rate in ends]
    return [curve.model, curve.variant.name, *rates, curve.trend, curve.agreeing.text()]


def random_cells(row: Trends) -> list[str]:
    """Return the cells of a row in the table of random models."""
    shares = (row.rises, row.falls, row.turns, row.restored)
    return [row.variant.name, *(share.text() for share in shares)]


def markdown(found: Sequence[Curve], rows: Sequence[Trends]) -> str:
    """Return both tables as Markdown, with their results."""
    models = rows[0].rises.n if rows else 0
    agreeing = [curve.agreeing for curve in found]
    points = Share(sum(share.hits for share in agreeing), sum(share.n for share in agreeing))
    return (
        f"{tables.markdown(HEADER, map(cells, found))}\n"
        f"Points whose closed form lies in the interval of 95 % of the Monte Carlo estimate: "
        f"{points.text()}.\n\n"
        f"Of {models:,} models drawn at random in which the trigger lowers the accuracy of the "
        f"source class (restored: to within a point of it):\n\n"
        f"{tables.markdown(RANDOM_HEADER, map(random_cells, rows))}"
    )


def lines(found: Sequence[Curve]) -> list[dict[str, object]]:
    """Return one line per point for programs."""
    return [
        {
            "model": curve.model,
            "v_star": "printed" if curve.variant.printed else "corrected",
            "along": curve.variant.along,
            "trend": curve.trend,
            "clean": f"{curve.clean:.6f}",
            **{
                key: f"{value:.6f}" if key in ("exact", "low", "high") else value
                for key, value in asdict(point).items()
            },
        }
        for curve in found
        for point in curve.points
    ]
