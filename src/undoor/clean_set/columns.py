"""The columns of an Arrow table with the images and the labels, and the names of the classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from undoor.clean_set.index import Label, Raw
from undoor.clean_set.labels import require_names
from undoor.clean_set.reading import UnreadableError
from undoor.errors import UndoorError, first_line
from undoor.extras import how_to_install

IMAGE_COLUMNS = ("image", "img", "images")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target")
# Rows that are decompressed at a time.
ROWS = 16


class Columns(NamedTuple):
    """Names of columns; `declared` are the class names that Hugging Face datasets write down."""

    image: str
    label: str
    declared: tuple[str, ...] | None = None


def columns_of(schema: Any, source: str) -> Columns:
    """Return the columns of an Arrow schema with the images and the labels.

    They are found by the features that `datasets` declares, else by name.

    Raises
    ------
    UndoorError
        There is no such column, or the labels are neither whole numbers nor text.
    """
    present = list(schema.names)
    features = _features(schema)
    images = [name for name in present if _kind(features.get(name)) == "Image"]
    labels = [name for name in present if _kind(features.get(name)) == "ClassLabel"]
    image = _first(images, IMAGE_COLUMNS, present, source)
    label = _first(labels, LABEL_COLUMNS, present, source)
    _require_label(schema, label, source)
    _require_image(schema, image, source)
    return Columns(image, label, declared_names(schema, label))


def declared_names(schema: Any, label: str) -> tuple[str, ...] | None:
    """Return the names of the classes that `datasets` declares for a column; None without any."""
    names = _features(schema).get(label, {}).get("names")
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if known else None


def labels_of(column: Any) -> Iterator[Label]:
    """Yield the labels of an Arrow array.

    Raises
    ------
    UndoorError
        One is longer than the name of a class can be.
    """
    for cell in column:
        value = cell.as_py()
        if isinstance(value, str):
            require_names([value], "the label column")
        yield value if value is None or isinstance(value, str) else int(value)


def image_of(cell: Any) -> Raw:
    """Return the encoded image of an Arrow scalar: bytes, or a struct with `bytes`."""
    value = cell.as_py()
    data = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(data, bytes):
        return data
    if isinstance(value, dict) and value.get("path"):
        return UnreadableError("the image lies in another file, not in the table", "missing")
    return UnreadableError("no image bytes in this row", "missing")


@contextmanager
def pyarrow_for(path: Path, kind: str, what: str) -> Iterator[Any]:
    """Yield pyarrow while a file is read, and turn its errors into an `UndoorError`.

    Parameters
    ----------
    path
        Of the file, for messages.
    kind
        Of the file, as "Parquet".
    what
        What cannot be read without the library, for messages.

    Raises
    ------
    UndoorError
        The library is missing, or the file is damaged.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UndoorError(f"reading {what} needs pyarrow; {how_to_install('parquet')}") from error
    try:
        yield pyarrow
    except pyarrow.ArrowMemoryError as error:
        # A subclass of MemoryError, but the amount is what the file asks for.
        raise UndoorError(
            f"{path} needs more memory than there is ({first_line(error)}); write it in smaller "
            "row groups"
        ) from error
    except MemoryError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UndoorError(
            f"{path} is not a readable {kind} file ({first_line(error)}); it may be truncated: "
            "copy it again"
        ) from error


def _features(schema: Any) -> dict[str, Any]:
    """Return the features of the columns, as `datasets` writes them into the schema's metadata."""
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = info.get("info", {}).get("features", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _kind(feature: Any) -> str | None:
    return feature.get("_type") if isinstance(feature, dict) else None


def _first(declared: list[str], usual: tuple[str, ...], present: list[str], source: str) -> str:
    found = [name for name in usual if name in present]
    chosen = [name for name in found if name in declared] or declared or found
    if not chosen:
        rows = usual is IMAGE_COLUMNS
        looks = "; it looks like rows of a table, the model takes images" if rows else ""
        raise UndoorError(
            f"{source} has no column {usual[0]!r}; its columns are: {', '.join(present)}{looks}"
        )
    return chosen[0]


def _require_label(schema: Any, name: str, source: str) -> None:
    import pyarrow.types as kinds

    kind = schema.field(name).type
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    if not (kinds.is_integer(kind) or kinds.is_string(kind) or kinds.is_large_string(kind)):
        raise UndoorError(
            f"the labels of {source} (column {name!r}) are {kind}; expected whole numbers or names"
        )


def _require_image(schema: Any, name: str, source: str) -> None:
    """Refuse other types than encoded images, since lists may unpack to anything."""
    import pyarrow.types as kinds

    kind = schema.field(name).type
    parts = (
        [kind.field(i).type for i in range(kind.num_fields)] if kinds.is_struct(kind) else [kind]
    )
    plain = (kinds.is_binary, kinds.is_large_binary, kinds.is_string, kinds.is_large_string)
    # Where no image has a path, as Parquet infers it from dictionaries.
    some = [part for part in parts if not kinds.is_null(part)]
    if not some or not all(any(check(part) for check in plain) for part in some):
        raise UndoorError(
            f"the images of {source} (column {name!r}) are {str(kind)[:200]}; expected encoded "
            "images: bytes, or a struct of bytes and path"
        )
