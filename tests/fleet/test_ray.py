"""A Ray cluster on this machine gives what processes give: slow, as the cluster takes its time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from helpers.fleet_work import pretended, pretended_jobs
from undoor.errors import UndoorError
from undoor.fleet.fleet import Fleet
from undoor.fleet.pool import LocalPool, Pool, RayPool
from undoor.fleet.results import Results
from undoor.fleet.run import Plan, examine


@pytest.mark.slow
def test_the_same_bytes_as_on_one_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Processes of the cluster import what the tests share.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    jobs = pretended_jobs(tmp_path, a="clean", b="backdoored", c="crash", d="lost")
    texts = set()
    for name in ("local", "ray"):
        (tmp_path / "left").write_bytes(b"xx")
        pool: Pool = LocalPool(1) if name == "local" else RayPool("local", 1)
        try:
            folder = tmp_path / name
            entries = examine(jobs, Results(folder), Plan(pretended, pretended, pool, retries=1))
        finally:
            pool.close()
        texts.add(Fleet.of(entries, "scan", 4).save(folder).read_bytes())
    assert len(texts) == 1
    assert [entry.verdict for entry in entries] == ["clean", "backdoored", None, "clean"]


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UndoorError, match="extra ray"):
        RayPool("auto", 1)
