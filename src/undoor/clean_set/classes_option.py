"""The value of `--classes`: how the data calls the model's classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from undoor.clean_set.class_names import Classes
from undoor.clean_set.labels import require_names
from undoor.clean_set.texts import read_text
from undoor.errors import UndoorError


def read_classes(given: str) -> Classes:
    """Return the class names that `--classes` gives: a file, or names separated by commas.

    A text file has one name per line; a .json file holds a list of names, or an object from the
    data's names to the model's names (or their numbers, or null).

    Raises
    ------
    UndoorError
        The file cannot be read or holds something else.
    """
    path = Path(given)
    if not path.is_file():
        if path.suffix in (".txt", ".json") or "/" in given:
            raise UndoorError(f"--classes {given}: there is no such file of class names")
        return [name.strip() for name in given.split(",")]
    try:
        text = read_text(path)
        if path.suffix == ".json":
            return _checked(json.loads(text), given)
    except (OSError, ValueError, RecursionError) as error:
        raise UndoorError(
            f"--classes {given}: cannot be read ({error}); expected one name per line, or JSON"
        ) from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    require_names(names, given)
    return names


def _checked(value: Any, given: str) -> Classes:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    kinds = (str, int, type(None))
    if isinstance(value, dict) and all(
        isinstance(to, kinds) and not isinstance(to, bool) for to in value.values()
    ):
        return value
    raise UndoorError(
        f"--classes {given}: expected a JSON list of names, or an object from the data's names to "
        f"the model's names or numbers, got {str(value)[:60]}"
    )
