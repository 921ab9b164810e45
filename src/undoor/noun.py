"""What inputs are called, in messages and reports; apart from spaces, which need torch."""

from __future__ import annotations

from typing import NamedTuple


class Noun(NamedTuple):
    """What people call inputs, in messages and reports.

    Attributes
    ----------
    one, many
        One of them, and several.
    adjective
        What a model of them is called, as in "image classification"; empty for any.
    units
        What the first axis counts, and what the others do.
    """

    one: str
    many: str
    adjective: str = ""
    units: tuple[str, str] = ("values", "values along each other axis")


INPUT = Noun("input", "inputs")
