"""Extensions: what installed packages add to undoor through entry points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, TypeVar

from undoor.errors import UndoorError


@dataclass(frozen=True)
class Extension:
    """A loaded entry point.

    Attributes
    ----------
    name
        Name of the entry point.
    value
        The object that the entry point names.
    version
        Version of the package that declares it; empty if unknown.
    """

    name: str
    value: object
    version: str


def declared(group: str) -> tuple[str, ...]:
    """Return the names of the entry points in a group, without loading them.

    Parameters
    ----------
    group
        Name of the group, such as ``undoor.fits``.
    """
    return tuple(sorted({point.name for point in entry_points(group=group)}))


@cache
def extensions(group: str) -> tuple[Extension, ...]:
    """Load all entry points in a group.

    Loading one runs code of an installed package, but none of a model or a data set.

    Parameters
    ----------
    group
        Name of the group, such as ``undoor.families``.

    Returns
    -------
    tuple of Extension
        Sorted by name, so that the order does not depend on the order of installation.

    Raises
    ------
    UndoorError
        One cannot be loaded.
    """
    points = sorted(entry_points(group=group), key=lambda point: (point.name, point.value))
    return tuple(_loaded(point, group) for point in points)


def _loaded(point: EntryPoint, group: str) -> Extension:
    try:
        value = point.load()
    except Exception as error:  # The package may raise anything.
        raise UndoorError(
            f"expected the entry point {point.name} = {point.value} of the group {group} to load, "
            f"got {type(error).__name__}: {error}; repair or uninstall the package that adds it"
        ) from error
    return Extension(point.name, value, point.dist.version if point.dist else "")


class Named(Protocol):
    """An item of a registry."""

    @property
    def name(self) -> str:
        """The name under which the registry lists the item."""


Kind = TypeVar("Kind", bound=Named)
Item = TypeVar("Item")


def by_name(group: str, kind: type[Kind], built_in: Iterable[Kind], what: str) -> dict[str, Kind]:
    """Return a registry by name: the items of undoor, then those of installed packages.

    Parameters
    ----------
    group
        Name of the group of entry points.
    kind
        The class that each item must be an instance of.
    built_in
        The items of undoor.
    what
        What messages call the items, in the plural.

    Raises
    ------
    UndoorError
        An entry point cannot be loaded, is not of this class, or its name is taken.
    """
    found = {item.name: item for item in built_in}
    for extension in extensions(group):
        item = extension.value
        if not isinstance(item, kind):
            raise UndoorError(
                f"expected the entry point {extension.name} of {group} to be an "
                f"{kind.__module__}.{kind.__qualname__}, got {type(item).__name__}"
            )
        if item.name in found:
            raise UndoorError(
                f"expected {what} of different names, got {item.name!r} again from the entry "
                f"point {extension.name} of {group}; rename it"
            )
        found[item.name] = item
    return found


def require_named(items: Mapping[str, Item], name: str, what: str) -> Item:
    """Return an item of a registry by its name.

    Parameters
    ----------
    items
        All items by name.
    name
        The name of one.
    what
        What the message calls an item, with its article.

    Raises
    ------
    UndoorError
        There is no item of this name.
    """
    if name not in items:
        raise UndoorError(
            f"expected {what} ({', '.join(items)}), got {name!r}; if a package adds it, install "
            "that package"
        )
    return items[name]
