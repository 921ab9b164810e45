"""The loop of a fleet, with real processes that do little."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import pytest

from helpers.fleet_work import calls, pretended, pretended_jobs
from undoor.fleet import worker
from undoor.fleet.entry import FleetEntry
from undoor.fleet.fleet import Fleet
from undoor.fleet.job import Job
from undoor.fleet.pool import LocalPool
from undoor.fleet.results import Results
from undoor.fleet.run import Plan, examine

pytestmark = pytest.mark.skipif(worker.METHOD != "forkserver", reason="signals of Linux")
PASSING = {"a": "clean", "b": "backdoored", "c": "inconclusive"}


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    pool = LocalPool(2)
    yield pool
    pool.close()


def run(jobs: list[Job], folder: Path, pool: LocalPool, **options: int) -> dict[str, FleetEntry]:
    found = examine(jobs, Results(folder / "out"), Plan(pretended, pretended, pool, **options))  # type: ignore[arg-type]
    assert [entry.name for entry in found] == [job.name for job in jobs]
    return {entry.name: entry for entry in found}


def test_verdicts_and_what_is_known_of_them(tmp_path: Path, pool: LocalPool) -> None:
    found = run(pretended_jobs(tmp_path, **PASSING), tmp_path, pool)
    assert {name: entry.verdict for name, entry in found.items()} == PASSING
    assert [found[name].exit_code for name in "abc"] == [0, 1, 2]
    (target,) = found["b"].targets
    assert (target.target, target.class_name, target.family) == (1, "yield", "patch")
    assert found["c"].reasons == ("because of inconclusive",)
    assert all(entry.problem is None for entry in found.values())


def test_the_same_bytes_at_any_number_of_workers(tmp_path: Path) -> None:
    jobs = pretended_jobs(tmp_path, **PASSING, d="crash", e="refuse")
    texts = set()
    for workers in (1, 2, 4):
        pool = LocalPool(workers)
        folder = tmp_path / str(workers)
        entries = examine(jobs, Results(folder), Plan(pretended, pretended, pool, retries=1))
        pool.close()
        texts.add(Fleet.of(entries, "scan", 4).save(folder).read_bytes())
    assert len(texts) == 1


def test_what_is_finished_is_not_done_again(tmp_path: Path, pool: LocalPool) -> None:
    jobs = pretended_jobs(tmp_path, **PASSING)
    first = run(jobs, tmp_path, pool)
    assert sorted(calls(tmp_path)) == ["a.pt", "b.pt", "c.pt"]
    assert run(jobs, tmp_path, pool) == first
    assert len(calls(tmp_path)) == 3
    Path(jobs[0].model).write_text("backdoored")
    assert run(jobs, tmp_path, pool)["a"].verdict == "backdoored"
    assert calls(tmp_path)[3:] == ["a.pt"]
    again = [replace(job, options={"alpha": 0.01}) for job in jobs]
    run(again, tmp_path, pool)
    assert len(calls(tmp_path)) == 7


def test_a_damaged_result_is_made_again(tmp_path: Path, pool: LocalPool) -> None:
    jobs = pretended_jobs(tmp_path, a="backdoored")
    folder = tmp_path / "out" / str(run(jobs, tmp_path, pool)["a"].folder)
    text = (folder / "scan.json").read_text()
    (folder / "scan.json").write_text(text.replace("backdoored", "clean"))
    assert run(jobs, tmp_path, pool)["a"].verdict == "backdoored"
    (folder / "entry.json").write_text("{")
    run(jobs, tmp_path, pool)
    assert len(calls(tmp_path)) == 3


def test_a_budget_that_ended_is_asked_again_with_another(tmp_path: Path, pool: LocalPool) -> None:
    """In the same folder, where its steps are."""
    (job,) = pretended_jobs(tmp_path, c="inconclusive")
    first, second = (replace(job, options={"max_passes": n}) for n in (10, 20))
    folder = run([first], tmp_path, pool)["c"].folder
    run([first], tmp_path, pool)
    assert len(calls(tmp_path)) == 1
    assert run([second], tmp_path, pool)["c"].folder == folder
    assert len(calls(tmp_path)) == 2


def test_models_of_the_same_bytes_are_examined_once(tmp_path: Path, pool: LocalPool) -> None:
    (tmp_path / "x").mkdir()
    (one,) = pretended_jobs(tmp_path, a="clean")
    (tmp_path / "x" / "a.pt").write_text("clean")
    two = replace(one, name="x/a", model=str(tmp_path / "x" / "a.pt"))
    found = run([one, two], tmp_path, pool)
    assert found["a"].verdict == found["x/a"].verdict == "clean"
    assert found["x/a"].model == two.model
    assert found["x/a"].folder == found["a"].folder
    assert len(calls(tmp_path)) + len(calls(tmp_path / "x")) == 1


def test_one_model_does_not_end_the_others(tmp_path: Path, pool: LocalPool) -> None:
    jobs = pretended_jobs(tmp_path, a="crash", b="refuse", c="rubbish", d="clean")
    found = run(jobs, tmp_path, pool, retries=1)
    assert found["d"].verdict == "clean"
    problems = {name: found[name].problem for name in "abc"}
    assert "its process crashed (SIGSEGV)" in problems["a"].message  # type: ignore[union-attr]
    assert problems["b"].message == "no such class"  # type: ignore[union-attr]
    assert problems["b"].what_to_do == "name one"  # type: ignore[union-attr]
    assert "ended with 1 and no result" in problems["c"].message  # type: ignore[union-attr]
    assert [found[name].exit_code for name in "abc"] == [4, 4, 4]
    assert all(found[name].verdict is None for name in "abc")


def test_a_failure_is_tried_again(tmp_path: Path, pool: LocalPool) -> None:
    jobs = pretended_jobs(tmp_path, a="rubbish")
    assert run(jobs, tmp_path, pool)["a"].state == "failed"
    (tmp_path / "a.pt").write_text("clean")
    assert run(jobs, tmp_path, pool)["a"].verdict == "clean"


def test_a_missing_model_is_a_failed_row(tmp_path: Path, pool: LocalPool) -> None:
    jobs = pretended_jobs(tmp_path, a="clean", b="clean")
    (tmp_path / "a.pt").unlink()
    found = run(jobs, tmp_path, pool)
    assert found["b"].verdict == "clean"
    assert "no such file" in found["a"].problem.message  # type: ignore[union-attr]
    assert found["a"].exit_code == 4


def test_a_lost_process_begins_again_as_long_as_it_comes_further(
    tmp_path: Path, pool: LocalPool
) -> None:
    jobs = pretended_jobs(tmp_path, a="lost")
    (tmp_path / "left").write_bytes(b"x" * 5)
    assert run(jobs, tmp_path, pool, retries=1)["a"].verdict == "clean"
    assert (tmp_path / "left").stat().st_size == 0


def test_a_process_killed_from_outside_loses_nothing(tmp_path: Path, pool: LocalPool) -> None:
    jobs = pretended_jobs(tmp_path, a="slow", b="clean")

    def kill() -> None:
        while not worker._running:
            time.sleep(0.01)
        time.sleep(1.0)
        (tmp_path / "now").touch()
        for process in list(worker._running):
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    changes: list[FleetEntry] = []
    plan = Plan(pretended, pretended, pool, changed=changes.append)
    found = examine(jobs, Results(tmp_path / "out"), plan)
    killer.join()
    assert [entry.verdict for entry in found] == ["clean", "clean"]
    assert [e.state for e in changes if e.name == "a"] == [
        "waiting",
        "running",
        "running",
        "finished",
    ]


def test_where_the_starter_of_processes_is_lost_they_begin_again(
    tmp_path: Path, pool: LocalPool
) -> None:
    jobs = pretended_jobs(tmp_path, a="slow")

    def kill() -> None:
        while not worker._running:
            time.sleep(0.01)
        time.sleep(1.0)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
        time.sleep(0.5)
        (tmp_path / "now").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    entry = run(jobs, tmp_path, pool)["a"]
    killer.join()
    assert entry.verdict == "clean", entry.problem
    assert calls(tmp_path) == ["a.pt"]


def test_a_model_that_changes_meanwhile_has_no_result(tmp_path: Path, pool: LocalPool) -> None:
    jobs = pretended_jobs(tmp_path, a="rewritten")
    entry = run(jobs, tmp_path, pool)["a"]
    assert entry.state == "failed"
    assert "changed while it was examined" in entry.problem.message  # type: ignore[union-attr]


def test_nothing_to_do(tmp_path: Path, pool: LocalPool) -> None:
    assert examine([], Results(tmp_path), Plan(pretended, pretended, pool)) == []
