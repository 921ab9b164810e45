"""What a row of the zoo's table changes, as a frozen dataclass of optional settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from undoor.errors import UndoorError


@dataclass(frozen=True)
class Changes:
    """Settings other than usual; None stands for the usual one."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the settings: keys of a table's row and of truth.json."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the settings in a row of a table, or in a model's truth.json.

        Other keys are left alone.
        """
        return cls(**{key: row[key] for key in cls.names() if key in row})

    def to_json(self) -> dict[str, Any]:
        """Return the settings that are not as usual."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @property
    def suffix(self) -> str:
        """The ending of folder names; empty where all is as usual."""
        return "".join(
            f"_{key}{value if isinstance(value, str) else json.dumps(value)}"
            for key, value in self.to_json().items()
        )


def require_number(key: str, value: object, fits: Callable[[float], bool], expected: str) -> None:
    """Refuse what is neither None nor a number that `fits`; say what is `expected`.

    Raises
    ------
    UndoorError
        It is something else.
    """
    # A bool is a number to Python, and a file's `true` is no share.
    if isinstance(value, int | float) and not isinstance(value, bool) and fits(value):
        return
    if value is not None:
        raise UndoorError(f"{key} must be {expected}, got {value!r}")


def require_share(key: str, value: object) -> None:
    """Refuse what is neither None nor a number above 0 and at most 1.

    Raises
    ------
    UndoorError
        It is something else.
    """
    require_number(key, value, lambda share: 0 < share <= 1, "above 0 and at most 1")


def require_count(key: str, value: object) -> None:
    """Refuse what is neither None nor a whole number from 1 on.

    Raises
    ------
    UndoorError
        It is something else.
    """
    if value is not None and (type(value) is not int or value < 1):
        raise UndoorError(f"{key} must be a whole number from 1 on, got {value!r}")
