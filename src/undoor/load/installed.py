"""Find installed modules, and import them without those in the working directory."""

from __future__ import annotations

import importlib
import re
import site
import sys
import sysconfig
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

STANDARD = frozenset({*sys.stdlib_module_names, *sys.builtin_module_names, "__main__"})


def is_standard(module: str) -> bool:
    """Return whether a module belongs to Python itself, as `os` and `builtins`."""
    return module.partition(".")[0] in STANDARD


def is_standard_file(file: Path) -> bool:
    """Return whether a file is one of Python's own."""
    path = file.resolve()
    homes = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    inside = any(path.is_relative_to(home) for home in homes)
    # Another Python's library is no better: /usr/lib/python3.12/os.py.
    other = path.stem in STANDARD and re.fullmatch(r"python\d(\.\d+)?", path.parent.name)
    return bool(other) or (inside and not _is_site(path))


def loose_places() -> list[Path]:
    """Return the entries of `sys.path` that depend only on where Python was started.

    They are the working directory and the folder of the script.
    """
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    started = [Path.cwd(), *([Path(script).resolve().parent] if script else [])]
    listed = {Path(place or ".").resolve() for place in sys.path}
    return [place for place in started if place in listed and not _is_site(place)]


def is_installed(root: str, loose: Collection[Path] | None = None) -> bool:
    """Return whether a top-level module is Python's own or installed; imports nothing.

    Parameters
    ----------
    root
        Name of the module.
    loose
        Entries of `sys.path` that hold no installed packages; None for `loose_places`.
    """
    return is_standard(root) or root == "undoor" or _installed(root, loose) is not None


def _installed(root: str, loose: Collection[Path] | None = None) -> ModuleSpec | None:
    loose = loose_places() if loose is None else loose
    paths = {place: Path(place or ".").resolve() for place in sys.path}
    firm = [place for place, path in paths.items() if path not in loose or _is_site(path)]
    for finder in sys.meta_path:
        if finder is PathFinder:
            spec = PathFinder.find_spec(root, firm)
        elif (find := getattr(finder, "find_spec", None)) is not None:
            spec = find(root, None)
        else:
            continue
        if spec is not None and _is_firm(spec, loose):
            return spec
    return None


def _is_firm(spec: ModuleSpec, loose: Collection[Path]) -> bool:
    if spec.origin is not None:
        file = Path(spec.origin).resolve()
        return _is_site(file) or not any(
            parent in loose for parent in (file.parent, file.parent.parent)
        )
    # A bare folder is a package only among installed ones: `nvidia`, not a folder `data` somewhere.
    return any(_is_site(Path(place)) for place in spec.submodule_search_locations or ())


def _is_site(place: Path) -> bool:
    return any(place.resolve().is_relative_to(folder) for folder in _site_folders())


@cache
def _site_folders() -> frozenset[Path]:
    """Return the folders of installed packages as Python has them, whatever they are called."""
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    return frozenset(Path(place).resolve() for place in places)


def hidden_places(folder: Path) -> list[Path]:
    """Return the folders that imports of an installed package must not search.

    They are the model's folder and the current one.
    """
    return [folder.resolve(), Path.cwd()]


@contextmanager
def without_places(places: Collection[Path]) -> Iterator[None]:
    """Take these folders off `sys.path`, and put them back afterwards."""
    taken = [
        (number, place)
        for number, place in enumerate(sys.path)
        if Path(place or ".").resolve() in places and not _is_site(Path(place or "."))
    ]
    for _, place in taken:
        sys.path.remove(place)
    try:
        yield
    finally:
        for number, place in taken:
            sys.path.insert(number, place)


def require_installed(root: str) -> None:
    """Refuse a top-level module that is only in the working directory or beside the script.

    Raises
    ------
    ModuleNotFoundError
        It is not installed.
    """
    if root not in sys.modules and not is_installed(root, [*loose_places(), Path.cwd()]):
        raise ModuleNotFoundError(f"no module named {root!r} is installed", name=root)


def import_installed(name: str, folder: Path) -> ModuleType:
    """Import an installed module, ignoring `folder` and the working directory.

    Raises
    ------
    ModuleNotFoundError
        It is not installed.
    """
    require_installed(name.partition(".")[0])
    with without_places(hidden_places(folder)):
        return importlib.import_module(name)
