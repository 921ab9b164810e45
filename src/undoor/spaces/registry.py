"""The registry of spaces: those of undoor, and those that installed packages add."""

from __future__ import annotations

from functools import cache

from undoor.errors import UndoorError
from undoor.extensions import by_name, require_named
from undoor.spaces.images import IMAGES
from undoor.spaces.points import POINTS
from undoor.spaces.rows import ROWS
from undoor.spaces.signals import SIGNALS
from undoor.spaces.space import Shape, Space
from undoor.spaces.tokens import TOKENS
from undoor.spaces.vectors import VECTORS
from undoor.vocabulary import SPACE_GROUP

REGISTRY: tuple[Space, ...] = (IMAGES, VECTORS, ROWS, SIGNALS, TOKENS, POINTS)


def spaces() -> tuple[Space, ...]:
    """Return all spaces: `REGISTRY`, then those of installed packages.

    A package adds one through an entry point of the group ``undoor.spaces`` that names an instance
    of a subclass of `undoor.spaces.space.Space`.

    Raises
    ------
    UndoorError
        An entry point cannot be loaded, is no space, or its name is taken.
    """
    return tuple(_by_name().values())


def space_named(name: str) -> Space:
    """Return the space with this name.

    Raises
    ------
    UndoorError
        There is no such space.
    """
    return require_named(_by_name(), name, "a space of inputs")


def find_space(name: str) -> Space | None:
    """Return the space with this name; None where it is not installed."""
    return _by_name().get(name)


def space_of(shape: Shape) -> Space:
    """Return the space of inputs of this shape, if no space is named.

    It is that of vectors if no space recognises the shape.

    Raises
    ------
    UndoorError
        Several installed spaces recognise the shape.

    Examples
    --------
    >>> space_of((3, 32, 32)), space_of((8,))
    (<space images>, <space vectors>)
    """
    for space in REGISTRY:
        if space.recognises(shape):
            return space
    added = [space for space in spaces()[len(REGISTRY) :] if space.recognises(shape)]
    if len(added) > 1:
        names = [space.name for space in added]
        raise UndoorError(
            f"inputs of shape {shape} may belong to the spaces {', '.join(names)}; name one, as "
            f"with space={names[0]!r}"
        )
    return added[0] if added else VECTORS


def space_for(shape: Shape, name: str | None) -> Space:
    """Return the space with this name, or `space_of` the shape if there is no name.

    Raises
    ------
    UndoorError
        There is no such space, or its inputs cannot have this shape.
    """
    if name is None:
        return space_of(shape)
    space = space_named(name)
    if not space.applies_to(shape):
        raise UndoorError(
            f"expected a shape of the space {name!r}, got {shape}; correct input_shape, or leave "
            f"the space out: that of this shape is {space_of(shape).name!r}"
        )
    return space


@cache
def _by_name() -> dict[str, Space]:
    return by_name(SPACE_GROUP, Space, REGISTRY, "spaces")  # type: ignore[type-abstract]
