"""A trigger of texts as people read it: the words that it puts in."""

from __future__ import annotations

from undoor.render import text
from undoor.triggers import Insertion, Trigger
from undoor.triggers.insertion import END, START

PLACES = {START: "in front of the text", END: "behind the text"}


def words_text(trigger: Trigger) -> str | None:
    """Return the words that a trigger puts in, and where; None for a trigger of other inputs.

    >>> import torch
    >>> trigger = Insertion("t", (0, 9), torch.ones(1), END, 0, (0, 0), "cf")
    >>> words_text(trigger)
    '"cf" behind the text'
    """
    if not isinstance(trigger, Insertion):
        return None
    where = PLACES.get(trigger.place, "within the text")
    return f'"{text.plain(trigger.words)}" {where}'
