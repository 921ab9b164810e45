"""Models of an MLflow registry that is kept in SQLite."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import undoor
from helpers.fleet_work import model_folder
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.errors import UndoorError
from undoor.fleet.entry import FleetEntry, Target
from undoor.fleet.mlflow_models import MlflowModels, says_guarded

# MLflow uses what SQLAlchemy and others will drop, and says so.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    mlflow = pytest.importorskip("mlflow")
    return mlflow.MlflowClient(uri(tmp_path), uri(tmp_path))


def uri(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


def register(client: Any, folder: Path, name: str, *, run: bool) -> Any:
    """A version whose files are a model.toml with its weights and code."""
    source = model_folder(folder / "sources" / f"{name}{run}", shift=float(run))
    run_id = None
    location = source.as_uri()
    if run:
        experiment = client.create_experiment(
            f"{name}", artifact_location=(folder / "art").as_uri()
        )
        made = client.create_run(experiment)
        run_id = made.info.run_id
        client.log_artifacts(run_id, str(source), "model")
        location = f"{made.info.artifact_uri}/model"
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    return client.create_model_version(name, location, run_id=run_id)


def found_of(name: str, path: str) -> FleetEntry:
    target = Target(5, "speed limit 80", "patch", 0.001, 0.9)
    return FleetEntry(
        name, path, "d", "finished", 1, "backdoored", (target,), key="a" * 64, folder="results/x"
    )


def test_versions_are_fetched_tagged_and_get_their_report(client: Any, tmp_path: Path) -> None:
    register(client, tmp_path, "sign", run=True)
    register(client, tmp_path, "sign", run=False)
    registry = MlflowModels(uri(tmp_path))
    first, second = registry.fetched(tmp_path / "downloads")
    assert [item.parts[-1] for item in (first, second)] == ["sign@1", "sign@2"]
    assert (Path(first.path) / "model.toml").is_file()
    report = tmp_path / "out" / "results" / "x" / "report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<p>report</p>")
    entries = [found_of("sign@1", first.path), found_of("other", "/elsewhere")]
    failed = replace(FleetEntry("sign@2", second.path, "d"), state="failed")
    registry.tag([*entries, failed], tmp_path / "out", "report.html")
    one, two = (client.get_model_version("sign", n) for n in ("1", "2"))
    assert one.tags["undoor.verdict"] == "backdoored"
    assert one.tags["undoor.targets"] == "5 speed limit 80"
    assert one.tags["undoor.report"] == f"runs:/{one.run_id}/undoor/sign-1/report.html"
    assert [item.path for item in client.list_artifacts(one.run_id, "undoor/sign-1")] == [
        "undoor/sign-1/report.html"
    ]
    assert (two.tags["undoor.state"], two.tags["undoor.verdict"]) == ("failed", "")
    assert "undoor.report" not in two.tags


def test_versions_of_one_run_keep_their_own_reports(client: Any, tmp_path: Path) -> None:
    one = register(client, tmp_path, "sign", run=True)
    client.create_model_version("sign", one.source, run_id=one.run_id)
    registry = MlflowModels(uri(tmp_path))
    entries = []
    for number, found in enumerate(registry.fetched(tmp_path / "downloads"), 1):
        report = tmp_path / "results" / str(number) / "report.html"
        report.parent.mkdir(parents=True)
        report.write_text(str(number))
        entries.append(replace(found_of("", found.path), folder=f"results/{number}"))
    registry.tag(entries, tmp_path, "report.html")
    for version in ("1", "2"):
        where = client.get_model_version("sign", version).tags["undoor.report"]
        place = where.removeprefix(f"runs:/{one.run_id}/")
        file = client.download_artifacts(one.run_id, place, str(tmp_path))
        assert Path(file).read_text() == version


def test_a_guarded_model_is_left_out_and_tagged(client: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    classifier = random_classifier("mlp")
    undoor.export(classifier, make_repair(classifier), source / "guarded.onnx")
    client.create_registered_model("sign")
    client.create_model_version("sign", source.as_uri())
    registry = MlflowModels(uri(tmp_path))
    assert registry.fetched(tmp_path / "downloads") == []
    assert registry.guarded == ("sign@1",)
    registry.tag([], tmp_path, "report.html")
    tags = client.get_model_version("sign", "1").tags
    assert (tags["undoor.state"], tags["undoor.verdict"]) == ("guarded", "")


def test_a_file_that_is_no_graph_is_not_called_guarded(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"undoor logits flagged score")
    assert not says_guarded(tmp_path / "x.onnx")


def test_what_is_tagged_already_is_left_as_it_is(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(client, tmp_path, "sign", run=False)
    registry = MlflowModels(uri(tmp_path))
    (item,) = registry.fetched(tmp_path / "downloads")
    entry = found_of("sign@1", item.path)
    registry.tag([entry], tmp_path, "report.html")
    monkeypatch.setattr(registry._client, "set_model_version_tag", None)
    registry.tag([entry], tmp_path, "report.html")
    assert client.get_model_version("sign", "1").tags["undoor.report"].endswith("report.html")


def test_files_that_are_gone_are_named(client: Any, tmp_path: Path) -> None:
    register(client, tmp_path, "sign", run=False)
    (tmp_path / "sources").rename(tmp_path / "elsewhere")
    with pytest.raises(UndoorError, match="--mlflow sqlite"):
        MlflowModels(uri(tmp_path)).fetched(tmp_path / "downloads")
    assert not [*(tmp_path / "downloads").rglob("1")]


def test_without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UndoorError, match="extra mlflow"):
        MlflowModels("sqlite:///x.db")
