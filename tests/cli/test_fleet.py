"""`undoor fleet`: real scans of small models by real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from helpers import forked
from helpers.fleet_work import LITTLE, data_file, model_folder
from undoor.cli import app
from undoor.cli import fleet as fleet_command
from undoor.fleet.entry import FleetEntry
from undoor.fleet.job import Job
from undoor.fleet.results import Results
from undoor.fleet.run import Plan
from undoor.fleet.worker import METHOD
from undoor.render.documents import json_schema

VARYING = {"seconds": 0, "date": None}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["fleet", *map(str, arguments)])


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Two models, one of them in a folder below, and clean data."""
    data_file(tmp_path)
    model_folder(tmp_path / "zoo" / "a", backdoored=True)
    model_folder(tmp_path / "zoo" / "deep" / "b")
    return tmp_path / "zoo"


def options(zoo: Path, out: str) -> list[object]:
    folder = zoo.parent
    return ["--data", folder / "clean.npz", "--trust-code", *LITTLE, "--out", folder / out]


def files_of(out: Path) -> dict[str, Any]:
    """All that a fleet wrote but logs and pages, seconds and dates left out."""
    found: dict[str, Any] = {}
    for file in sorted(out.rglob("*")):
        name = file.relative_to(out).as_posix()
        hidden = any(part.startswith(".") for part in file.relative_to(out).parts)
        if hidden or not file.is_file() or file.suffix in (".html", ".xml", ".sarif", ".txt"):
            continue
        if file.name == "scan.json":
            # The reasons of a budget that ended hold seconds.
            found[name] = json.loads(file.read_text()) | VARYING | {"reasons": []}
        elif file.name != "entry.json" and "logs" not in file.parts:
            found[name] = file.read_bytes()
    return found


def test_scans_many_and_reports_all(zoo: Path) -> None:
    one = run(zoo, *options(zoo, "one"), "--workers", 1)
    assert one.exit_code == 2, one.output
    assert "2 models: 2 inconclusive" in one.stdout
    assert "1 of 2: a: inconclusive" in one.stderr
    assert run("scan", zoo, *options(zoo, "two"), "--workers", 2).exit_code == 2
    first, second = (files_of(zoo.parent / name) for name in ("one", "two"))
    assert first == second
    out = zoo.parent / "one"
    document = json.loads((out / "fleet.json").read_text())
    jsonschema.Draft202012Validator(json_schema("fleet")).validate(document)
    assert [model["name"] for model in document["models"]] == ["a", "b"]
    suites = ElementTree.parse(out / "fleet.junit.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["a", "b"]
    assert [suite.get("errors") for suite in suites] == ["1", "1"]
    (sarif,) = json.loads((out / "fleet.sarif").read_text())["runs"]
    places = [r["locations"][0]["physicalLocation"]["artifactLocation"] for r in sarif["results"]]
    assert [sarif["artifacts"][p["index"]]["location"]["uri"] for p in places] == [
        p["uri"] for p in places
    ]
    page = (out / "index.html").read_text()
    for model in document["models"]:
        link = f"{model['folder']}/report.html"
        assert f'href="{link}"' in page
        assert (out / link).is_file()


def test_the_same_again_does_nothing(zoo: Path) -> None:
    command = [zoo, *options(zoo, "out"), "--json"]
    first = run(*command)
    folder = zoo.parent / "out"
    times = {p: p.stat().st_mtime_ns for p in (folder / "results").rglob("*")}
    again = run(*command)
    assert again.stdout == first.stdout
    assert {p: p.stat().st_mtime_ns for p in (folder / "results").rglob("*")} == times


@pytest.mark.parametrize("form", ["fleet.parquet", "sqlite"])
def test_stores_and_status(zoo: Path, form: str) -> None:
    where = f"sqlite:///{zoo.parent}/fleet.db" if form == "sqlite" else str(zoo.parent / form)
    for _ in range(2):
        assert run(zoo, *options(zoo, "out"), "--store", where).exit_code == 2
    expected = json.loads((zoo.parent / "out" / "fleet.json").read_text())
    for place in (where, zoo.parent / "out"):
        shown = run("status", place, "--json")
        assert shown.exit_code == 0
        assert json.loads(shown.stdout) == expected
    assert "2 models: 2 inconclusive" in run("status", where).stdout


def test_one_bad_model_fails_alone(zoo: Path) -> None:
    (zoo / "c").mkdir()
    (zoo / "c" / "model.toml").write_text("nonsense")
    (zoo / "d.pt").write_bytes(b"no model")
    result = run(zoo, *options(zoo, "out"), "--json")
    assert result.exit_code == 4
    document = json.loads(result.stdout)
    jsonschema.Draft202012Validator(json_schema("fleet")).validate(document)
    states = {model["name"]: model["state"] for model in document["models"]}
    assert states == {"a": "finished", "b": "finished", "c": "failed", "d.pt": "failed"}
    for model in document["models"]:
        assert (model["state"] == "failed") == (model["problem"] is not None)
        if model["problem"]:
            assert model["problem"]["message"]
            assert model["problem"]["what_to_do"]
    out = zoo.parent / "out"
    assert ">2 failed" in (out / "index.html").read_text()
    (sarif,) = json.loads((out / "fleet.sarif").read_text())["runs"]
    assert {result["ruleId"] for result in sarif["results"]} == {"UNDOOR002", "UNDOOR003"}
    assert run(zoo, *options(zoo, "out"), "--exit-zero").exit_code == 4


def test_fail_on_and_a_table(zoo: Path) -> None:
    table = zoo.parent / "models.csv"
    table.write_text(
        "name,model,data,seed,trust-code,max-passes\n"
        "first,zoo/a,clean.npz,1,true,300\nsecond,zoo/deep/b,clean.npz,,true,300\n"
    )
    result = run(table, "--out", zoo.parent / "out", "--fail-on", "backdoored", "--json")
    assert result.exit_code == 0, result.output
    models = json.loads(result.stdout)["models"]
    assert [model["name"] for model in models] == ["first", "second"]
    seeds = [
        json.loads((zoo.parent / "out" / m["folder"] / "scan.json").read_text())["seed"]
        for m in models
    ]
    assert seeds == [1, 0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,model\nx,zoo/a\nx,zoo/deep/b\n", "'x' twice"),
        ("model,colour\nzoo/a,red\n", "got 'colour'"),
        ("model,out\nzoo/a,x\n", "got 'out'"),
        ("model,fpr\nzoo/a,0.1\n", "got 'fpr'"),
        ("model,seed\nzoo/a,many\n", "--seed: expected a whole number, got 'many'"),
        ("model,alpha\nzoo/a,7\n", "--alpha: expected a number from 1e-06 to 0.2, got '7'"),
    ],
)
def test_nonsense_tables_are_refused_before_any_work(zoo: Path, table: str, message: str) -> None:
    file = zoo.parent / "models.csv"
    file.write_text(table)
    result = run(file, *options(zoo, "out"))
    assert result.exit_code == 3, result.output
    assert message in " ".join(result.stderr.split())
    assert not (zoo.parent / "out").exists()


def test_wrong_options(zoo: Path) -> None:
    given = options(zoo, "out")
    for more, message in [
        (["--fpr", "0.1"], "--fpr: expected --repair"),
        (["--workers", "2", "--ray", "auto"], "--ray or --workers, got both"),
        (["--remember-code"], "remembers no trust"),
        (["--store", "fleet.txt"], "ends in .parquet or the URL"),
        (["--store", "nowhere://x"], "the URL of a database"),
        (["--report", "painting"], "got 'painting'"),
    ]:
        result = run(zoo, *given, *more)
        assert result.exit_code in (3, 4), more
        assert message in " ".join(result.stderr.split()), more
    assert "give --data" in run(zoo, "--out", zoo.parent / "out").stderr
    assert "expected MODELS" in run(*given).stderr
    assert "does not exist" in run(zoo / "nowhere", *given).stderr
    assert not (zoo.parent / "out").exists()


def test_an_interrupt_says_what_is_saved(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("undoor.fleet.run.examine", interrupt)
    result = run(zoo, *options(zoo, "out"))
    assert result.exit_code == 130
    assert "finished models and steps are saved in" in result.stderr


def test_after_an_interrupt_nothing_is_at_work(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(jobs: Sequence[Job], _: Results, plan: Plan) -> None:
        plan.changed(replace(FleetEntry.of(jobs[0]), state="running"))
        plan.changed(replace(FleetEntry.of(jobs[1]), state="failed"))
        raise KeyboardInterrupt

    monkeypatch.setattr("undoor.fleet.run.examine", interrupt)
    monkeypatch.setattr("undoor.cli.fleet_work.EVERY", 0.0)
    assert run(zoo, *options(zoo, "out")).exit_code == 130
    found = json.loads(run("status", zoo.parent / "out", "--json").stdout)
    assert [model["state"] for model in found["models"]] == ["waiting", "failed"]


def test_status_of_nothing(tmp_path: Path) -> None:
    for where in (tmp_path, f"sqlite:///{tmp_path}/x.db", tmp_path / "x.parquet"):
        result = run("status", where)
        assert result.exit_code == 4
        assert "Traceback" not in result.output


def test_watch_finds_what_appears(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (zoo / "a").rename(zoo.parent / "later")
    seen: list[float] = []

    def sleep(seconds: float) -> None:
        seen.append(seconds)
        (zoo.parent / "later").rename(zoo / "a")

    monkeypatch.setattr(fleet_command, "time", type("time", (), {"sleep": sleep}))
    result = run("watch", zoo, *options(zoo, "out"), "--rounds", 2, "--every", 7, "--json")
    assert result.exit_code == 2, result.output
    assert seen == [7]
    assert [model["name"] for model in json.loads(result.stdout)["models"]] == ["a", "b"]
    assert "1 of 1: b: inconclusive" in result.stderr


def test_watch_an_empty_folder(zoo: Path) -> None:
    (zoo.parent / "empty").mkdir()
    result = run("watch", zoo.parent / "empty", *options(zoo, "out"), "--rounds", 1)
    assert result.exit_code == 0, result.output
    assert "0 models" in result.stdout


def test_several_processes_repair_as_one(zoo: Path) -> None:
    """Scan and repair are those of the command that does both alone."""
    folder = zoo.parent
    plain = ["--data", folder / "clean.npz", "--trust-code", "--quick"]
    spread = run(
        zoo / "a", *plain, "--repair", "--out", folder / "out", "--workers", 2, "--spread", 2
    )
    assert spread.exit_code == 1, spread.output
    alone = forked.undoor("repair", zoo / "a", *plain, "--out", folder / "alone")
    assert alone.returncode == 1, alone.stderr
    (model,) = json.loads((folder / "out" / "fleet.json").read_text())["models"]
    found = folder / "out" / model["folder"]
    for name in ("scan.json", "repair.json"):
        texts = [json.loads((where / name).read_text()) for where in (found, folder / "alone")]
        assert texts[0] | VARYING == texts[1] | VARYING
    (target,) = model["targets"]
    assert target["target"] == 2
    assert target["repaired_asr"] < 0.5  # Of few images, and without a repair of nearly all.
    logs = {file.name for file in (folder / "out" / "logs").iterdir()}
    assert {f"{found.name}-{n}.txt" for n in (0, 1)} <= logs


@pytest.mark.skipif(METHOD != "forkserver", reason="signals of Linux")
def test_a_killed_driver_takes_its_processes_along_and_goes_on(zoo: Path) -> None:
    for number in range(4):
        model_folder(zoo / f"m{number}", shift=0.1 * (number + 1))
    whole = files_of_run(zoo, "whole")
    command = [sys.executable, "-c", "from undoor.cli import main; main()", "fleet", str(zoo)]
    arguments = [*map(str, options(zoo, "killed")), "--workers", "1"]
    driver = subprocess.Popen([*command, *arguments], stderr=subprocess.DEVNULL)
    results = zoo.parent / "killed" / "results"
    try:
        while not [*results.glob("*/entry.json")]:
            assert driver.poll() is None
            time.sleep(0.02)
    finally:
        driver.kill()
        driver.wait()
    finished = {p: p.stat().st_mtime_ns for p in results.glob("*/entry.json")}
    assert 0 < len(finished) < 6
    assert files_of_run(zoo, "killed") == whole
    assert {p: p.stat().st_mtime_ns for p in finished} == finished


def files_of_run(zoo: Path, out: str) -> dict[str, Any]:
    assert run(zoo, *options(zoo, out)).exit_code == 2
    return files_of(zoo.parent / out)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root mounts disks")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux")
def test_a_full_disk_loses_nothing_that_is_finished(zoo: Path, small_disk: Path) -> None:
    for number in range(4):
        model_folder(zoo / f"m{number}", shift=0.1 * (number + 1))
    given = [*options(zoo, "unused")[:-1], small_disk / "out", "--workers", 1]
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(bytes(free - 1_400_000))
    full = run(zoo, *given)
    assert full.exit_code == 4, full.output
    assert "No space left" in full.output
    finished = {p: p.stat().st_mtime_ns for p in small_disk.glob("out/results/*/entry.json")}
    assert 0 < len(finished) < 6
    ballast.unlink()
    assert run(zoo, *given).exit_code == 2
    assert len([*small_disk.glob("out/results/*/entry.json")]) == 6
    assert {p: p.stat().st_mtime_ns for p in finished} == finished


@pytest.mark.filterwarnings("ignore")  # of MLflow and what it uses
def test_versions_of_a_registry_get_their_verdict(
    zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(zoo.parent)
    uri = f"sqlite:///{zoo.parent}/mlflow.db"
    client = mlflow.MlflowClient(uri, uri)
    client.create_registered_model("sign")
    client.create_model_version("sign", (zoo / "a").as_uri())
    given = options(zoo, "out")
    result = run("watch", "--mlflow", uri, *given, "--rounds", 1, "--json")
    assert result.exit_code == 2, result.output
    (model,) = json.loads(result.stdout)["models"]
    assert model["name"] == "sign@1"
    tags = client.get_model_version("sign", "1").tags
    assert tags["undoor.verdict"] == "inconclusive"
    assert tags["undoor.model_sha256"] == model["model_sha256"]
    assert Path(tags["undoor.report"]).is_file()
