"""What is recorded of a refit on inputs that were flagged in operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Adaptation:
    """On which inputs the corrections of one target were refitted, or why they were not.

    seen : inputs that were looked at. flagged : those that the guard flagged for this target.
    needed : with fewer, the corrections stay as they were. fitted : flagged inputs that the
    corrections in force were fitted on; 0 where they are still those of the recovered trigger.

    >>> Adaptation(seen=900, flagged=12, needed=20, fitted=0).note("5 stop")
    '12 of 900 inputs were flagged as 5 stop, 20 are needed; its corrections stay as they were'
    """

    seen: int
    flagged: int
    needed: int
    fitted: int

    @property
    def enough(self) -> bool:
        """Whether the guard flagged as many inputs as are needed."""
        return self.flagged >= self.needed

    def note(self, label: str) -> str:
        """What was done, as a sentence. label : the target class as the reader knows it."""
        counts = f"{self.flagged:,} of {self.seen:,} inputs were flagged as {label}"
        if self.enough and self.fitted == self.flagged:
            return f"{counts}; its corrections are refitted on them"
        if self.enough:
            return f"{counts}; its corrections are refitted on {self.fitted:,} of them"
        earlier = f", fitted on {self.fitted:,} flagged earlier" if self.fitted else ""
        return f"{counts}, {self.needed} are needed; its corrections stay as they were{earlier}"

    def to_json(self, label: str) -> dict[str, Any]:
        return {**vars(self), "note": self.note(label)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Adaptation:
        """Read what `to_json` gave.

        Raises
        ------
        KeyError, TypeError : it is not that.
        """
        return Adaptation(data["seen"], data["flagged"], data["needed"], data["fitted"])
