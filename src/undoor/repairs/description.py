"""The JSON description in the file of a repair, type by type.

Whoever changes a description can seal it again: every entry is of its type and within its range
before anything is made of it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from undoor.errors import UndoorError
from undoor.vocabulary import Granularity, Verdict

# More classes, sites or sides of an input than any model that this can be a repair of.
MAX_COUNT = 2**31
MAX_TEXT = 1000
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


class _Part(BaseModel):
    # Entries that others add are theirs to check.
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _Model(_Part):
    # None where the repair was made of one that bound weights alone.
    sha256: Text | None
    input_shape: Annotated[list[Annotated[int, Field(ge=1, le=MAX_COUNT)]], Field(min_length=1)]
    bounds: Annotated[list[float], Field(min_length=2, max_length=2)]
    class_names: list[Text]
    goals: dict[Text, float] = {}


class _Summary(_Part):
    n: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    min: float
    q05: float
    median: float
    q95: float
    max: float
    mean: float
    std: Annotated[float, Field(ge=0)]


class _Scores(_Part):
    clean: _Summary | None
    triggered: _Summary | None


class _Calibration(_Part):
    wanted_fpr: Annotated[float, Field(gt=0, lt=1)]
    n: Count
    flagged: Fraction | None
    flagged_interval: Annotated[list[Fraction], Field(min_length=2, max_length=2)] | None
    scores: _Scores = _Scores(clean=None, triggered=None)


class _Trial(_Part):
    model_config = ConfigDict(extra="forbid")

    name: Text
    sia: Fraction | None
    fpr: Fraction
    score: float


class _Adaptation(_Part):
    seen: Count
    flagged: Count
    needed: Count
    missed: Fraction | None
    fitted: Count
    refitted: bool


class _Site(_Part):
    model_config = ConfigDict(extra="forbid")

    name: Text
    extent: Count
    granularity: Granularity
    moved: float


class _Target(_Part):
    target: Count
    sources: list[Count]
    threshold: float
    calibration: _Calibration
    chosen: Text
    asr: Fraction
    sia: Fraction | None
    fpr: Fraction
    trials: list[_Trial]
    adapted: _Adaptation | None
    quick: bool
    sites: list[_Site]
    trigger: dict[Text, Text]

    @field_validator("sites")
    @classmethod
    def _once(cls, sites: list[_Site]) -> list[_Site]:
        names = [site.name for site in sites]
        if len(set(names)) < len(names):
            raise ValueError("a site occurs twice")
        return sites


class _Description(_Part):
    undoor: Text
    model: _Model
    verdict: Verdict
    fit: Text
    targets: list[_Target]


def require_description(data: Any) -> None:
    """Refuse what is no description of a repair, whatever its schema says.

    Raises
    ------
    UndoorError
        An entry is missing, of another type or out of range.

    Examples
    --------
    >>> require_description({"undoor": "1", "model": 3})
    Traceback (most recent call last):
    ...
    undoor.errors.UndoorError: its entry model: ...
    """
    try:
        _Description.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "description"
        got = "" if first["type"] == "missing" else f", got {_short(first['input'])}"
        raise UndoorError(f"its entry {place}: {first['msg']}{got}") from None


def _short(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 64:  # too long to be written out
        return "a number of more than 64 bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
