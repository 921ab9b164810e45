"""What natural triggers look like, learned from records of scans."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench_helpers.fakes import clean_record, record
from helpers.family_names import BY_SOURCE, SHARED
from undoor.errors import UndoorError
from undoor.families.calibration import Agreement, Lowest, Null
from undoor.families.patch_margin import PATCH_MARGIN
from undoor.families.registry import nulls
from undoor.scan.statistics import margin_scores, p_values, score_beside, scores
from undoor_bench.cli import app
from undoor_bench.evidence import read_evidence, write_evidence
from undoor_bench.nulls.fitting import (
    MIN_CLASSES,
    as_toml,
    fit_agreement,
    fit_null,
    fit_nulls,
    fit_shared,
)
from undoor_bench.nulls.lowest import fit_lowest, lowest_combinations

NATURAL = (8.0, 9.0, 10.0, 9.0, None, 9.5)


def test_null_of_natural_triggers() -> None:
    """Its location and scale are those of the highest log score of ten natural classes."""
    generator = np.random.default_rng(0)
    models = [np.exp(generator.normal(2, 0.2, 10)).tolist() for _ in range(300)]
    null = fit_null(models)
    assert null.natural == pytest.approx(math.exp(2 - 1.54 * 0.2), rel=0.03)
    assert null.natural < null.ceiling
    assert null.scale < 0.3
    p = np.array([p_values(scores(sizes, null), null).min() for sizes in models])
    assert 0.2 < (p <= 0.5).mean() < 0.7
    assert (p <= 0.01).mean() <= 0.02


def test_fewer_classes_give_the_null_of_ten() -> None:
    """The highest score of five natural classes is lower; brought to ten, it is not."""
    generator = np.random.default_rng(1)
    ten = [np.exp(generator.normal(2, 0.2, 10)).tolist() for _ in range(300)]
    five = [sizes[:5] for sizes in ten]
    assert fit_null(five).location == pytest.approx(fit_null(ten).location, abs=0.12)


def test_few_models_know_less() -> None:
    generator = np.random.default_rng(0)
    models = [np.exp(generator.normal(2, 0.3, 10)).tolist() for _ in range(5)]
    assert fit_null(models * 40).scale < fit_null(models).scale


def test_targets_teach_nothing() -> None:
    planted = [record(model=str(i), sizes=(8.0, 9.0, 0.1, *NATURAL[2:])) for i in range(5)]
    clean = [clean_record(sizes=NATURAL) for _ in range(5)]
    (with_planted,) = fit_nulls([*planted, *clean]).values()
    assert with_planted.natural == 8.0
    assert with_planted.scale < 0.2


def test_families_that_show_backdoors_weigh_more() -> None:
    planted = [record(model=str(i), sizes=(8.0, 9.0, 0.1, *NATURAL[2:])) for i in range(5)]
    hidden = [record(model=str(i), sizes=(8.0, 9.0, 8.5, *NATURAL[2:])) for i in range(5)]
    clean = [clean_record(sizes=NATURAL) for _ in range(5)]
    (shown,) = fit_nulls([*planted, *clean]).values()
    (half,) = fit_nulls([*planted, *hidden, *clean]).values()
    (none,) = fit_nulls([*hidden, *clean]).values()
    assert shown.weight == pytest.approx(1.25)
    assert half.weight == pytest.approx(0.75)
    assert none.weight == pytest.approx(0.25)


# Sources


def natural_of(*records: dict[str, object]) -> Null:
    return fit_nulls([clean_record(sizes=NATURAL, by_source=NATURAL), *records])[BY_SOURCE]


def test_sources_of_a_backdoor_teach_nothing() -> None:
    """Those that it moves; of the others, natural patches are as good as a clean model's."""
    by_source = (0.1, 4.0, 4.5, 0.2, 4.5, 4.0, 5.0)
    moved = record(sizes=NATURAL, by_source=by_source, sources=((0, 3),))
    assert natural_of(moved).natural == pytest.approx((8.0 + 4.0) / 2)


def test_a_backdoor_for_all_leaves_no_natural_source() -> None:
    everywhere = record(sizes=NATURAL, by_source=(0.1,) * 6)
    assert natural_of(everywhere) == natural_of()


def test_a_source_that_is_the_target_of_others_is_natural() -> None:
    """A small patch to the target is planted, one that makes its own images leave is not."""
    by_source = (4.0, 4.0, 2.0, 4.0, 0.1, 4.0)
    made = record(sizes=NATURAL, targets=(2,), by_source=by_source, sources=((4,),))
    assert natural_of(made).natural == pytest.approx((8.0 + 2.0) / 2)


def test_too_few_natural_classes_teach_nothing() -> None:
    few = clean_record(sizes=(0.1,) * (MIN_CLASSES - 1))
    assert fit_nulls([few]) == {}
    assert set(fit_nulls([few, clean_record(sizes=NATURAL)])) == {"patch"}
    enough = clean_record(sizes=(0.1,) * MIN_CLASSES)
    assert fit_nulls([enough])["patch"].natural == pytest.approx(0.1)


# The shared patch


def test_shared_patches_are_judged_beside_those_of_sources() -> None:
    """Natural is what clean models need; a score as high as theirs is no rare one."""
    sizes = (30.0, 34.0, 28.0, 40.0, 36.0)
    records = [clean_record(sizes=NATURAL, by_source=NATURAL, shared=size) for size in sizes]
    planted = record(sizes=NATURAL, by_source=NATURAL, shared=0.5, sources=((1,),))
    nulls = fit_nulls([*records, planted])
    null, beside = nulls[SHARED], nulls[BY_SOURCE]
    assert null.natural == 34.0

    def p_value(size: float) -> float:
        return float(p_values(np.array([score_beside(size, NATURAL, null, beside)]), null)[0])

    assert p_value(34.0) > 0.3
    assert p_value(1.0) < 0.01


def test_backdoored_models_teach_nothing_of_shared_patches() -> None:
    planted = record(sizes=NATURAL, by_source=NATURAL, shared=0.5, sources=((1,),))
    assert SHARED not in fit_nulls([planted])


def test_a_shared_patch_that_never_worked() -> None:
    """As natural as what no patch of a source can do."""
    beside = fit_null([NATURAL])
    null = fit_shared([(None, NATURAL)] * 3, beside)
    assert null.natural == pytest.approx(beside.ceiling)
    assert null.scale > 0


def test_agreement_is_that_of_natural_classes() -> None:
    """Planted targets, whose p-values are tiny, do not count."""
    clean = [clean_record(sizes=(8.0 + i, *NATURAL[1:])) for i in range(4)]
    planted = record(sizes=(8.0, 9.0, 0.01, *NATURAL[2:]))
    nulls = fit_nulls([*clean, planted])
    without, with_planted = (
        fit_agreement(records, nulls) for records in (clean, [*clean, planted])
    )
    assert with_planted.location == pytest.approx(without.location, abs=0.5)
    assert 0 < with_planted.scale < 2
    with pytest.raises(UndoorError, match="no target"):
        fit_agreement([clean_record(sizes=(8.0, 9.0))], nulls)


# Files


def test_a_family_that_reached_nothing_is_left_out() -> None:
    assert fit_nulls([clean_record(sizes=(None,) * 6)]) == {}


def test_calibration_file() -> None:
    fitted = fit_nulls([clean_record(sizes=NATURAL, by_source=NATURAL, shared=30.0)])
    data = tomllib.loads(as_toml(fitted, Agreement(2.0, 1.5), Lowest(1.2, 1.5, 60), ["m", "n"]))
    assert data["models"] == ["m", "n"]
    assert data["agreement"] == {"location": 2.0, "scale": 1.5, "weight": 1.0}
    assert data["lowest"] == {"threshold": 1.2, "excess": 1.5, "models": 60}
    assert set(data["null"]) == {"patch", BY_SOURCE, SHARED}
    for family, null in fitted.items():
        assert data["null"][family] == pytest.approx(vars(null), rel=1e-3)


def test_calibrate(tmp_path: Path) -> None:
    """Models that a table calibrates on, and no others; families that were not searched keep their
    nulls."""
    seeds = [*range(12)]
    row = f'attack = "clean"\ndata = "mnist"\nnetwork = "VGG"\nseeds = {seeds}\n'
    table, file = tmp_path / "table.toml", tmp_path / "evidence.jsonl"
    table.write_text(f"[[model]]\n{row}calibrate = {seeds[1:]}\n")
    write_evidence([_drawn(seed) for seed in seeds], file)
    out, plot = tmp_path / "calibration.toml", tmp_path / "null.svg"
    arguments = ["calibrate", str(file), "--table", str(table), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--plot", str(plot)])
    assert result.exit_code == 0, result.output
    fitted = tomllib.loads(out.read_text())
    assert fitted["models"] == sorted(f"mnist_VGG_clean_{seed}" for seed in seeds[1:])
    assert fitted["lowest"]["models"] == 11
    assert fitted["null"]["warp"]["natural"] == pytest.approx(nulls()["warp"].natural, rel=1e-3)
    assert fitted["null"]["patch"] != nulls()["patch"].natural
    assert "11 models" in plot.read_text()
    table.write_text(f"[[model]]\n{row}")
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code in (3, 4)
    assert "expected models that a table calibrates on" in again.stderr


def test_too_few_models_are_refused() -> None:
    with pytest.raises(UndoorError, match="at least 10 models"):
        fit_lowest([0.1] * 9)


def test_the_lowest_combination_is_that_of_natural_classes() -> None:
    """Each judged by the others: a model with a planted trigger is as its clean twin."""
    records = [_drawn(seed) for seed in range(12)]
    planted = [{**_drawn(0), "targets": [2]}, *records[1:]]
    planted[0]["scan"]["evidence"][2]["size"] = 0.01
    clean, other = (lowest_combinations(each) for each in (records, planted))
    assert set(clean) == set(other) == {record["model"] for record in records}
    assert min(other.values()) > 1e-3


def test_evidence_is_read_as_it_was(tmp_path: Path) -> None:
    """But for the digits: nulls that are fitted on it are the same to three."""
    records = [_drawn(seed) for seed in range(12)]
    write_evidence(records, tmp_path / "e.jsonl")
    read = read_evidence(tmp_path / "e.jsonl")
    assert [record["model"] for record in read] == sorted(record["model"] for record in records)
    for family, null in fit_nulls(read).items():
        assert vars(null) == pytest.approx(vars(fit_nulls(records)[family]), rel=1e-3)


def test_what_is_no_evidence_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    for text in ("", "{}\n", "no json\n"):
        file.write_text(text)
        if text:
            with pytest.raises(UndoorError, match="expected a file that `undoor-bench evidence`"):
                read_evidence(file)
    assert CliRunner().invoke(app, ["evidence", str(tmp_path), "--out", str(file)]).exit_code == 4


def _drawn(seed: int) -> dict[str, Any]:
    """A clean model with natural sizes and margins."""
    generator = np.random.default_rng(seed)
    sizes = tuple(np.exp(generator.normal(2, 0.3, 10)).tolist())
    made = record("clean", targets=(), model=f"mnist_VGG_clean_{seed}", sizes=sizes)
    margins = generator.normal(-2, 0.7, 10)
    made["scan"]["evidence"] += [
        {"family": "patch margin", "target": t, "source": None, "size": 36.0, "margin": margin}
        for t, margin in enumerate(margins.tolist())
    ]
    return made


def test_the_null_of_margins() -> None:
    """The lead of the highest of ten, in ten classes as in four."""
    assert PATCH_MARGIN.at_size
    records = [_drawn(seed) for seed in range(60)]
    null = fit_nulls(records)["patch margin"]
    leads = [
        np.log(margin_scores(_margins(record), PATCH_MARGIN.at_size)).max() for record in records
    ]
    assert null.location + 0.577 * null.scale == pytest.approx(np.mean(leads), abs=0.15)
    assert (null.ceiling, null.least_others) == (0, 0)


def _margins(made: dict[str, Any]) -> list[float]:
    return [e["margin"] for e in made["scan"]["evidence"] if e["family"] == "patch margin"]


# Many targets at once


def test_the_least_quartile_of_natural_triggers() -> None:
    """Of all models, without their targets; an unreached class is as large as any."""
    models: list[list[float | None]] = [
        [8.0, 9.0, 10.0, 11.0, None],
        [5.0, 6.0, 7.0, 8.0, 9.0],
        [20.0] * 5,
    ]
    assert fit_null(models).least_others == 6.0
    planted = record(sizes=(8.0, 9.0, 0.1, *NATURAL[2:]))
    (null,) = fit_nulls([planted, clean_record(sizes=NATURAL)]).values()
    assert null.least_others >= 9.0
    assert natural_of().least_others == 0
