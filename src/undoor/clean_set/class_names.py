"""Match the class names of the data with those of the model, by name wherever both have names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from undoor.clean_set.labels import require_names, require_number
from undoor.errors import UndoorError

Classes = Sequence[str] | Mapping[str, str | int | None]
NAMED = 8
LEFT_OUT = -1

# The beginning of the note about the order in which names are numbered.
UNNAMED = "the model has no class names"


class Numbering(NamedTuple):
    """The numbers of the names found.

    Attributes
    ----------
    numbers
        The class number of each name; `LEFT_OUT` (-1) for those that are left out.
    names
        The names of all classes; None where there are none.
    notes
        What was assumed, in words.
    """

    numbers: dict[str, int]
    names: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The names that the images of `source` carry.

    Attributes
    ----------
    declared
        The names of all classes in the order of the data's numbers, where the data declares it.
    """

    names: Sequence[str]
    source: str
    declared: tuple[str, ...] | None = None


def number(
    found: Found, model_names: Sequence[str] | None, classes: Classes | None = None
) -> Numbering:
    """Return the class numbers of the names found, as the model numbers its classes.

    By name if the model or `classes` has names; names of digits by value where the model's
    names are words; without any names in the order that the data declares, else sorted, as most
    training code does.

    Parameters
    ----------
    found
        The names that the data carries.
    model_names
        The model's class names; None where there is no model yet.
    classes
        How the data calls the model's classes: names in the order of the model's numbers, or for
        each name of the data a class of the model, by name or number, or None to leave it out.

    Raises
    ------
    UndoorError
        A name is no class of the model, or two names are the same class.
    """
    require_names(found.names, found.source)
    require_names(found.declared or (), found.source)
    model_names = None if model_names is None else [str(name) for name in model_names]
    if isinstance(classes, Mapping):
        return _by_pairs(found, model_names, classes)
    if classes is not None:
        return _by_list(found, model_names, [str(name) for name in classes])
    if model_names is None:
        return _by_itself(found)
    if found.declared == tuple(model_names):
        _require_declared(found)
        places = _places(model_names)
        return Numbering({name: places[name][0] for name in found.names}, tuple(model_names))
    numbers = match(found.names, model_names)
    if is_named(model_names) or len(numbers) == len(found.names):
        if not numbers and all(name.isdecimal() for name in found.names):
            return Numbering(_by_value(found), tuple(model_names))
        return Numbering(_all_of(found, numbers, model_names), tuple(model_names))
    numbering = _by_itself(found)
    if numbering.names is not None:
        numbering = _counted(numbering, found, len(model_names))
    return numbering


def is_named(names: Sequence[str]) -> bool:
    """Return whether these are names, and not merely the numbers 0, 1, 2, ...

    Transformers writes LABEL_0, LABEL_1, ... where it was given no names.
    """
    return any(name not in (str(i), f"LABEL_{i}") for i, name in enumerate(names))


def match(found: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """Return the place in `names` of each name that is there exactly once.

    Another spelling (case, `_`, `-`) is matched if only one name fits.
    """
    exact, alike = _places(names), _places([_folded(name) for name in names])
    out: dict[str, int] = {}
    for name in found:
        places = exact.get(name) or alike.get(_folded(name), [])
        if len(places) == 1:
            out[name] = places[0]
    return out


def _by_itself(found: Found) -> Numbering:
    if found.declared is not None:
        _require_declared(found)
        places = {name: i for i, name in reversed(list(enumerate(found.declared)))}
        return Numbering({name: places[name] for name in found.names}, found.declared)
    if all(name.isdecimal() for name in found.names):
        return Numbering(_by_value(found), None)
    ordered = sorted(found.names)
    return Numbering({name: i for i, name in enumerate(ordered)}, tuple(ordered))


def _require_declared(found: Found) -> None:
    unknown = [name for name in found.names if name not in (found.declared or ())]
    if unknown:
        raise UndoorError(
            f"{_quoted(unknown)} of {found.source} {_are(unknown)} not among the classes that it "
            f"declares ({_listing(found.declared or ())}); give one of these as each label"
        )


def _by_value(found: Found) -> dict[str, int]:
    """Return the numbers that the names are: '00014' is 14, and gaps are allowed."""
    numbers = {name: int(name) for name in found.names}
    require_number(max(numbers.values(), default=0), found.source)
    return _distinct(found, numbers)


def _counted(numbering: Numbering, found: Found, count: int) -> Numbering:
    """Return the numbering for a model without class names, whose number of classes must match."""
    names = numbering.names or ()
    if len(names) != count:
        raise UndoorError(
            f"{found.source} has {len(names)} classes ({_listing(names)}), but the model has "
            f"{count} classes without names; name the class folders by class number, or give the "
            "model's class names (--class-names, or --classes as the data calls them)"
        )
    how = "as the data numbers them" if found.declared else "in sorted order"
    note = (
        f"{UNNAMED}, so those of {found.source} are taken {how}: "
        f"{_listing([f'{i} {name}' for i, name in enumerate(names)])}; if the model was trained "
        "with another order, give --classes"
    )
    return Numbering(numbering.numbers, names, (note,))


def _by_list(found: Found, model_names: Sequence[str] | None, classes: Sequence[str]) -> Numbering:
    if model_names is not None and len(classes) != len(model_names):
        raise UndoorError(
            f"--classes has {len(classes)} names, but the model has {len(model_names)} "
            "classes; give one name per class in the order of the model's numbers, or a .json "
            "object from the data's names to the model's"
        )
    numbers = _all_of(found, match(found.names, classes), classes, "among --classes")
    return Numbering(numbers, tuple(classes if model_names is None else model_names))


def _by_pairs(
    found: Found, model_names: Sequence[str] | None, pairs: Mapping[str, str | int | None]
) -> Numbering:
    if model_names is None:
        raise UndoorError("classes that map names to a model's need the model; give a classifier")
    missing = [name for name in found.names if name not in pairs]
    if missing:
        raise UndoorError(
            f"{_quoted(missing)} of {found.source} {_are(missing)} not among the names that "
            "--classes maps; map each of them to a class of the model, or to null to leave it out"
        )
    numbers = {name: _class_of(name, pairs[name], model_names) for name in found.names}
    return Numbering(numbers, tuple(model_names))


def _class_of(name: str, to: str | int | None, model_names: Sequence[str]) -> int:
    if to is None:
        return LEFT_OUT
    if isinstance(to, int) and 0 <= to < len(model_names):
        return to
    places = match([to], model_names) if isinstance(to, str) else {}
    if not places:
        near = difflib.get_close_matches(str(to), model_names, 1, 0.0)
        raise UndoorError(
            f"--classes maps {name!r} to {to!r}, which is no class of the model; its classes are "
            f"0 to {len(model_names) - 1}" + (f", the nearest name is {near[0]!r}" if near else "")
        )
    return places[str(to)]


def _all_of(
    found: Found, numbers: dict[str, int], model_names: Sequence[str], where: str = "the model's"
) -> dict[str, int]:
    unknown = [name for name in found.names if name not in numbers]
    if not unknown:
        return _distinct(found, numbers)
    filled = set(numbers.values())
    empty = [name for i, name in enumerate(model_names) if i not in filled]
    listing = ", ".join(_with_nearest(name, model_names) for name in unknown[:NAMED])
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    left = f"; without images then: {_listing(empty)}" if empty else ""
    raise UndoorError(
        f"{len(unknown)} of the {len(found.names)} class names of {found.source} {_are(unknown)} "
        f"not {where}: {listing}{more}{left}; rename them, or map them with --classes"
    )


def _with_nearest(name: str, model_names: Sequence[str]) -> str:
    if sum(_folded(name) == _folded(other) for other in model_names) > 1:
        return f"{name!r} (stands for several classes)"
    folded = {_folded(other): other for other in model_names}
    near = difflib.get_close_matches(_folded(name), list(folded), 1)
    return f"{name!r} (nearest: {folded[near[0]]!r})" if near else repr(name)


def _distinct(found: Found, numbers: dict[str, int]) -> dict[str, int]:
    """Refuse two names for one class, which no data set means; return the numbers as they are."""
    if len(set(numbers.values())) < len(numbers):
        first: dict[int, str] = {}
        for name, place in numbers.items():
            if first.setdefault(place, name) != name:
                raise UndoorError(
                    f"{first[place]!r} and {name!r} in {found.source} stand for one class; merge "
                    "them, or map both with a .json file for --classes"
                )
    return numbers


def _places(names: Sequence[str]) -> dict[str, list[int]]:
    out: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        out.setdefault(name, []).append(i)
    return out


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _quoted(names: Sequence[str]) -> str:
    return _listing([repr(name) for name in names])


def _listing(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
