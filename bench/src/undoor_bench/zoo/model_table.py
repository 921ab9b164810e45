"""Tables of models: TOML files with ``[[model]]``, whose keys are the fields of a class."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from undoor.errors import UndoorError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Model = TypeVar("Model", bound=DataclassInstance)


def read_models(file: Path, kind: type[Model]) -> tuple[Model, ...]:
    """Return the models of a table.

    Parameters
    ----------
    file
        A TOML file with tables ``[[model]]``.
    kind
        A dataclass, whose fields are the keys.

    Raises
    ------
    UndoorError
        It is no such file, or a model refuses its values.
    """
    known = {field.name for field in fields(kind)}
    try:
        rows = tomllib.loads(file.read_text())["model"]
        for row in rows:
            if unknown := set(row) - known:
                raise UndoorError(f"unknown keys {', '.join(sorted(unknown))}")
        return tuple(kind(**row) for row in rows)
    except (OSError, ValueError, KeyError, TypeError, UndoorError) as error:
        raise UndoorError(f"{file}: expected a TOML file with [[model]] tables ({error})") from None
