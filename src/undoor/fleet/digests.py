"""One SHA-256 over all that the result of a job depends on, without running any of it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from undoor.clean_set.shards import RANGE, expand
from undoor.device import CPU, fast_bfloat16
from undoor.errors import UndoorError
from undoor.files import sha256_of, walk, why
from undoor.fleet.job import Job
from undoor.journal import digest
from undoor.load import code_named_by
from undoor.load.spec import read_tables
from undoor.load.timm_models import is_name
from undoor.load.trust import NamedCode, code_named
from undoor.vocabulary import MODEL_FILE

# Libraries whose versions change what is computed, or what a model is built of.
LIBRARIES = ("torch", "numpy", "timm", "transformers", "torchvision", "onnx", "onnx2torch")
# Options that change when a result comes, or whether it does, but not the result.
WITHOUT_EFFECT = frozenset({"max_passes", "max_seconds", "memory", "remember_code"})
# Of a graph whose tensors may lie in files beside it.
GRAPH = ".onnx"
MODELS = frozenset(
    {".safetensors", ".pt", ".pth", ".pt2", ".ckpt", ".th", ".bin", ".pkl", ".onnx", ".ts"}
)
MAX_FILES = 1_000_000
SOURCES = (".py", ".toml")
EMPTY = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Digests:
    """The digests of jobs; each file is read once, and once more after it was written.

    Attributes
    ----------
    threads
        How many threads each scan computes with, which its last digits depend on.
    """

    threads: int = 1
    _known: dict[tuple[str, int, int, int], str] = field(default_factory=dict, repr=False)

    def key(self, job: Job) -> str:
        """Return the SHA-256 over model, data, options, libraries and the code of undoor.

        Raises
        ------
        UndoorError
            A file of the model or the data is missing or cannot be listed.
        """
        try:
            return digest(
                job.verb,
                self._of_model(job),
                self._of_data(Path(job.data)),
                {k: v for k, v in sorted(job.options.items()) if k not in WITHOUT_EFFECT},
                self._of_options(job),
                _environment(),
                self.threads,
                fast_bfloat16(CPU),
            )
        except OSError as error:
            raise UndoorError(
                f"{error.filename or job.model}: {why(error)}; check the path and its permissions"
            ) from error

    def _of_model(self, job: Job) -> list[tuple[str, str]]:
        model, architecture = Path(job.model), job.options.get("architecture")
        found = [(name, self._of_file(path)) for name, path in _files_of(model)]
        if isinstance(architecture, str):
            named = None if is_name(architecture) else code_named(architecture, {}, Path.cwd())
        else:
            named = code_named_by(model)
        return [*found, *self._of_code(named)]

    def _of_code(self, named: NamedCode | None) -> list[tuple[str, str]]:
        if named is None:
            return []
        if named.folder is None:
            root = named.architecture.partition(":")[0].partition(".")[0]
            return [("package", _package(root))]
        return [
            (os.path.relpath(file.path, named.folder), file.sha256)
            for file in sorted(named.files, key=lambda file: file.path)
        ]

    def _of_data(self, data: Path) -> list[tuple[str, str]]:
        if data.is_dir():
            return [(name, self._of_file(path)) for name, path in _inside(data)]
        if not data.exists() and RANGE.search(str(data)):
            return [(path.name, self._of_file(path)) for path in expand(str(data))]
        return [(data.name, self._of_file(data))]

    def _of_options(self, job: Job) -> list[tuple[str, str]]:
        """Return the files that options name."""
        named = (job.options.get(name) for name in ("calibration", "classes"))
        paths = [Path(value) for value in named if isinstance(value, str)]
        return [(path.name, self._of_file(path)) for path in paths if path.is_file()]

    def _of_file(self, path: Path) -> str:
        found = path.stat()
        # A file that was written since is another one.
        known = str(path.resolve()), found.st_ino, found.st_size, found.st_mtime_ns
        if known not in self._known:
            self._known[known] = _sha256(path)
        return self._known[known]


def _files_of(model: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a model with the names that they have in it."""
    if model.is_dir() and not (model / MODEL_FILE).is_file():
        yield from _inside(model)
        return
    weights: object = model
    if model.is_dir() or model.suffix == ".toml":
        file, tables = read_tables(model, {})
        yield file.name, file
        weights = tables.get("model", {}).get("weights")
    if isinstance(weights, str | Path):
        yield from _with_tensors(Path(weights))


def _with_tensors(weights: Path) -> Iterator[tuple[str, Path]]:
    """Yield a file of weights and, of a graph, what may hold its tensors."""
    yield weights.name, weights
    if weights.suffix == GRAPH:
        for path in sorted(weights.parent.iterdir()):
            if path.suffix not in MODELS and path.is_file():
                yield path.name, path


def _inside(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield all files below a folder with their names there, in a fixed order."""
    seen: set[Path] = set()
    count = 0
    for root, folders, names in walk(folder, follow_links=True):
        # A link to a folder above would lead in circles.
        place = Path(root).resolve()
        folders[:] = [] if place in seen else sorted(folders)
        seen.add(place)
        for name in sorted(names):
            count += 1
            if count > MAX_FILES:
                raise UndoorError(f"{folder} has more than {MAX_FILES:,} files; give fewer")
            path = Path(root, name)
            yield path.relative_to(folder).as_posix(), path


def _sha256(path: Path) -> str:
    """Return the SHA-256 of a file; of what is no ordinary one, what it is."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        return f"mode {stat.S_IFMT(found.st_mode):o}"
    if not found.st_size:
        return EMPTY
    return sha256_of(path)


@cache
def _environment() -> tuple[tuple[str, str], ...]:
    """Return the versions of libraries, and the digest of the code of undoor."""
    found = [("undoor", _package("undoor"))]
    for name in LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(found)


@cache
def _package(root: str) -> str:
    """Return a digest of the code of an installed package, with its settings and calibrations."""
    spec = find_spec(root)
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = [(name, path) for place in places for name, path in _inside(Path(place))]
    if spec and spec.origin and not places:
        files = [(root, Path(spec.origin))]
    return digest(*[(name, _sha256(path)) for name, path in files if path.suffix in SOURCES])
