"""The files of a model: their formats and hashes, and what opening them would run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.files import walk
from undoor.load.check import FileSafety, examine, unreadable
from undoor.load.regular import open_regular, require_reachable
from undoor.load.spec import read_tables
from undoor.load.trust import NamedCode
from undoor.vocabulary import MODEL_FILE

MAX_FILES = 1000
# What holds no weights and is never opened by anything but a text reader. Everything else is
# examined by its content, whatever it is called.
TEXTS = frozenset({".json", ".md", ".txt", ".toml", ".yaml", ".yml", ".csv", ".cff"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg"})
NAMES = frozenset({"license", "notice", "readme", ".gitattributes", ".gitignore"})
SHOWN_GLOBALS = 50


@dataclass(frozen=True)
class FileFacts:
    """One file of a model.

    Attributes
    ----------
    path
        As the user would name it.
    format
        By its content; None where it could not be determined.
    size
        Bytes.
    sha256
        Of the whole file; None where it could not be read.
    globals
        What its pickles import, with the opcode of the pickle machine that does.
    problems
        What keeps it from being opened, in words; empty where it is safe.
    whole_module
        Whether it is a pickled `nn.Module`, which `--trust-pickle` would open.
    runs
        Whether opening the model would run it: Python code that another of its files names.
    inert
        Whether its problems keep it from being read, and yet nothing in it would run.
    """

    path: str
    format: str | None
    size: int | None
    sha256: str | None
    globals: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    whole_module: bool = False
    runs: bool = False
    inert: bool = False

    @property
    def safe(self) -> bool:
        """Whether nothing keeps the file from being opened."""
        return not self.problems

    @property
    def unreadable(self) -> bool:
        """Whether it cannot be read, so that nothing is known of what it runs, or is inert."""
        return self.format is None or self.inert

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON has them, and whether the file is safe."""
        return {
            "path": self.path,
            "format": self.format,
            "size": self.size,
            "sha256": self.sha256,
            "safe": self.safe,
            "globals": [{"name": name, "opcode": opcode} for name, opcode in self.globals],
            "problems": list(self.problems),
            "whole_module": self.whole_module,
            "runs": self.runs,
        }


def inspect_files(model: Path) -> tuple[FileFacts, ...]:
    """Return the facts of a model's files, weights first, without running any of them.

    Parameters
    ----------
    model
        A checkpoint; a model.toml, whose weights are examined too; or a folder, all of whose files
        are examined, also those in sub-folders.

    Raises
    ------
    UndoorError
        The model does not exist, its model.toml is malformed, or a folder has too many files.
    """
    require_reachable(model, "the model", "")
    return tuple(_facts(path) for path in _files_of(model))


def code_files(named: NamedCode, others: Sequence[FileFacts]) -> tuple[FileFacts, ...]:
    """Return the facts of the Python files that opening a model would run, other than `others`."""
    listed = {file.path for file in others}
    return tuple(
        FileFacts(file.path, "Python code, would run", _size(file.path), file.sha256, runs=True)
        for file in named.files
        if file.path not in listed
    )


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def weights_of(model: Path) -> Path | None:
    """Return the file with a model's weights; None where it has none, or several.

    Raises
    ------
    UndoorError
        As `inspect_files`.
    """
    found = [path for path in _files_of(model) if not _is_text(path)]
    return found[0] if len(found) == 1 else None


def _files_of(model: Path) -> list[Path]:
    if model.is_dir() and not (model / MODEL_FILE).is_file():
        return _files_in(model)
    if model.is_dir() or model.suffix == ".toml":
        file, tables = read_tables(model, {})
        weights = tables.get("model", {}).get("weights")
        return [Path(weights), file] if isinstance(weights, str | Path) else [file]
    return [model]


def _files_in(folder: Path) -> list[Path]:
    found: list[Path] = []
    for root, folders, names in walk(folder):
        links = [name for name in folders if Path(root, name).is_symlink()]
        found += [Path(root, name) for name in (*links, *names)]
        if len(found) > MAX_FILES:
            raise UndoorError(
                f"{folder} has more than {MAX_FILES} files; expected the folder of one model"
            )
    if not found:
        raise UndoorError(f"{folder} is empty; expected the folder of a model")
    return sorted(found, key=lambda path: (_is_text(path), str(path)))


def _is_text(path: Path) -> bool:
    return path.suffix.lower() in TEXTS | PICTURES | {".py"} or path.name.lower() in NAMES


def _facts(path: Path) -> FileFacts:
    try:
        with open_regular(path) as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except (UndoorError, OSError) as error:
        return FileFacts(str(path), None, None, None, problems=(_without(error, path),))
    if path.suffix.lower() == ".py":
        return FileFacts(str(path), "Python code, not run", size, sha256)
    if _is_text(path):
        kind = "picture" if path.suffix.lower() in PICTURES else "text"
        return FileFacts(str(path), kind, size, sha256)
    try:
        safety = examine(path)
    except UndoorError as error:
        return FileFacts(str(path), None, size, sha256, problems=(_without(error, path),))
    return FileFacts(
        str(path),
        safety.format,
        size,
        sha256,
        safety.globals[:SHOWN_GLOBALS],
        (unreadable(safety),) if safety.inert else _problems(safety),
        whole_module=not safety.inert and safety.whole_module,
        inert=safety.inert,
    )


def _problems(safety: FileSafety) -> tuple[str, ...]:
    """Return what keeps a file from being opened, in words, at most `SHOWN_GLOBALS` of them."""
    problems = [
        f"{breach.opcode} {breach.name}: {breach.why}" if breach.name else breach.why
        for breach in safety.breaches
    ]
    more = len(problems) - SHOWN_GLOBALS
    return (*problems[:SHOWN_GLOBALS], *([f"and {more} more"] if more > 0 else []))


def _without(error: Exception, path: Path) -> str:
    return str(error).removeprefix(f"{path} ").removeprefix(f"{path}: ")
