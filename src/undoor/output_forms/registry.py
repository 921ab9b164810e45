"""The forms that exported files may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from undoor.output_forms.classes import Classes
from undoor.output_forms.label_sets import LabelSets
from undoor.output_forms.numbers import Numbers
from undoor.output_forms.output_form import OutputForm

REGISTRY: tuple[type[OutputForm], ...] = (Classes, LabelSets, Numbers)


def described(form: OutputForm) -> dict[str, Any]:
    """Return a form as exported files hold it."""
    return {"kind": form.kind, **form.to_json()}


def read_form(data: Mapping[str, Any]) -> OutputForm:
    """Read what `described` returned.

    Raises
    ------
    KeyError, TypeError, ValueError
        It is something else.
    """
    by_kind = {form.kind: form for form in REGISTRY}
    form = by_kind[data["kind"]].from_json(data)
    if form.num_outputs < 1:
        raise ValueError("outputs: expected at least one")
    return form
