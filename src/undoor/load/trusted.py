"""Open a pickle of a whole module that its user trusts, in a confined process.

That process has no network, and cannot write or start programs, as far as the system has such
restrictions. It returns the tensors as safetensors, which are checked like any untrusted file.
Everything else in the pickle, its code above all, is dropped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from undoor.errors import UndoorError
from undoor.files import walk
from undoor.load.check import FileSafety, examine, refuse_unsafe
from undoor.load.foreign import is_foreign
from undoor.load.jail import TIMED_OUT
from undoor.load.opened import CLASS, PROBLEM, WEIGHTS
from undoor.load.safetensors_header import require_safe_header
from undoor.load.spec import Tables, read_tables
from undoor.load.targets import is_file
from undoor.vocabulary import MODEL_FILE

SECONDS = 120
GRACE = 10
GIB = 2**30
# Seconds between checks of the confined process, and the files and bytes that it may write.
LOOK_SECONDS = 0.05
MAX_ENTRIES = 1000
MAX_WRITTEN = 2 * GIB
TOO_MUCH = 125
LARGEST_TEXT = 2000


class TrustedPickleWarning(UserWarning):
    """A pickle was run because the caller trusts it; the message has how it was confined."""


@dataclass(frozen=True)
class Opened:
    """The result of opening a trusted pickle.

    Attributes
    ----------
    weights
        A file of safetensors, in the folder that was given.
    restrictions
        The restrictions that took effect, in words.
    class_name
        Of the pickled module, as the pickle has it.
    """

    weights: Path
    restrictions: tuple[str, ...]
    class_name: str


@contextmanager
def trusted_weights(path: Path, options: Tables) -> Iterator[Tables]:
    """Yield the options, with a pickled module replaced by a file of its tensors.

    Parameters
    ----------
    path
        Of the model.
    options
        Tables as of a model.toml; yielded unchanged where the weights are no pickled module.

    Raises
    ------
    UndoorError
        It is unsafe in another way, cannot be opened, or holds NaN or infinity.
    """
    if path.is_dir() and not (path / MODEL_FILE).is_file():
        # Folders of hubs, in which no pickle is ever read.
        yield options
        return
    _, tables = read_tables(path, options)
    model = tables.get("model", {})
    weights = model.get("weights")
    if not isinstance(weights, str | Path):
        yield options
        return
    safety = examine(Path(weights))
    if not safety.breaches:
        yield options
        return
    with tempfile.TemporaryDirectory(prefix="undoor-") as folder:
        opened = open_trusted(
            Path(weights),
            Path(folder),
            safety,
            key=model.get("key"),
            code=_folder_of(model.get("architecture")),
        )
        warnings.warn(_warning(Path(weights), opened), TrustedPickleWarning, stacklevel=4)
        # What the key chooses has been chosen, also where a model.toml has one.
        model = {**options.get("model", {}), "weights": opened.weights, "key": ""}
        yield {**options, "model": model}


def open_trusted(
    file: Path,
    folder: Path,
    safety: FileSafety,
    *,
    key: str | None = None,
    code: Path | None = None,
) -> Opened:
    """Open a pickle in a confined process, which writes its tensors into `folder`.

    Parameters
    ----------
    file
        The pickle.
    folder
        For the tensors; empty.
    safety
        Of the file, from `examine`.
    key
        Which of several state dicts or modules.
    code
        A folder with the pickled classes, besides that of the file and the current one.

    Raises
    ------
    UndoorError
        The pickle holds no whole module, names what no module needs, or cannot be opened in time;
        or its tensors are not finite.
    """
    _require_module(file, safety)
    restrictions = _run(file, folder, key, code)
    problem = _text(folder / PROBLEM)
    if problem:
        raise UndoorError(
            f"{file} could not be opened in a confined process ({problem}); see that the code of "
            "its classes can be imported here, or save model.state_dict() where it was made"
        )
    weights = folder / WEIGHTS
    if weights.is_symlink() or not weights.is_file() or not weights.stat().st_size:
        raise UndoorError(
            f"{file} gave no tensors: the process that opened it ended without any; save "
            "model.state_dict() where it was made"
        )
    require_safe_header(weights)
    _require_finite(file, weights)
    return Opened(weights, restrictions, _text(folder / CLASS))


def _require_module(file: Path, safety: FileSafety) -> None:
    if not safety.whole_module:
        refuse_unsafe(file, safety)
    foreign = [name for name in safety.unsafe if is_foreign(name)]
    if foreign:
        raise UndoorError(
            f"{file} names {', '.join(foreign[:4])}, which no module needs; it is refused even "
            "where pickles are trusted"
        )


def _folder_of(architecture: object) -> Path | None:
    """Return the folder of the file that an architecture names; None where it names none."""
    source = architecture.rpartition(":")[0] if isinstance(architecture, str) else ""
    return Path(source).absolute().parent if is_file(source) else None


def _run(file: Path, folder: Path, key: str | None, code: Path | None) -> tuple[str, ...]:
    """Open the file in a confined process, and return the restrictions that took effect."""
    if sys.platform == "win32":
        raise UndoorError(f"{file}: pickles are trusted on Linux and macOS alone; use one of them")
    places = [*([code] if code else []), file.absolute().parent, Path.cwd()]
    reading, writing = os.pipe()
    given = {
        "file": str(file.absolute()),
        "key": key,
        "folder": str(folder),
        "seconds": SECONDS,
        "memory": 2 * GIB + 4 * file.stat().st_size,
        "pipe": writing,
        # After all that is installed, so that files beside a model replace no package.
        "path": [*(place for place in sys.path if place), *map(str, places)],
    }
    with os.fdopen(reading, "rb") as pipe:
        ended = _wait(_start(given, folder, writing), folder, MAX_WRITTEN + file.stat().st_size)
        report = pipe.read(LARGEST_TEXT)
    if ended == TOO_MUCH:
        raise UndoorError(f"{file} wrote more than its weights while it was opened; it was ended")
    if ended == TIMED_OUT:
        raise UndoorError(f"{file} was not opened within {SECONDS} s; the process was ended")
    try:
        return tuple(str(item) for item in json.loads(report))
    except ValueError as error:
        raise UndoorError(f"{file} could not be opened: its process ended at once") from error


def _start(given: dict[str, Any], folder: Path, pipe: int) -> subprocess.Popen[bytes]:
    """Start the process, which alone then holds the writing end of the pipe."""
    variables = ("PATH", "LD_LIBRARY_PATH", "LANG", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in variables if name in os.environ}
    home = [str(Path(__file__).parents[2]), *sys.path]
    code = (
        "import json, sys; given = json.loads(sys.argv[1]); sys.path[:] = given['home']; "
        "from undoor.load.opened import main; main(given)"
    )
    try:
        return subprocess.Popen(
            [sys.executable, "-c", code, json.dumps({**given, "home": home})],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**environment, "OMP_NUM_THREADS": "1"},
            cwd=folder,
            pass_fds=(pipe,),
            start_new_session=True,
        )
    finally:
        os.close(pipe)


def _wait(process: subprocess.Popen[bytes], folder: Path, room: int) -> int:
    """Return the exit code of a process, and end all that it started in its session.

    It may write `room` bytes into the folder, in all files together.
    """
    deadline = time.monotonic() + SECONDS + GRACE
    try:
        while time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_SECONDS)
            if not _fits(folder, room):
                return TOO_MUCH
        return TIMED_OUT
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _fits(folder: Path, room: int) -> bool:
    """Return whether the files in a folder stay within its room and within `MAX_ENTRIES`."""
    size = entries = 0
    try:
        for place, folders, files in walk(folder, changing=True):
            entries += len(folders) + len(files)
            for name in files:
                with suppress(OSError):
                    found = Path(place, name).lstat()
                    size += max(found.st_size, 512 * found.st_blocks)
            if size > room or entries > MAX_ENTRIES:
                return False
    except OSError:
        # A folder that cannot be listed.
        return False
    return True


def _text(file: Path) -> str:
    """Return a short text from an untrusted file, on one line."""
    if file.is_symlink() or not file.is_file():
        return ""
    with file.open("rb") as stream:
        text = stream.read(LARGEST_TEXT).decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _require_finite(file: Path, weights: Path) -> None:
    try:
        state = load_file(weights)
    except (SafetensorError, OSError, ValueError) as error:
        raise UndoorError(f"{file} gave tensors that cannot be read ({error})") from error
    bad = [k for k, v in state.items() if v.is_floating_point() and not bool(v.isfinite().all())]
    if bad:
        raise UndoorError(
            f"{file} holds NaN or infinity ({', '.join(bad[:3])}); expected finite weights"
        )


def _warning(file: Path, opened: Opened) -> str:
    how = ", ".join(opened.restrictions) or "nothing, since this system has no such restrictions"
    named = f" of the class {opened.class_name}" if opened.class_name else ""
    return (
        f"{file} is a pickled module{named} and was run in a process confined to: {how}; only its "
        "tensors are used, with the architecture that you name"
    )
