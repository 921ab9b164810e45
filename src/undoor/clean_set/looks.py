"""What data look like, for the message where a model takes inputs of another space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from undoor.classifier import Classifier
from undoor.clean_set.arrow import is_saved_dataset, saved_columns
from undoor.clean_set.clouds import SUFFIXES as CLOUD_SUFFIXES
from undoor.clean_set.columns import IMAGE_COLUMNS, LABEL_COLUMNS
from undoor.clean_set.folder import Walk
from undoor.clean_set.images import SUFFIXES as IMAGE_SUFFIXES
from undoor.clean_set.npz import OTHER_NAMES
from undoor.clean_set.npz_arrays import open_npz, read_header
from undoor.clean_set.parquet import SUFFIXES as PARQUET_SUFFIXES
from undoor.clean_set.parquet import opened
from undoor.clean_set.recordings import SUFFIXES as RECORDING_SUFFIXES
from undoor.clean_set.rows import CSV, SPLIT, read_csv
from undoor.clean_set.sentences import JSON_LINES, LINES, TEXT_COLUMNS
from undoor.errors import UndoorError
from undoor.spaces.columns import listed
from undoor.spaces.images import IMAGES
from undoor.spaces.points import POINTS
from undoor.spaces.registry import space_of
from undoor.spaces.rows import ROWS
from undoor.spaces.signals import SIGNALS
from undoor.spaces.space import Shape, Space
from undoor.spaces.tokens import TOKENS

# How data of each space are given.
GIVEN_AS = {
    IMAGES.name: "a folder of class folders with PNG, JPEG or WebP files, an .npz with x and y, "
    "Parquet files or shards with images",
    SIGNALS.name: "a folder of class folders with .wav or .flac files, or an .npz with x [N, C, T] "
    "and y",
    ROWS.name: "a .csv or .parquet file with the columns of the model",
    TOKENS.name: f"a .csv, .parquet or .jsonl file with a column {TEXT_COLUMNS[0]!r}, or a folder "
    "of save_to_disk",
    POINTS.name: "a folder of class folders with .ply or .xyz files, or an .npz with "
    f"{OTHER_NAMES['x']} [M, P, C] and {OTHER_NAMES['y']}",
}
MEDIA = frozenset({*IMAGE_SUFFIXES, *RECORDING_SUFFIXES, *CLOUD_SUFFIXES})
OTHERS_GIVEN_AS = "an .npz with x [N, ...] and y"
# A recording has at least so many times more samples than channels, and a point cloud more points
# than numbers for each; arrays of pictures have not.
MIN_LENGTH = 8
# Files of a folder that are looked at; words that make a cell a text, columns of numbers a table.
MAX_FILES = 200
MIN_WORDS, MIN_NUMBERS = 3, 2


def given_as(classifier: Classifier) -> str:
    """Return how data for a model are given, in words."""
    return GIVEN_AS.get(classifier.space.name, OTHERS_GIVEN_AS)


@contextmanager
def named_where_of_another_space(path: str | Path, classifier: Classifier | None) -> Iterator[None]:
    """Replace an error by one line that names the space of the data, where it is not the model's.

    The data are looked at only once they could not be read.

    Raises
    ------
    UndoorError
        The one that was raised inside, or that line.
    """
    try:
        yield
    except UndoorError as error:
        looks = None if classifier is None else looks_like(Path(path))
        if classifier is None or looks is None or _may_be(looks[0], classifier):
            raise
        raise UndoorError(_line(str(path), looks, classifier)) from error


def looks_like(path: Path) -> tuple[Space, str] | None:
    """Return the space of the data at a path, and what shows it; None where nothing does.

    Never raises: what cannot be read looks like nothing.

    >>> looks_like(Path("nowhere.wav"))
    """
    try:
        if path.is_dir() and not is_saved_dataset(path):
            # Beside images there may be a table of their labels, or a text about them.
            files = islice(Walk(path).files(), MAX_FILES)
            return next((_file(file) for file in files if file.suffix.lower() in MEDIA), None)
        return _file(path) if path.exists() else None
    except (UndoorError, OSError, ValueError):
        return None


def _line(path: str, looks: tuple[Space, str], classifier: Classifier) -> str:
    space, shown_by = looks
    wanted, size = classifier.space, classifier.space.size(classifier.input_shape)
    return (
        f"{path} looks like {space.noun.many} ({shown_by}), the model takes {wanted.noun.many} "
        f"of {size}; give {given_as(classifier)}"
    )


def _may_be(space: Space, classifier: Classifier) -> bool:
    """Return whether inputs of a model may look like those of a space: vectors like anything."""
    return classifier.space.name not in GIVEN_AS or space.name == classifier.space.name


def _file(path: Path) -> tuple[Space, str] | None:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return IMAGES, f"a {suffix} file"
    if suffix in RECORDING_SUFFIXES:
        return SIGNALS, f"a {suffix} file"
    if suffix in CLOUD_SUFFIXES:
        return POINTS, f"a {suffix} file"
    if suffix == LINES or suffix in JSON_LINES:
        return TOKENS, f"a {suffix} file"
    if suffix == ".npz":
        return _array(path)
    if suffix == CSV:
        return _cells(path)
    if suffix in PARQUET_SUFFIXES:
        with opened(path) as file:
            kinds = {field.name: str(field.type) for field in file.schema_arrow}
            return _columns(list(kinds), [name for name in kinds if _is_numeric(kinds[name])])
    if path.is_dir():
        names, _, _ = saved_columns(path, None, lambda present: [])
        return _columns(list(names))
    return None


def _cells(path: Path) -> tuple[Space, str] | None:
    """Return the space of a .csv file, by its head and its first row."""
    table = read_csv(path, list)
    first = {name: str(cells[0]) for name, cells in table.cells.items() if cells}
    numbers = [name for name, cell in first.items() if _is_number(cell)]
    texts = [name for name, cell in first.items() if len(cell.split()) >= MIN_WORDS]
    return _columns(list(first), numbers, texts)


def _array(path: Path) -> tuple[Space, str] | None:
    with open_npz(path) as archive:
        called = {"x", OTHER_NAMES["x"]}
        name = next((name for name in sorted(archive.files) if name.split("_")[0] in called), None)
        if name is None:
            return None
        shape = tuple(int(n) for n in read_header(archive, name, path).shape)
    space = _of_arrays(shape[1:])
    return None if space is None else (space, f"{name} has the shape {list(shape)}")


def _of_arrays(shape: Shape) -> Space | None:
    """Return the space of an array of this shape: pictures may have no axis of channels."""
    found = space_of(shape)
    if POINTS.applies_to(shape) and shape[0] >= MIN_LENGTH * shape[1]:
        return POINTS
    if SIGNALS.applies_to(shape):
        return SIGNALS if shape[1] >= MIN_LENGTH * shape[0] else IMAGES
    return found if found is IMAGES else None


def _columns(
    present: Sequence[str], numbers: Sequence[str] = (), texts: Sequence[str] = ()
) -> tuple[Space, str] | None:
    """Return the space of a table with these columns, of which some hold numbers or texts."""
    shown = f"with the columns {listed(present)}"
    if set(present) & set(IMAGE_COLUMNS):
        return IMAGES, shown
    if set(present) & set(TEXT_COLUMNS):
        return TOKENS, shown
    others = {*LABEL_COLUMNS, SPLIT}
    if len(set(numbers) - others) >= MIN_NUMBERS:
        return ROWS, shown
    return (TOKENS, shown) if set(texts) - others else None


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def _is_numeric(kind: str) -> bool:
    return kind.startswith(("int", "uint", "float", "double", "halffloat", "decimal"))
