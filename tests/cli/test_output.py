"""Where commands write: whole, alone, and what is told when it cannot be."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from undoor.cli import output
from undoor.cli.output import LOCK, output_folder, publish, results_folder
from undoor.errors import UndoorError
from undoor.journal import Journal


def keep(journal: Journal | None, name: str = "x") -> None:
    assert journal is not None
    journal.step(name, lambda _: {"a": np.arange(3)})


def work_in(out: Path, *steps: Callable[[Journal | None], object]) -> None:
    with output_folder(out) as journal:
        for step in steps:
            step(journal)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def never(*_: object) -> None:
    raise AssertionError("work was begun")


def test_done_work_leaves_nothing_but_results(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with output_folder(out) as journal:
        keep(journal)
        folder = results_folder(out)
        files = [folder / name for name in ("scan.json", "trigger_1.npz")]
        for file in files:
            file.write_text(file.name)
        assert publish(out, files) == [out / "scan.json", out / "trigger_1.npz"]
    assert sorted(file.name for file in out.iterdir()) == ["scan.json", "trigger_1.npz"]
    with output_folder(None) as journal:
        assert journal is None


@pytest.mark.parametrize("error", [UndoorError("nonsense"), KeyboardInterrupt()])
def test_ended_before_anything_is_kept(tmp_path: Path, error: BaseException) -> None:
    def end(_: Journal | None) -> None:
        raise error

    out = tmp_path / "a" / "out"
    with pytest.raises(type(error)):
        work_in(out, end)
    assert not out.parent.exists()


def test_interrupted_work_is_kept_until_it_is_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match="the same command resumes from there"):
        work_in(out, keep, interrupted)
    assert not (out / LOCK).exists()
    with output_folder(out) as journal:
        assert journal is not None
        assert journal.steps == 1
        assert journal.step("x", lambda _: {})[1]
    assert list(out.iterdir()) == []


def test_fresh_forgets(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        work_in(out, keep, interrupted)
    with output_folder(out, fresh=True) as journal:
        assert journal is not None
        assert journal.empty


def test_a_disk_that_gets_full_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(journal: Journal | None) -> None:
        monkeypatch.setattr("undoor.journal.write_atomically", full)
        keep(journal, "y")

    out = tmp_path / "out"
    with pytest.raises(UndoorError, match=r"No space left.*free some.*finished steps are saved"):
        work_in(out, keep, no_room)
    monkeypatch.undo()
    with output_folder(out) as journal:
        assert journal is not None
        assert journal.steps == 1


def test_another_disk_that_is_full_is_named(tmp_path: Path) -> None:
    def elsewhere(_: Journal | None) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "cache"))

    with pytest.raises(OSError, match="cache"):
        work_in(tmp_path / "out", elsewhere)


def test_results_are_replaced_all_or_none(tmp_path: Path) -> None:
    """A disk that gets full between two results leaves the old ones together."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "scan.json").write_text("old")

    def write(_: Journal | None) -> None:
        (results_folder(out) / "scan.json").write_text("new")

    with pytest.raises(UndoorError, match="No space left"):
        work_in(out, keep, write, full)
    assert (out / "scan.json").read_text() == "old"


def test_a_full_disk_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full())
    out = tmp_path / "out"
    with pytest.raises(UndoorError, match=r"cannot write there .No space left.*free some space"):
        work_in(out, never)
    assert not out.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a thing of Linux")
def test_room_is_asked_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_full_device(dir: Path) -> object:
        # As `with` closes it, a buffered file would try to write once more.
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(tempfile, "TemporaryFile", on_full_device)
    with pytest.raises(UndoorError, match="No space left"):
        work_in(tmp_path / "out", never)


def test_a_folder_that_is_taken_away(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def take_away(_: Journal | None) -> None:
        (out / LOCK).unlink()
        out.rmdir()

    with pytest.raises(UndoorError, match="was removed"):
        work_in(out, take_away, keep)
    assert not out.exists()


HOLD = """
import sys, time
from pathlib import Path
from undoor.cli.output import output_folder
with output_folder(Path(sys.argv[1])) as journal:
    journal.step("x", lambda _: {})
    print("at work", flush=True)
    time.sleep(600)
"""


def test_one_run_a_folder(tmp_path: Path) -> None:
    """Another process has it; killed, it has it no more, and what it did is there."""
    out = tmp_path / "out"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UndoorError, match="another run of undoor is using it"):
            work_in(out, never)
        assert Journal(out / output.JOURNAL).steps == 1
    finally:
        other.kill()
        other.communicate()
    assert (out / LOCK).exists()
    with output_folder(out) as journal:
        assert journal is not None
        assert journal.steps == 1
