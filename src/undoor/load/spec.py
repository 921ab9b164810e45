"""The contents of a model.toml, typed and validated.

[model]
weights = "weights.safetensors"       # relative to this file
key = "state_dict_ema"                # which of several state dicts in that file; seldom needed
architecture = "my_models.py:resnet20"  # or "package.module:resnet20", or "timm:resnet18"
arguments = { num_classes = 43 }
output = "logits"                     # or "probabilities", "sigmoid", "logit", "probability"

[input]
shape = [3, 32, 32]
bounds = [0.0, 1.0]
scale = 1.0                           # the network receives (x * scale - mean) / std
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[classes]
names = ["stop", "yield"]

Of a model of signals, the shape is [C, T], and under [input] may stand:

sampling_rate = 8000                  # of the recordings, in samples per second

Of a model of a table, the columns in order stand in the place of the shape and what follows it:

[[input.columns]]
name = "age"
range = [17, 90]
mean = 38.6                           # the network receives (number - mean) / scale
scale = 13.6

[[input.columns]]
name = "sex"
categories = ["female", "male"]
encoding = "one-hot"                  # or "index"

Of a text model, the file of the tokenizer, and how many tokens an input has:

[input]
shape = [48]
tokenizer = "tokenizer.json"          # relative to this file
pad = "[PAD]"                         # seldom needed
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from undoor.errors import UndoorError
from undoor.files import other_spelling
from undoor.input_size import require_input_size
from undoor.load.not_a_model import refuse_folder
from undoor.load.regular import require_reachable
from undoor.load.targets import is_file
from undoor.load.toml_file import read_toml
from undoor.spaces.columns import Column, Encoding, seen_width
from undoor.spaces.tokenizer import Tokenizer
from undoor.vocabulary import DEFAULT_TASK, MODEL_FILE, Output

# Keys that a bare checkpoint does not have, and the options of `load` that replace them.
OPTIONS = {"architecture": "architecture", "shape": "input_shape"}
Tables = dict[str, dict[str, Any]]

EXAMPLES = {
    "weights": '"weights.safetensors"',
    "architecture": '"my_models.py:resnet20"',
    "arguments": "{ num_classes = 10 }",
    "output": '"logits"',
    "shape": "[3, 32, 32]",
    "bounds": "[0.0, 1.0]",
    "scale": "1.0",
    "mean": "[0.485, 0.456, 0.406]",
    "std": "[0.229, 0.224, 0.225]",
    "names": '["cat", "dog"]',
    "space": '"images"',
    "sampling_rate": "8000",
    "tokenizer": '"tokenizer.json"',
    "pad": '"[PAD]"',
    "columns": '[{ name = "age", range = [17, 90] }]',
    "task": f'"{DEFAULT_TASK}"',
}


def _as_sequence(value: object) -> object:
    return [value] if isinstance(value, int | float) else value


def _of_an_image(shape: tuple[int, ...]) -> tuple[int, ...]:
    require_input_size(shape, "[input] shape")
    return shape


PerChannel = Annotated[tuple[FiniteFloat, ...], BeforeValidator(_as_sequence), Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelTable(_Table):
    """Table [model]: where the weights and the architecture are."""

    weights: Path
    key: str | None = None
    architecture: str | Callable[..., Any]
    arguments: dict[str, Any] = Field(default_factory=dict)
    output: Output = "logits"


class GraphTable(_Table):
    """Table [model] for a file that holds the network as well as its weights."""

    weights: Path
    output: Output = "logits"


class ColumnTable(_Table):
    """A table [[input.columns]]: one column of a table, as `undoor.spaces.columns.Column`."""

    name: str
    range: tuple[FiniteFloat, FiniteFloat] | None = None
    mean: FiniteFloat = 0.0
    scale: FiniteFloat = 1.0
    categories: tuple[str, ...] = ()
    encoding: Encoding = "one-hot"


def _as_columns(tables: tuple[ColumnTable, ...]) -> tuple[Column, ...]:
    return tuple(Column(**table.model_dump()) for table in tables)


class InputTable(_Table):
    """Table [input]: the shape and bounds of a raw input, and its normalisation.

    Of a table, its columns, with which the shape need not be given; of a text model, the file of
    its tokenizer.
    """

    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=1), AfterValidator(_of_an_image)]
    bounds: tuple[FiniteFloat, FiniteFloat] = (0.0, 1.0)
    scale: FiniteFloat = 1.0
    mean: PerChannel | None = None
    std: PerChannel | None = None
    space: str | None = None
    sampling_rate: PositiveInt | None = None
    tokenizer: Path | None = None
    pad: str | None = None
    columns: Annotated[tuple[ColumnTable, ...], AfterValidator(_as_columns)] = ()

    @model_validator(mode="before")
    @classmethod
    def _shape_of_rows(cls, values: object) -> object:
        """Return the values with the shape of a row where the columns are given."""
        if isinstance(values, dict) and isinstance(columns := values.get("columns"), list):
            return {"shape": [len(columns)], **values}
        return values

    @property
    def described(self) -> tuple[Column, ...]:
        """The columns, checked."""
        return cast("tuple[Column, ...]", self.columns)

    def read_tokenizer(self) -> Tokenizer | None:
        """Return the tokenizer of a text model, None of another.

        Raises
        ------
        UndoorError
            There is no such file, or it is none of a tokenizer.
        """
        if self.tokenizer is None:
            return None
        return Tokenizer.read(self.tokenizer, self.shape[0], self.pad)

    @property
    def network_shape(self) -> tuple[int, ...]:
        """The shape of what the network sees of an input."""
        return (seen_width(self.described),) if self.columns else self.shape


class ClassesTable(_Table):
    """Table [classes]: the task, and the names of the classes in order."""

    names: tuple[str, ...] | None = None
    task: str = DEFAULT_TASK


class ModelSpec(_Table):
    """The whole file, its paths resolved."""

    model: ModelTable
    input: InputTable
    classes: ClassesTable = ClassesTable()


Table = TypeVar("Table", bound=_Table)
TABLES: dict[str, type[_Table]] = {
    "model": ModelTable,
    "input": InputTable,
    "classes": ClassesTable,
}


def read_spec(path: Path, options: Mapping[str, Mapping[str, Any]]) -> ModelSpec:
    """Return the specification of a model, with `options` overriding the file.

    Parameters
    ----------
    path
        A model.toml, a folder that holds one, or a checkpoint.
    options
        Tables as of a model.toml; values that are None do not override the file's.

    Raises
    ------
    UndoorError
        The file is missing or malformed.
    """
    file, tables = read_tables(path, options)
    try:
        return ModelSpec.model_validate(tables)
    except ValidationError as error:
        raise UndoorError(f"{file}: {_one_line(error.errors()[0])}") from error


def checked(kind: type[Table], name: str, values: Mapping[str, Any], file: Path) -> Table:
    """Return a validated table.

    Parameters
    ----------
    kind
        Of the table.
    name
        Of the table, for messages.
    values
        Of its keys.
    file
        Where they come from, for messages.

    Raises
    ------
    UndoorError
        A value is malformed, missing or unknown.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        details = error.errors()[0]
        message = _one_line({**details, "loc": (name, *details["loc"])})
        raise UndoorError(f"{file}: {message}") from error


def read_tables(path: Path, options: Mapping[str, Mapping[str, Any]]) -> tuple[Path, Tables]:
    """Return the file that tables were read from, and the tables, unvalidated.

    `options` override them, see `read_spec`.
    """
    if not path.exists():
        raise UndoorError(
            f"{path} does not exist{other_spelling(path)}; expected a {MODEL_FILE}, a folder with "
            "one, or a checkpoint"
        )
    file = _toml_in(path) if path.is_dir() else path
    tables = _read_tables(file) if file.suffix == ".toml" else {"model": {"weights": path}}
    for table, values in options.items():
        given = {key: value for key, value in values.items() if value is not None}
        tables[table] = {**tables.get(table, {}), **given}
    return file, tables


def _toml_in(folder: Path) -> Path:
    file = folder / MODEL_FILE
    if not file.is_file():
        refuse_folder(folder)
        found = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        listing = ", ".join(found[:5]) or "nothing"
        raise UndoorError(
            f"{folder} holds no {MODEL_FILE} (found: {listing}); "
            "add one, or name the checkpoint itself and give its architecture and input shape"
        )
    return file


def _read_tables(file: Path) -> Tables:
    content = read_toml(file)
    # Tables of other tools, [data] first of all, may stand beside ours; misspelt ones may not.
    for table in content:
        close = difflib.get_close_matches(table, TABLES, n=1, cutoff=0.75)
        if table not in TABLES and close:
            raise UndoorError(f"{file}: unknown table [{table}]; did you mean [{close[0]}]?")
    tables = {name: content[name] for name in TABLES if name in content}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UndoorError(f"{file}: expected a table [{name}], got {name} = {table!r}")
    if "model" in tables:
        tables["model"] = _resolve(tables["model"], file.parent)
    if isinstance(tokenizer := tables.get("input", {}).get("tokenizer"), str):
        path = file.parent / tokenizer
        require_reachable(path, "[input] tokenizer", tokenizer)
        tables["input"] = {**tables["input"], "tokenizer": path}
    return tables


def _resolve(model: dict[str, Any], folder: Path) -> dict[str, Any]:
    resolved = dict(model)
    if isinstance(model.get("weights"), str):
        resolved["weights"] = folder / model["weights"]
        require_reachable(resolved["weights"], "[model] weights", model["weights"])
    architecture = model.get("architecture")
    if isinstance(architecture, str) and _is_file(architecture):
        resolved["architecture"] = str(folder / architecture)
    if isinstance(architecture, str):
        # Modules have no such names either.
        source = Path(resolved["architecture"].rpartition(":")[0])
        require_reachable(source, "[model] architecture", architecture)
    return resolved


def _is_file(architecture: str) -> bool:
    if architecture.startswith("timm:"):
        return False
    return is_file(architecture.rpartition(":")[0] or architecture)


def _one_line(error: ErrorDetails) -> str:
    place = [str(part) for part in error["loc"]]
    table, key, kind = place[0], place[1] if len(place) > 1 else "", TABLES.get(place[0])
    if key == "columns" and len(place) > 3:
        table, key, kind = f"{table}.columns", place[3], ColumnTable
    if error["type"] == "extra_forbidden" and kind is not None:
        known = list(kind.model_fields)
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}? known" if close else "known"
        return f"unknown key {key!r} in [{table}]; {hint} keys: {', '.join(known)}"
    example = f"; write for example {key} = {EXAMPLES[key]}" if key in EXAMPLES else ""
    if error["type"] == "missing":
        option = OPTIONS.get(key)
        way_out = f" in a {MODEL_FILE} or give {option} as an option" if option else ""
        return f"[{table}] {key} is missing{example}{way_out}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"[{table}] {key}: {message}, got {error['input']!r}{example}"
