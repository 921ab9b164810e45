"""What installed packages add to undoor through entry points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

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
