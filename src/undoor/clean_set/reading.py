"""Counts of the images of a source that were lost or changed while it was read, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


class UnreadableError(Exception):
    """One image that cannot be used; the others of its set still may.

    Parameters
    ----------
    reason
        For messages.
    kind
        For counting: "empty", "damaged", "unknown format", "not 8 or 16 bits", "too large", "no
        label", "missing", "no image" (a file of another kind), "does not fit".
    """

    def __init__(self, reason: str, kind: str = "damaged") -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Reading:
    """What was lost, changed and assumed while a source was read.

    Attributes
    ----------
    skipped
        What was left out, "path: reason".
    lost
        Images that could not be used, by kind (see `UnreadableError`).
    changed
        Images that were used in changed form, by kind: "16-bit" (scaled to 8), "palette",
        "alpha" (dropped), "CMYK", "turned" (by EXIF), "animated" (first frame), "misnamed" (of
        another format than its name has), "grey as colour" and "colour as grey" (see
        `undoor.spaces.space.Space.matched`). One image may count in several.
    lost_of, tried_of
        How many images of each class, by the data's name for it, were lost, and were tried.
    notes
        What was assumed, in words.
    """

    skipped: tuple[str, ...] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)
    lost_of: Mapping[str, int] = field(default_factory=dict)
    tried_of: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass
class Log:
    """Counts while a source is read; `reading` is the result."""

    skipped: list[str] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    lost_of: Counter[str] = field(default_factory=Counter)
    tried_of: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def tried(self, of: str) -> None:
        """Count an image of the class `of` that is read."""
        self.tried_of[of] += 1

    def lose(self, name: str, error: UnreadableError, of: str | None = None) -> None:
        """Count an image of the class `of` as lost; other files are listed, not counted."""
        self.skipped.append(f"{name}: {error}")
        if error.kind == "no image":
            return
        self.lost[error.kind] += 1
        if of is not None:
            self.lost_of[of] += 1

    def reading(self) -> Reading:
        """Return the counts so far, in the order of names."""
        return Reading(
            tuple(self.skipped),
            lost=dict(sorted(self.lost.items())),
            changed=dict(sorted(self.changed.items())),
            lost_of=dict(sorted(self.lost_of.items())),
            tried_of=dict(sorted(self.tried_of.items())),
            notes=tuple(self.notes),
        )
