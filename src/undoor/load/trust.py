"""Trust in code that a file of the model names, which runs only if the user trusts it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.files import walk, why, write_json
from undoor.load.folder_code import below, located, read_source
from undoor.load.targets import Target, parse_target
from undoor.origin import CodeFile

# Installed modules that hold networks and nothing that does more than build one.
HARMLESS = frozenset(
    {
        "undoor.networks",
        "undoor.signal_networks",
        "undoor.point_networks",
        "undoor.row_networks",
        "undoor.text_networks",
        "undoor.demo.network",
    }
)
TORCHVISION = "torchvision.models"
# Its builders of image classifiers. Its other functions take any name (get_model), or fetch the
# weights of a backbone by default (fcn_resnet50).
CLASSIFIERS = re.compile(
    r"alexnet|googlenet|inception_v3|maxvit_t|vgg(11|13|16|19)(_bn)?|resnet(18|34|50|101|152)"
    r"|resnext(50_32x4d|101_32x8d|101_64x4d)|wide_resnet(50|101)_2|densenet(121|161|169|201)"
    r"|mobilenet_(v2|v3_small|v3_large)|efficientnet_(b[0-7]|v2_[sml])"
    r"|regnet_(x|y)_(400mf|800mf|1_6gf|3_2gf|8gf|16gf|32gf|128gf)"
    r"|convnext_(tiny|small|base|large)|swin_(v2_)?[tsb]|vit_(b_16|b_32|l_16|l_32|h_14)"
    r"|shufflenet_v2_x(0_5|1_0|1_5|2_0)|squeezenet1_[01]|mnasnet(0_5|0_75|1_0|1_3)"
)
SCHEMA = "undoor/trusted-code/1"
MAX_FILES = 1000
MAX_STORE = 2**24


@dataclass(frozen=True)
class NamedCode:
    """Code that a file of the model names, and that opening the model would run.

    Attributes
    ----------
    architecture
        As the file has it.
    arguments
        Keyword arguments of its callable.
    folder
        With the code; None where it belongs to an installed package.
    files
        Every Python file of the folder, the named one first.
    """

    architecture: str
    arguments: Mapping[str, Any]
    folder: Path | None
    files: tuple[CodeFile, ...] = ()

    @property
    def remembered(self) -> bool:
        """Whether the user has trusted exactly these files and this call until they change."""
        if self.folder is None:
            return False
        store = _store()
        return not store.is_relative_to(self.folder) and self._entry() == _read(store).get(
            str(self.folder)
        )

    def remember(self) -> Path:
        """Trust these files until one of them changes, and return the file that records it.

        Raises
        ------
        UndoorError
            The code is that of an installed package, or that record would be in the folder of the
            model.
        """
        store = _store()
        if self.folder is None:
            raise UndoorError(
                f"{self.architecture} belongs to an installed package, whose files are not "
                "remembered; name it with --architecture, which needs no trust"
            )
        if store.is_relative_to(self.folder):
            raise UndoorError(
                f"{store} is in the folder of the model, where trust is never remembered; "
                "set XDG_CONFIG_HOME to another folder"
            )
        folders = {**_read(store), str(self.folder): self._entry()}
        write_json(store, {"schema": SCHEMA, "folders": folders})
        store.chmod(0o600)
        return store

    def _entry(self) -> dict[str, Any]:
        # By the resolved path of the file, since the architecture may have a relative one.
        _, _, name = self.architecture.rpartition(":")
        first = self.files[0].path if self.files else ""
        call = json.dumps([first, name, dict(self.arguments)], sort_keys=True, default=str)
        return {
            "call": hashlib.sha256(call.encode()).hexdigest(),
            "files": {file.path: file.sha256 for file in self.files},
        }


def code_named(
    architecture: object, arguments: Mapping[str, Any], folder: Path
) -> NamedCode | None:
    """Return the code that a model.toml in `folder` names; None where it is harmless or absent.

    Raises
    ------
    UndoorError
        There is no such code, or it belongs to Python itself.
    """
    if not isinstance(architecture, str):
        return None
    target = parse_target(architecture)
    place = target.folder(folder, by_file=True)
    if place is None and _is_harmless(target):
        return None
    return NamedCode(
        architecture, arguments, place, () if place is None else _importable(place, target)
    )


def require_trusted(named: NamedCode | None, *, trust_code: bool) -> Mapping[str, str] | None:
    """Return the SHA-256 by path of the files that may be run; None where any may.

    Parameters
    ----------
    named
        The code; None where there is none.
    trust_code
        Whether the caller trusts it.

    Raises
    ------
    UndoorError
        The code is not trusted.
    """
    if named is None or trust_code:
        return None
    if named.remembered:
        return {file.path: file.sha256 for file in named.files}
    raise UndoorError(refusal(named))


def refusal(named: NamedCode) -> str:
    """Return why a model is not opened because of its code, and how it can be."""
    if named.folder is None:
        return (
            f"a file of the model names {named.architecture} of an installed package as its "
            "architecture, which opening the model would run; name it yourself (--architecture), "
            "or trust it (--trust-code, trust_code=True)"
        )
    first, others = named.files[0], len(named.files) - 1
    more = f", with {others} other Python files in its folder" if others > 1 else ""
    more = ", with another Python file in its folder" if others == 1 else more
    return (
        f"opening the model would run Python code that the model itself names: {first.path} "
        f"(SHA-256 {first.sha256}{more}); look at it (`undoor inspect` lists every file), then "
        "trust it once (--trust-code, trust_code=True), or until a file changes: undoor inspect "
        "MODEL --remember-code"
    )


def _is_harmless(target: Target) -> bool:
    if target.source == TORCHVISION:
        return CLASSIFIERS.fullmatch(target.name) is not None
    return target.source in HARMLESS


def _importable(folder: Path, target: Target) -> tuple[CodeFile, ...]:
    """Return every Python file of the folder, the named one first."""
    if target.is_file:
        first = Path(target.source).resolve()
    else:
        root, *inner = target.source.split(".")
        first = below(folder, [root, *inner]) or located(folder, root) or folder
    found = [first] if first.is_file() else []
    # Also where no import statement leads: the named file can put any folder on `sys.path`.
    try:
        for place, folders, names in walk(folder):
            folders[:] = sorted(name for name in folders if _is_searched(Path(place, name)))
            paths = (Path(place, name) for name in sorted(names) if Path(name).suffix == ".py")
            found += [path for path in paths if path != first and path.is_file()]
            if len(found) > MAX_FILES:
                raise UndoorError(
                    f"{folder} has more than {MAX_FILES} Python files; expected the folder of one "
                    "model; name the architecture yourself (--architecture)"
                )
    except OSError as error:
        raise UndoorError(
            f"{error.filename or folder}: {why(error)}, so the Python files that the model could "
            "run cannot all be listed; let it be read, or name the architecture yourself "
            "(--architecture)"
        ) from error
    return tuple(
        CodeFile(str(path), hashlib.sha256(read_source(path)).hexdigest()) for path in found
    )


def _is_searched(folder: Path) -> bool:
    # Packages installed in the running environment may be imported with any model.
    return not folder.is_symlink() and folder.resolve() != Path(sys.prefix).resolve()


def _store() -> Path:
    """Return the file in the user's configuration that records trusted code."""
    given = os.environ.get("APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME", "")
    home = Path(given) if Path(given).is_absolute() else Path.home() / ".config"
    return (home / "undoor" / "trusted-code.json").resolve()


def _read(store: Path) -> dict[str, Any]:
    if not store.is_file():
        return {}
    try:
        with store.open("rb") as stream:
            content = json.loads(stream.read(MAX_STORE))
        folders = content["folders"] if content["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UndoorError(
            f"{store} cannot be read ({type(error).__name__}); remove it, and trust again"
        ) from error
    if not isinstance(folders, dict):
        raise UndoorError(f"{store} is not of the schema {SCHEMA}; remove it, and trust again")
    return folders
