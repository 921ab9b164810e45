"""Where a command writes: checked before the work, whole files after it, nothing in between."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undoor.cli.console import say
from undoor.errors import BudgetEnded, UndoorError
from undoor.files import FULL, write_atomically, write_text
from undoor.vocabulary import REPAIR_DESCRIPTION, REPAIR_FILE, SCAN_FILE, trigger_file

if TYPE_CHECKING:
    from undoor.journal import Journal
    from undoor.repair import Repair
    from undoor.scan.report import ScanReport

KEPT, LOCK, RESULTS = ".undoor-run", ".undoor-lock", "results"
# Written last: who finds one of these finds all that belongs to it.
LAST = (SCAN_FILE, REPAIR_DESCRIPTION, REPAIR_FILE)
# What a disk must have room for before long work begins.
ROOM = 2**20


@contextmanager
def output_folder(out: Path | None, *, fresh: bool = False) -> Iterator[Journal | None]:
    """Make sure that `out` can be written to, by this run alone.

    Take it away again if the work inside fails before anything is worth keeping.

    Parameters
    ----------
    fresh
        Forget what an earlier run kept there. Yields a journal in it, which is forgotten when the
        work is done and it is not left open; none without `out`.

    Raises
    ------
    UndoorError
        It is a file, must not be written to, has no room, or another run is at work in it, or it
        was taken away meanwhile.
    """
    if out is None:
        yield None
        return
    from undoor.journal import Journal

    made = [path for path in (out, *out.parents) if not path.exists()]
    try:
        _require_room(out)
        with _alone(out):
            journal = Journal(out / KEPT, inside=out, tell=say)
            if fresh:
                journal.clear()
            journal.take_up()
            with _kept(out, journal):
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
def _kept(out: Path, journal: Journal) -> Iterator[None]:
    """Whatever ends the work, say what is kept of it; where nothing is, leave nothing."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {_way_on(out, journal)}") from None
    except BudgetEnded as error:
        raise BudgetEnded(f"{error}; {_way_on(out, journal, budget=True)}") from error
    except OSError as error:
        if not out.is_dir():
            raise UndoorError(
                f"--out {out}: the folder was taken away while undoor worked in it; start again, "
                "with a folder that stays"
            ) from error
        if error.errno not in FULL or (error.filename and not _inside(error.filename, out)):
            raise
        raise UndoorError(
            f"--out {out}: {error.strerror}; free some space there and run the same command again"
            + ("" if journal.empty else ": what is done is kept")
        ) from error
    finally:
        if journal.empty and not journal.is_open:
            journal.clear()


def _inside(file: str, out: Path) -> bool:
    return Path(file).absolute().is_relative_to(out.absolute())


def _way_on(out: Path, journal: Journal, *, budget: bool = False) -> str:
    if journal.empty:
        again = "; run the same command with a larger budget" if budget else ""
        return f"nothing is left in {out}{again}"
    larger = " with a larger budget" if budget else ""
    return f"what is done is kept in {out}, and the same command{larger} goes on from there"


def results_folder(out: Path) -> Path:
    """Return a new folder inside `out` to write results to, before `publish` shows them all."""
    folder = out / KEPT / RESULTS
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def publish(out: Path, files: Sequence[Path]) -> list[Path]:
    """Move whole files of the results folder to `out`, which needs no space; where they are then.

    A full disk while they are written leaves the results of an earlier run as they were.
    """
    for file in sorted(files, key=lambda file: file.name in LAST):
        file.replace(out / file.name)
    return [out / file.name for file in files]


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other runs out of a folder. The system takes the lock of a run that is killed away."""
    from filelock import FileLock, Timeout

    lock = FileLock(out / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UndoorError(
            f"--out {out}: another run of undoor is at work there; wait for it, or choose another "
            "folder"
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
    """Return the report, its triggers as arrays and as pictures."""
    from undoor.render.pictures import trigger_picture

    report.save(out)
    space = report.identity.space if report.identity else None
    files = [out / SCAN_FILE]
    for finding in report.findings:
        arrays = out / trigger_file(finding.target)
        picture = arrays.with_suffix(".png")
        png = trigger_picture(finding.trigger, space)
        write_atomically(picture, lambda path, png=png: path.write_bytes(png))  # type: ignore[misc]
        files += [arrays, picture]
    return files


def save_repair(out: Path, repair: Repair) -> list[Path]:
    """out : a folder, or a file that ends in .safetensors."""
    repair.save(out)
    return [out] if out.suffix == ".safetensors" else [out / REPAIR_FILE, out / REPAIR_DESCRIPTION]


def require_writable(out: Path) -> None:
    """Refuse, before any work, a place for a file or folder where none can be.

    Raises
    ------
    UndoorError
        A part of the path is a file, or nothing may be written there.
    """
    nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
    if nearest.is_file() and nearest != out:
        raise UndoorError(f"--out {out}: {nearest} is a file; choose another folder")
    folder = nearest if nearest.is_dir() else nearest.absolute().parent
    if not os.access(folder, os.W_OK):
        raise UndoorError(f"--out {out}: cannot write in {folder}; choose another folder")


def save_table(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """A CSV of values as JSON writes them: true and false in small letters, nothing for null."""
    from undoor.render.csv_table import as_csv

    words = {True: "true", False: "false"}
    plain = [
        {key: words[value] if isinstance(value, bool) else value for key, value in line.items()}
        for line in lines
    ]
    write_text(file, as_csv(plain))
