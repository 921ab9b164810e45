"""The record of a refit on inputs that were flagged in operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Adaptation:
    """The inputs that the corrections of one target were refitted on, or why they were not.

    Attributes
    ----------
    seen
        Inputs that the guard judged.
    flagged
        Inputs that the guard flagged for this target.
    needed
        With fewer, the corrections stay as they were.
    missed
        The share of the flagged that a guard refitted without them would let through; None where
        none was fitted.
    fitted
        Flagged inputs, of this time or an earlier one, that the corrections in force were fitted
        on; 0 where they are still those of the recovered trigger.
    refitted
        Whether this time changed them.
    """

    seen: int
    flagged: int
    needed: int
    missed: float | None = None
    fitted: int = 0
    refitted: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return dict(vars(self))

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Adaptation:
        """Read what `to_json` gave.

        Raises
        ------
        KeyError, TypeError
            It is not that.
        """
        keys = ("seen", "flagged", "needed", "missed", "fitted", "refitted")
        return Adaptation(*(data[key] for key in keys))
