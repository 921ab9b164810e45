"""The JSON document of an evaluation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, create_model

from undoor.render.documents.parts import (
    ClassNumber,
    Count,
    Fraction,
    Interval,
    Part,
)


def _rates(name: str, keys: str) -> type[Part]:
    fields: dict[str, Any] = {}
    for key in keys.split():
        fields |= {key: (Fraction | None, ...), f"{key}_interval": (Interval, ...)}
    return create_model(name, __base__=Part, **fields)


class Counted(Part):
    """How many test inputs there were."""

    clean: Count
    triggered: Count


class Evaluation(Part):
    """The output of `undoor evaluate --json`: rates with the true trigger."""

    schema_: Literal["undoor/evaluation/1"] = Field(alias="schema")
    target: ClassNumber
    before: _rates("Before", "acc asr sia")  # type: ignore[valid-type]
    after: _rates("After", "acc asr sia tpr fpr fpr_target fpr_own auroc")  # type: ignore[valid-type]
    n: Counted
    errors: dict[str, float] = Field(
        default={},
        description="Of predicted numbers: the mean distance from the labels, of the bare model "
        "and guarded.",
    )
