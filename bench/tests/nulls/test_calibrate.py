"""The evidence of scans of a zoo in a file, and the calibrations that are made of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench_helpers.fakes import record
from undoor.calibrate.nulls import fit_nulls
from undoor.errors import UndoorError
from undoor.families.calibration import FEW, MANY, calibration_for
from undoor_bench.cli import app
from undoor_bench.evidence import read_evidence, write_evidence


def test_calibrate(tmp_path: Path) -> None:
    """Models that a table calibrates on, and no others, those of few classes apart; families that
    were not searched keep their nulls."""
    seeds = [*range(12)]
    row = f'attack = "clean"\ndata = "mnist"\nnetwork = "VGG"\nseeds = {seeds}\n'
    few = row.replace('"mnist"', '"mnist_classes_3_5_8"')
    table, file = tmp_path / "table.toml", tmp_path / "evidence.jsonl"
    half = f"calibrate = {seeds[1:]}\n"
    table.write_text(f"[[model]]\n{row}{half}[[model]]\n{few}{half}")
    of_few = [_drawn(seed, 3, "mnist_classes_3_5_8") for seed in seeds]
    write_evidence([*map(_drawn, seeds), *of_few], file)
    arguments = ["calibrate", str(file), "--table", str(table), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--plots", str(tmp_path / "plots")])
    assert result.exit_code == 0, result.output
    many, of_three = (tomllib.loads((tmp_path / "out" / name).read_text()) for name in (MANY, FEW))
    assert many["models"] == sorted(f"mnist_VGG_clean_{seed}" for seed in seeds[1:])
    assert many["lowest"]["models"] == of_three["lowest"]["models"] == 11
    known = calibration_for(10).nulls
    assert many["null"]["warp"]["natural"] == pytest.approx(known["warp"].natural, rel=1e-3)
    assert many["null"]["patch"]["natural"] != pytest.approx(known["patch"].natural, rel=1e-3)
    assert set(of_three["null"]) == {"patch", "patch margin"}
    assert of_three["null"]["patch"]["absolute"] is True
    for name in (MANY, FEW):
        assert "11 models" in (tmp_path / "plots" / name).with_suffix(".svg").read_text()
    table.write_text(f"[[model]]\n{row}")
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code in (3, 4)
    assert "expected models that a table calibrates on" in again.stderr


def test_evidence_is_read_as_it_was(tmp_path: Path) -> None:
    """But for the digits."""
    records = [_drawn(seed) for seed in range(12)]
    write_evidence(records, tmp_path / "e.jsonl")
    read = read_evidence(tmp_path / "e.jsonl")
    assert [each.name for each in read] == sorted(record["model"] for record in records)
    for each in read:
        made = next(record for record in records if record["model"] == each.name)
        for item, was in zip(each.evidence, made["scan"]["evidence"], strict=True):
            assert (item.family, item.target, item.source) == (
                was["family"],
                was["target"],
                was["source"],
            )
            assert item.size == pytest.approx(was["size"], rel=1e-3)
            if item.margin is not None:
                assert item.margin == pytest.approx(was["margin"], rel=1e-3)
    assert set(fit_nulls(read)) == {"patch", "patch margin"}


def test_what_is_no_evidence_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    for text in ("", "{}\n", "no json\n"):
        file.write_text(text)
        if text:
            with pytest.raises(UndoorError, match="expected a file that `undoor-bench evidence`"):
                read_evidence(file)
    assert CliRunner().invoke(app, ["evidence", str(tmp_path), "--out", str(file)]).exit_code == 4


def _drawn(seed: int, classes: int = 10, data: str = "mnist") -> dict[str, Any]:
    """A clean model with natural sizes and margins."""
    generator = np.random.default_rng(seed)
    sizes = tuple(np.exp(generator.normal(2, 0.3, classes)).tolist())
    made = record("clean", targets=(), model=f"{data}_VGG_clean_{seed}", sizes=sizes)
    margins = generator.normal(-2, 0.7, classes)
    made["scan"]["evidence"] += [
        {"family": "patch margin", "target": t, "source": None, "size": 36.0, "margin": margin}
        for t, margin in enumerate(margins.tolist())
    ]
    return made
