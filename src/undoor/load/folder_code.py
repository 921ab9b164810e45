"""Import Python files of a folder under private names, from their source.

A folder's modules are found by the code of that folder alone: `sys.path` stays as it is, two
folders may have modules of one name, and nothing of a folder replaces an installed package. Every
file is read once; what is hashed is what is compiled. Compiled files beside it
(`__pycache__`) are neither read nor written.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.util
import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from undoor.errors import UndoorError
from undoor.load.installed import hidden_places, is_installed, loose_places, without_places
from undoor.load.regular import open_regular
from undoor.origin import CodeFile

PREFIX = "undoor_code_"
MAX_SOURCE = 2**22
_numbers = itertools.count()


class FolderCode:
    """The Python files of one folder, each imported once, and a record of those that were run.

    Parameters
    ----------
    folder
        Where modules are looked for.
    expected
        The SHA-256 of every file that may run, by its path; any file where it is None.
    """

    def __init__(self, folder: Path, expected: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.name = f"{PREFIX}{next(_numbers)}"
        self._expected = expected
        self._ran: dict[str, str] = {}
        self._roots: dict[str, Path] = {}
        # Folders that the code itself puts on sys.path are searched as well, behind its own.
        self._added: list[Path] = []
        self._path_before: list[str] | None = None
        root = ModuleType(self.name)
        root.__path__ = []
        sys.modules[self.name] = root
        _FINDER.folders[self.name] = self
        if _FINDER not in sys.meta_path:
            sys.meta_path.append(_FINDER)

    @property
    def files(self) -> tuple[CodeFile, ...]:
        """The files that were run so far, in the order in which they were."""
        return tuple(CodeFile(path, sha256) for path, sha256 in self._ran.items())

    def import_file(self, file: Path) -> ModuleType:
        """Return the module of a file of the folder."""
        stem = "".join(c if c.isalnum() else "_" for c in file.stem)
        self._roots[stem] = file
        return importlib.import_module(f"{self.name}.{stem}")

    def import_module(self, name: str) -> ModuleType:
        """Return the module `name` of the folder, with dots for what is inside packages."""
        return importlib.import_module(f"{self.name}.{name}")

    def has(self, root: str) -> bool:
        """Return whether a module of this name can be imported from the folder."""
        return self._located(root) is not None

    @contextmanager
    def building(self) -> Iterator[None]:
        """Take what the code puts on `sys.path` off again, and search it for its imports alone."""
        self._path_before = before = list(sys.path)
        try:
            yield
        finally:
            self._added = self._loose()
            self._path_before = None
            sys.path[:] = before

    def _loose(self) -> list[Path]:
        """Return folders on `sys.path`, now or during the building, without installed packages."""
        before = sys.path if self._path_before is None else self._path_before
        added = [Path(place).resolve() for place in sys.path if place not in before]
        return list(dict.fromkeys([*self._added, *added, *loose_places()]))

    def source_of(self, file: Path) -> bytes:
        """Return the source of a file that is about to run.

        Raises
        ------
        UndoorError
            It cannot be read, or is not as it was when it was trusted.
        """
        data = read_source(file)
        sha256 = hashlib.sha256(data).hexdigest()
        if self._expected is not None and self._expected.get(str(file)) != sha256:
            raise UndoorError(
                f"{file} is not among the files that are trusted, or has changed since "
                f"(SHA-256 {sha256}); look at it, then give --trust-code (trust_code=True) again"
            )
        self._ran[str(file)] = sha256
        return data

    def spec_of(self, name: str) -> ModuleSpec | None:
        """Return the module of a private name; None where the folder has no such file."""
        root, *inner = name.removeprefix(f"{self.name}.").split(".")
        found = self._located(root)
        if found is not None and inner:
            folder = found if found.is_dir() else found.parent
            has_inner = found.is_dir() or found.name == "__init__.py"
            found = below(folder, inner) if has_inner else None
        if found is None:
            return None
        # The file that was named is no package, even where it is called __init__.py.
        is_package = found.is_dir() or (found.name == "__init__.py" and root != "__init__")
        loader = _SourceLoader(self, found, is_package=is_package)
        spec = importlib.util.spec_from_loader(name, loader, origin=str(found))
        if spec is not None and found.is_file():
            spec.has_location = True
        return spec

    def _located(self, root: str) -> Path | None:
        if root not in self._roots and root.isidentifier():
            places = [self.folder, *self._loose()]
            found = next((file for place in places if (file := located(place, root))), None)
            if found is not None:
                self._roots[root] = found
        return self._roots.get(root)

    def import_(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> ModuleType:
        """Import a module as code of the folder does: installed packages first, then the folder."""
        root = name.partition(".")[0]
        if level == 0 and not name.startswith(PREFIX):
            if not is_installed(root, self._loose()) and self.has(root):
                inside = f"{self.name}.{name}"
                module = builtins.__import__(inside, globals, locals, fromlist, 0)
                return module if fromlist else sys.modules[f"{self.name}.{root}"]
            if root not in sys.modules:
                with without_places(hidden_places(self.folder)):
                    return builtins.__import__(name, globals, locals, fromlist, 0)
        return builtins.__import__(name, globals, locals, fromlist, level)


class _SourceLoader(InspectLoader):
    """Runs a file of a folder from its source, or makes an empty package of a sub-folder."""

    def __init__(self, code: FolderCode, file: Path, *, is_package: bool) -> None:
        self.code, self.file = code, file
        self.source: bytes | None = None
        self._is_package = is_package

    def get_source(self, fullname: str) -> str | None:
        return None if self.source is None else importlib.util.decode_source(self.source)

    def is_package(self, fullname: str) -> bool:
        return self._is_package

    def get_code(self, fullname: str) -> CodeType | None:
        if self.file.is_dir():
            return None
        self.source = self.code.source_of(self.file)
        return compile(self.source, str(self.file), "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        compiled = self.get_code(module.__name__)
        if compiled is None:
            return
        # Functions keep the builtins of the module that they are defined in, so that an import
        # inside of one, run later, finds the folder as well.
        private = {**vars(builtins), "__import__": self.code.import_}
        module.__dict__["__builtins__"] = private
        exec(compiled, module.__dict__)


class _Finder(MetaPathFinder):
    """Finds modules by their private names, and no others."""

    def __init__(self) -> None:
        self.folders: dict[str, FolderCode] = {}

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        code = self.folders.get(fullname.partition(".")[0])
        return None if code is None or "." not in fullname else code.spec_of(fullname)


_FINDER = _Finder()


def below(folder: Path, names: list[str]) -> Path | None:
    """Return the file of a module inside packages of a folder; links are not followed."""
    for name in names[:-1]:
        folder = folder / name
        if not name.isidentifier() or folder.is_symlink():
            return None
    return located(folder, names[-1]) if names[-1].isidentifier() else None


def located(folder: Path, name: str) -> Path | None:
    """Return the file of a module in a folder: a package, a module, or a folder of modules.

    They are tried in this order, as Python does.
    """
    inside = folder / name
    if inside.is_symlink():
        return None
    for file in (inside / "__init__.py", folder / f"{name}.py"):
        if file.is_file():
            return file
    has_modules = inside.is_dir() and any(
        path.suffix == ".py" or path.is_dir() for path in inside.iterdir()
    )
    return inside if has_modules else None


def read_source(file: Path) -> bytes:
    """Return the bytes of a source file, which may be empty.

    Raises
    ------
    UndoorError
        It is no ordinary file, or larger than any source.
    """
    if file.is_file() and file.stat().st_size == 0:
        return b""
    with open_regular(file) as stream:
        data = stream.read(MAX_SOURCE + 1)
    if len(data) > MAX_SOURCE:
        raise UndoorError(
            f"{file} is larger than {MAX_SOURCE // 2**20} MiB; expected Python source"
        )
    return data
