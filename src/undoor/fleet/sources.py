"""Find the models that paths, patterns and folders stand for."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from undoor.errors import UndoorError
from undoor.files import other_spelling, walk, why
from undoor.fleet import oci
from undoor.fleet.digests import MODELS
from undoor.vocabulary import MODEL_FILE

# What makes a folder one model: ours, and those of Transformers and timm.
MARKS = (MODEL_FILE, "config.json")
PATTERN = re.compile(r"[*?[]")
# The cache of Hugging Face: models--OWNER--NAME/snapshots/REVISION.
HUB, SNAPSHOTS = "models--", "snapshots"


@dataclass(frozen=True)
class Found:
    """A model that was found.

    Attributes
    ----------
    path
        Of the model.
    parts
        The names that lead there, from which it gets one of its own; the last is the nearest.
    """

    path: str
    parts: tuple[str, ...]


def find_models(
    arguments: Sequence[str], downloads: Path, *, may_be_empty: bool = False
) -> list[Found]:
    """Return the models that arguments stand for, each once, in a fixed order.

    Parameters
    ----------
    arguments
        Models, folders of models, OCI layouts, caches of Hugging Face, and patterns such as
        ``zoo/*/model.toml``.
    downloads
        Where the models of an OCI layout are laid out.
    may_be_empty
        Whether a pattern or a folder may lead to no model.

    Raises
    ------
    UndoorError
        A pattern or a folder leads to no model, or a folder cannot be listed.
    """
    found: dict[str, Found] = {}
    for argument in arguments:
        items = list(_of_argument(argument, downloads))
        if not items and not may_be_empty:
            raise UndoorError(
                f"{argument} leads to no model; expected a model, folders with a {MODEL_FILE} or a "
                f"config.json, or files that end in {', '.join(sorted(MODELS))}"
            )
        for item in items:
            found.setdefault(os.path.realpath(item.path), item)
    return list(found.values())


def distinct(parts: Sequence[tuple[str, ...]], *, taken: Collection[str] = ()) -> list[str]:
    """Return a name for each model, unlike all others: as few parts of its path as it takes.

    Parameters
    ----------
    parts
        Of each model, as of `Found`.
    taken
        Names that others have.

    Examples
    --------
    >>> distinct([("zoo", "a"), ("old", "a"), ("old", "b")])
    ['zoo/a', 'old/a', 'b']
    """
    used = [1] * len(parts)
    while True:
        names = ["/".join(p[-n:]) for p, n in zip(parts, used, strict=True)]
        counts = Counter([*names, *taken])
        longer = [
            n + 1 if counts[name] > 1 and n < len(p) else n
            for p, n, name in zip(parts, used, names, strict=True)
        ]
        if longer == used:
            return _numbered(names, taken)
        used = longer


def _numbered(names: Sequence[str], taken: Collection[str]) -> list[str]:
    """Return the names, with a number behind those that are the same to the end."""
    used, out = set(taken), []
    for name in names:
        free = (f"{name} ({number})" for number in count(2))
        out.append(name if name not in used else next(n for n in free if n not in used))
        used.add(out[-1])
    return out


def _of_argument(argument: str, downloads: Path) -> Iterator[Found]:
    path = Path(argument)
    if os.path.lexists(path):
        yield from _of_path(path, downloads)
        return
    if not PATTERN.search(argument):
        raise UndoorError(
            f"{argument} does not exist{other_spelling(path)}; expected a model, a folder of "
            "models, a pattern such as 'zoo/*', or a table in CSV or TOML"
        )
    for match in map(Path, sorted(glob.glob(argument, recursive=True))):  # noqa: PTH207
        if match.is_dir() or is_model(match):
            yield from _of_path(match, downloads)


def is_model(path: Path) -> bool:
    """Return whether a path looks like one model, by its name and the names inside it."""
    if path.is_dir():
        return any((path / mark).is_file() for mark in MARKS)
    return path.name == MODEL_FILE or path.suffix in MODELS


def _of_path(path: Path, downloads: Path) -> Iterator[Found]:
    if not path.is_dir() or is_model(path):
        yield Found(str(path), parts_of(path))
        return
    if oci.is_layout(path):
        yield from (
            Found(str(made), (*parts_of(path), name))
            for name, made in oci.laid_out(path, downloads).items()
        )
        return
    yield from sorted(_below(path), key=lambda item: item.path)


def _below(folder: Path) -> Iterator[Found]:
    """Yield the models below a folder; a folder that is one model is not looked into."""
    seen: set[Path] = set()
    try:
        for root, folders, names in walk(folder, follow_links=True):
            place = Path(root)
            if place.resolve() in seen:
                folders.clear()
                continue
            seen.add(place.resolve())
            if place != folder and is_model(place):
                folders.clear()
                yield Found(str(place), parts_of(place))
                continue
            # Blobs of a cache have no names; its snapshots link to them.
            hub = place.name.startswith(HUB)
            folders[:] = sorted(f for f in folders if f[:1] != "." and (not hub or f == SNAPSHOTS))
            files = (place / name for name in sorted(names) if name[:1] != ".")
            yield from (Found(str(file), parts_of(file)) for file in files if is_model(file))
    except OSError as error:
        raise UndoorError(
            f"{error.filename or folder}: {why(error)}; let it be listed, or name its models"
        ) from error


def parts_of(path: Path) -> tuple[str, ...]:
    """Return the names that lead to a model, without those that say nothing.

    >>> parts_of(Path("/zoo/a/model.toml"))[-2:]
    ('zoo', 'a')
    >>> parts_of(Path("/hub/models--x--y/snapshots/3f"))[-2:]
    ('x/y', '3f')
    """
    # Links keep their own names.
    parts = Path(os.path.abspath(path)).parts[1:]  # noqa: PTH100
    if path.name == MODEL_FILE:
        parts = parts[:-1]
    kept = [part for part in parts if part != SNAPSHOTS]
    return tuple(
        part.removeprefix(HUB).replace("--", "/") if part.startswith(HUB) else part for part in kept
    )
