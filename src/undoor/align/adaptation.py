"""What is recorded of a refit on inputs that were flagged in operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Adaptation:
    """On which inputs the corrections of one target were refitted, or why they were not.

    seen : inputs that were looked at. flagged : those that the guard flagged for this target.
    needed : with fewer, the corrections stay as they were. missed : the share of the flagged that a
    guard refitted without them would let through; None where none was fitted. fitted : flagged
    inputs, of this time or an earlier one, that the corrections in force were fitted on; 0 where
    they are still those of the recovered trigger. refitted : whether this time changed them.

    >>> Adaptation(seen=900, flagged=12, needed=20).note("5 stop")
    '12 of 900 inputs were flagged as 5 stop, 20 are needed; its corrections stay as they were'
    """

    seen: int
    flagged: int
    needed: int
    missed: float | None = None
    fitted: int = 0
    refitted: bool = False

    def note(self, label: str) -> str:
        """What was done, as a sentence. label : the target class as the reader knows it."""
        counts = f"{self.flagged:,} of {self.seen:,} inputs were flagged as {label}"
        if self.refitted:
            on = "them" if self.fitted == self.flagged else f"{self.fitted:,} of them"
            return f"{counts}; its corrections are refitted on {on}"
        why = f", {self.needed} are needed"
        if self.missed is not None:
            why = f", but a guard refitted on them would let {self.missed:.0%} of such inputs pass"
        earlier = f", fitted on {self.fitted:,} flagged earlier" if self.fitted else ""
        return f"{counts}{why}; its corrections stay as they were{earlier}"

    def to_json(self, label: str) -> dict[str, Any]:
        return {**vars(self), "note": self.note(label)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Adaptation:
        """Read what `to_json` gave.

        Raises
        ------
        KeyError, TypeError : it is not that.
        """
        keys = ("seen", "flagged", "needed", "missed", "fitted", "refitted")
        return Adaptation(*(data[key] for key in keys))
