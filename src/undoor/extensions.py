"""What installed packages add to undoor through entry points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, TypeVar

from undoor.errors import UndoorError


@dataclass(frozen=True)
class Extension:
    """One entry point, loaded.

    Attributes
    ----------
    name
        Of the entry point.
    value
        The object that it names.
    version
        Of the package that declares it; empty where that is not known.
    """

    name: str
    value: object
    version: str


def declared(group: str) -> tuple[str, ...]:
    """The names under which installed packages declare something in a group; nothing is loaded.

    Parameters
    ----------
    group
        Such as ``undoor.fits``.
    """
    return tuple(sorted({point.name for point in entry_points(group=group)}))


@cache
def extensions(group: str) -> tuple[Extension, ...]:
    """Everything that installed packages declare in a group of entry points.

    Loading one runs code of an installed package; nothing of a model or a data set is run.

    Parameters
    ----------
    group
        Such as ``undoor.families``.

    Returns
    -------
    tuple of Extension
        In the order of their names, so that it does not depend on the order of installation.

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
    except Exception as error:  # Whatever the code of another package raises.
        raise UndoorError(
            f"expected the entry point {point.name} = {point.value} of the group {group} to load, "
            f"got {type(error).__name__}: {error}; repair or uninstall the package that adds it"
        ) from error
    return Extension(point.name, value, point.dist.version if point.dist else "")


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str: ...


Kind = TypeVar("Kind", bound=Named)


def by_name(group: str, kind: type[Kind], own: Iterable[Kind], what: str) -> dict[str, Kind]:
    """A registry: what undoor has, and behind it what installed packages add.

    Parameters
    ----------
    group
        Of entry points.
    kind
        What each must be an instance of.
    own
        What undoor has.
    what
        How messages call these, in the plural.

    Raises
    ------
    UndoorError
        An entry point cannot be loaded, is something else, or has the name of another one.
    """
    found = {item.name: item for item in own}
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
