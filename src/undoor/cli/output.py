"""Output folders: checked before the work, locked during it, complete files after it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undoor.cli.console import say
from undoor.cli.error_document import WAYS_OUT
from undoor.cli.exit_codes import ExitCode
from undoor.errors import BudgetEnded, UndoorError
from undoor.files import FULL, write_atomically, write_text
from undoor.vocabulary import (
    REPAIR_DESCRIPTION,
    REPAIR_FILE,
    RUN_FOLDER,
    SCAN_FILE,
    trigger_file,
)

if TYPE_CHECKING:
    from undoor.journal import Journal
    from undoor.repair import Repair
    from undoor.scan.report import ScanReport

JOURNAL, LOCK, RESULTS = RUN_FOLDER, ".undoor-lock", "results"
# Written last: where one of these is, all that belongs to it is there.
LAST = (SCAN_FILE, REPAIR_DESCRIPTION, REPAIR_FILE)
# What a disk must have room for before long work begins.
ROOM = 2**20


@contextmanager
def output_folder(out: Path | None, *, fresh: bool = False) -> Iterator[Journal | None]:
    """Reserve `out` for this run, and check that it can be written to.

    A new folder is removed again if the work fails before a step is finished.

    Parameters
    ----------
    fresh
        Whether to forget the steps of an earlier run.

    Yields
    ------
    A journal in the folder, which is cleared when the work is done and it is not left open; None
    without `out`.

    Raises
    ------
    UndoorError
        It is a file, cannot be written to, has no room, is used by another run, or was removed
        meanwhile.
    """
    if out is None:
        yield None
        return
    from undoor.journal import Journal

    made = [path for path in (out, *out.parents) if not path.exists()]
    try:
        _require_room(out)
        with _alone(out):
            journal = Journal(out / JOURNAL, inside=out, tell=say)
            if fresh:
                journal.clear()
            journal.take_up()
            with _explained(out, journal):
                yield journal
            if not journal.is_open:
                journal.clear()
    except BaseException:
        _remove_empty(made)
        raise


def _require_room(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as stream:
            stream.write(bytes(ROOM))
            stream.flush()
    except OSError as error:
        way = "free some space there" if error.errno in FULL else "change its permissions"
        raise UndoorError(
            f"--out {out}: cannot write there ({error.strerror}); {way}, or choose another folder"
        ) from error


@contextmanager
def _explained(out: Path, journal: Journal) -> Iterator[None]:
    """Add to whatever ends the work what was saved of it; where nothing was, leave nothing."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {_how_to_resume(out, journal)}") from None
    except BudgetEnded as error:
        advice = _how_to_resume(out, journal, budget=True)
        raise BudgetEnded(error.passes, error.seconds, advice) from error
    except OSError as error:
        if not out.is_dir():
            raise UndoorError(
                f"--out {out}: the folder was removed while undoor worked in it; start again "
                "with a folder that stays"
            ) from error
        if error.errno not in FULL or (error.filename and not _inside(error.filename, out)):
            raise
        raise UndoorError(
            f"--out {out}: {error.strerror}; free some space there and run the same command again"
            + ("" if journal.empty else ": finished steps are saved")
        ) from error
    finally:
        if journal.empty and not journal.is_open:
            journal.clear()


def _inside(file: str, out: Path) -> bool:
    return Path(file).absolute().is_relative_to(out.absolute())


def _how_to_resume(out: Path, journal: Journal, *, budget: bool = False) -> str:
    if journal.empty:
        again = f"; {WAYS_OUT[ExitCode.BUDGET_ENDED]}" if budget else ""
        return f"nothing is left in {out}{again}"
    larger = " with a larger --max-passes or --max-seconds" if budget else ""
    return f"finished steps are saved in {out}, and the same command{larger} resumes from there"


def results_folder(out: Path) -> Path:
    """Return a new folder inside `out` to write results to, before `publish` shows them all."""
    folder = out / JOURNAL / RESULTS
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def publish(out: Path, files: Sequence[Path]) -> list[Path]:
    """Move complete files of the results folder to `out`, and return their new places.

        This needs no space.
    A full disk while they are written leaves the results of an earlier run as they were.
    """
    for file in sorted(files, key=lambda file: file.name in LAST):
        file.replace(out / file.name)
    return [out / file.name for file in files]


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Lock a folder against other runs; the system releases the lock of a run that is killed."""
    from filelock import FileLock, Timeout

    lock = FileLock(out / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UndoorError(
            f"--out {out}: another run of undoor is using it; wait for it, or choose another folder"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):
            (out / LOCK).unlink()
        lock.release()


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def save_scan(out: Path, report: ScanReport) -> list[Path]:
    """Write a report with its triggers as arrays and as people see them, and return the files.

    That is the words of a text, the cells of a row, and a picture of any other input.
    """
    from undoor.render.cells import finding_cells
    from undoor.triggers.pictures import trigger_picture

    report.save(out)
    space = report.identity.space if report.identity else None
    in_words = finding_cells(report)
    files = [out / SCAN_FILE]
    for finding in report.findings:
        arrays = out / trigger_file(finding.target)
        shown = arrays.with_suffix(".txt" if finding.target in in_words else ".png")
        if finding.target in in_words:
            write_text(shown, f"{in_words[finding.target]}\n")
        else:
            png = trigger_picture(finding.trigger, space)
            write_atomically(shown, lambda path, png=png: path.write_bytes(png))  # type: ignore[misc]
        files += [arrays, shown]
    return files


def save_repair(out: Path, repair: Repair) -> list[Path]:
    """Write a repair to a folder or a .safetensors file, and return the files."""
    repair.save(out)
    return [out] if out.suffix == ".safetensors" else [out / REPAIR_FILE, out / REPAIR_DESCRIPTION]


def require_writable(out: Path, option: str = "--out") -> None:
    """Refuse, before any work, a place for a file or folder where none can be.

    Raises
    ------
    UndoorError
        A part of the path is a file, or nothing may be written there.
    """
    nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
    if nearest.is_file() and nearest != out:
        raise UndoorError(f"{option} {out}: {nearest} is a file; choose another folder")
    folder = nearest if nearest.is_dir() else nearest.absolute().parent
    if not os.access(folder, os.W_OK):
        raise UndoorError(f"{option} {out}: cannot write in {folder}; choose another folder")


def save_table(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file with values as in JSON: true and false in lower case, nothing for null."""
    from undoor.render.csv_table import as_csv

    words = {True: "true", False: "false"}
    plain = [
        {key: words[value] if isinstance(value, bool) else value for key, value in line.items()}
        for line in lines
    ]
    write_text(file, as_csv(plain))
