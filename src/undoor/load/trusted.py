"""Open a pickle of a whole module because its user says so, as far away as the system allows.

The pickle is opened by another process without network, without writing and without starting
programs, where the system has such restrictions; it hands back tensors as safetensors, which are
checked like any stranger's. What it contained beside them, its code first of all, is lost.
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
# How often the confined process is looked at, and how much it may write beside its weights.
LOOK_SECONDS = 0.05
MAX_ENTRIES = 1000
MAX_WRITTEN = 2 * GIB
TOO_MUCH = 125
LARGEST_TEXT = 2000


class TrustedPickleWarning(UserWarning):
    """A pickle was run because the caller trusts it; tells how it was confined."""


@dataclass(frozen=True)
class Opened:
    """What came out of a trusted pickle.

    Attributes
    ----------
    weights
        Safetensors, in the folder that was given.
    restrictions
        That took effect, in words.
    class_name
        Of the pickled module, as it says itself.
    """

    weights: Path
    restrictions: tuple[str, ...]
    class_name: str


@contextmanager
def trusted_weights(path: Path, options: Tables) -> Iterator[Tables]:
    """Yield the options, with weights of plain tensors in the place of a pickled module, if it is
    one.

    Raises
    ------
    UndoorError
        It is unsafe in another way, cannot be opened, or holds NaN or infinity.
    """
    if path.is_dir() and not (path / MODEL_FILE).is_file():
        # The folders of hubs: no pickle is ever read there.
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
        told = {**options.get("model", {}), "weights": opened.weights, "key": ""}
        yield {**options, "model": told}


def open_trusted(
    file: Path,
    folder: Path,
    safety: FileSafety,
    *,
    key: str | None = None,
    code: Path | None = None,
) -> Opened:
    """Open a pickle in a confined process, which writes its tensors into `folder`.

    key : which of several state dicts or modules. code : a folder where the pickled classes may be,
        beside that of the file and the current one.

    Raises
    ------
    UndoorError
        It holds no whole module, names what no module needs, cannot be opened in time, or its
        tensors are not finite.
    """
    _require_module(file, safety)
    told = _run(file, folder, key, code)
    problem = _text(folder / PROBLEM)
    if problem:
        raise UndoorError(
            f"{file} could not be opened in a process of its own ({problem}); the code of its "
            "classes must be importable from here; or save model.state_dict() where it was made"
        )
    weights = folder / WEIGHTS
    if weights.is_symlink() or not weights.is_file() or not weights.stat().st_size:
        raise UndoorError(f"{file} gave no tensors: the process that opened it ended without them")
    require_safe_header(weights)
    _require_finite(file, weights)
    return Opened(weights, told, _text(folder / CLASS))


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
    """Return where the file lies that an architecture names."""
    source = architecture.rpartition(":")[0] if isinstance(architecture, str) else ""
    return Path(source).absolute().parent if is_file(source) else None


def _run(file: Path, folder: Path, key: str | None, code: Path | None) -> tuple[str, ...]:
    """Open the file in a confined process; the restrictions that took effect."""
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
        # Behind all that is installed: what lies beside a model stands in for nothing.
        "path": [*(place for place in sys.path if place), *map(str, places)],
    }
    with os.fdopen(reading, "rb") as pipe:
        ended = _wait(_start(given, folder, writing), folder, MAX_WRITTEN + file.stat().st_size)
        told = pipe.read(LARGEST_TEXT)
    if ended == TOO_MUCH:
        raise UndoorError(f"{file} wrote more than its weights while it was opened; it was ended")
    if ended == TIMED_OUT:
        raise UndoorError(f"{file} was not opened within {SECONDS} s; the process was ended")
    try:
        return tuple(str(item) for item in json.loads(told))
    except ValueError as error:
        raise UndoorError(f"{file} could not be opened: its process ended at once") from error


def _start(given: dict[str, Any], folder: Path, pipe: int) -> subprocess.Popen[bytes]:
    """Return the process, which alone holds the writing end of the pipe then."""
    kept = ("PATH", "LD_LIBRARY_PATH", "LANG", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
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
    """Return its exit code; nothing that it started in its own session is left.

    Parameters
    ----------
    room
        Bytes that may lie in the folder, whatever number of files they are in.
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
    """Return whether what lies in a folder stays within its room, and in a sane number of files."""
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
        # A folder that hides what lies in it.
        return False
    return True


def _text(file: Path) -> str:
    """Return a short text that a stranger may have written."""
    if file.is_symlink() or not file.is_file():
        return ""
    with file.open("rb") as stream:
        told = stream.read(LARGEST_TEXT).decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in told).split())


def _require_finite(file: Path, weights: Path) -> None:
    try:
        state = load_file(weights)
    except (SafetensorError, OSError, ValueError) as error:
        raise UndoorError(f"{file} gave tensors that cannot be read ({error})") from error
    bad = [k for k, v in state.items() if v.is_floating_point() and not bool(v.isfinite().all())]
    if bad:
        raise UndoorError(f"{file} holds NaN or infinity ({', '.join(bad[:3])}); it is refused")


def _warning(file: Path, opened: Opened) -> str:
    how = ", ".join(opened.restrictions) or "nothing: this system has no restrictions to offer"
    named = f" of the class {opened.class_name}" if opened.class_name else ""
    return (
        f"{file} is a pickled module{named} and was run, confined to: {how}; its tensors alone are "
        "used, the architecture is the one that you name"
    )
