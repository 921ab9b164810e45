"""The models of a fleet behind HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.html_pages import Page
from helpers.serving import serving
from undoor.errors import UndoorError
from undoor.fleet.entry import FleetEntry, Problem, Target
from undoor.fleet.fleet import Fleet
from undoor.fleet.store import write_store

KEY = "ab" * 32
FOUND = FleetEntry(
    "signs", "signs.pt", "clean/", "finished", 1, "backdoored",
    (Target(5, "speed limit 80", "patch", 0.0015, 0.97, 0.01, 0.9),), ("a trigger was found",),
    key=KEY, folder="results/signs",
)  # fmt: skip
BROKEN = FleetEntry("b", "b.pt", "d", "failed", 4, problem=Problem("it is broken", "mend it"))
REPORT = b"<style>p {color: red}</style><p>report</p>"


def stored(folder: Path, *entries: FleetEntry) -> str:
    """The database of a fleet in a folder, with a report."""
    results = folder / "fleet/results/signs"
    results.mkdir(parents=True)
    (results / "report.html").write_bytes(REPORT)
    (results / "scan.json").write_text('{"date": "2026-11-30T10:00:00+00:00"}')
    where = f"sqlite:///{folder}/fleet.db"
    write_store(where, Fleet(entries, "scan", 4), folder / "fleet")
    return where


def test_models(tmp_path: Path) -> None:
    with serving(tmp_path, fleet=stored(tmp_path, FOUND, BROKEN)) as client:
        assert client.get("/guard/state").json()["fleet"] is True
        found = client.get("/fleet/models").json()
    assert found["counts"] == {"backdoored": 1, "failed": 1}
    first, second = found["models"]
    assert (first["name"], first["verdict"], first["date"]) == (
        "signs", "backdoored", "2026-11-30T10:00:00+00:00",
    )  # fmt: skip
    (target,) = first["targets"]
    assert (target["target"], target["class_name"], target["asr"]) == (5, "speed limit 80", 0.97)
    assert first["report"] == f"fleet/reports/{KEY}"
    assert (second["state"], second["date"], second["report"]) == ("failed", None, None)
    assert second["problem"]["what_to_do"] == "mend it"


def test_reports_run_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, fleet=stored(tmp_path, FOUND)) as client:
        answer = client.get(f"/fleet/reports/{KEY}")
        assert answer.content == REPORT
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'")
        assert "script" not in policy
        assert client.get(f"/fleet/reports/{'cd' * 32}").status_code == 404
        assert client.get("/fleet/reports/..%2f..%2fetc").status_code in (404, 422)


@pytest.mark.parametrize("folder", ["../elsewhere", "/etc", "results/gone", "results/\0"])
def test_a_database_names_no_other_files(tmp_path: Path, folder: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/report.html").write_text("secret")
    where = stored(tmp_path, replace(FOUND, folder=folder))
    with serving(tmp_path, fleet=where) as client:
        assert client.get("/fleet/models").json()["models"][0]["report"] is None
        assert client.get(f"/fleet/reports/{KEY}").status_code == 404


def test_page(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret-secret-secret\n")
    where = stored(tmp_path, FOUND)
    with serving(tmp_path, fleet=where, tokens=tmp_path / "tokens") as client:
        page = Page(client.get("/fleet").text)
        for name, attributes in page.elements:
            if name == "script" or attributes.get("rel") == "stylesheet":
                found = attributes.get("src") or attributes["href"]
                assert client.get(f"/{found}").status_code == 200
        for path in ("/fleet/models", f"/fleet/reports/{KEY}"):
            assert client.get(path).status_code == 401


def test_without_a_fleet(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        assert client.get("/guard/state").json()["fleet"] is False
        assert client.get("/fleet").status_code == 404
    with (
        pytest.raises(UndoorError, match="there is no such file"),
        serving(tmp_path, fleet=f"sqlite:///{tmp_path}/empty.db"),
    ):
        pass


def test_a_database_that_fails_names_no_place(tmp_path: Path) -> None:
    with serving(tmp_path, fleet=stored(tmp_path, FOUND)) as client:
        (tmp_path / "fleet.db").write_bytes(b"no database" * 100)
        answer = client.get("/fleet/models")
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
