"""One model to be examined, and the options of the command that examines it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Value = str | int | float | bool | list[str]
Verb = Literal["scan", "repair"]


@dataclass(frozen=True)
class Job:
    """One model of a fleet.

    Attributes
    ----------
    name
        What the fleet calls it, unlike every other.
    model, data
        Paths of the model and of its clean data.
    options
        Further options of `undoor scan` or `undoor repair`, by their names with underscores.
    verb
        The command that examines it.
    problem
        Why it cannot be examined; None where nothing is known against it.
    """

    name: str
    model: str
    data: str
    options: Mapping[str, Value] = field(default_factory=dict)
    verb: Verb = "scan"
    problem: str | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line that examines the model, without its output folder."""
        return (self.verb, self.model, "--data", self.data, *as_arguments(self.options))


def as_arguments(options: Mapping[str, Value]) -> tuple[str, ...]:
    """Return options as they stand on a command line, in the order of their names.

    >>> as_arguments({"trust_code": True, "seed": 3, "force_target": ["a", "b"], "fresh": False})
    ('--force-target', 'a', '--force-target', 'b', '--seed', '3', '--trust-code')
    """
    out: list[str] = []
    for name, value in sorted(options.items()):
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            out += [flag] if value else []
            continue
        for each in value if isinstance(value, list) else [value]:
            out += [flag, str(each)]
    return tuple(out)
