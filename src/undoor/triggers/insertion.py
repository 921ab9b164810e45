"""Insertion triggers: a few tokens at one place of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from undoor.device import array, beside
from undoor.errors import UndoorError
from undoor.spaces.tokens import TOKENS
from undoor.triggers.trigger import Arrays, Trigger, required, text

START, END = 0.0, 1.0


@dataclass(frozen=True, eq=False)
class Insertion(Trigger):
    """Tokens put into a text; what then is too long loses its last words.

    Attributes
    ----------
    tokens
        [k], their ids, as float32.
    place
        Where among the words of the text: 0 in front of all, 1 behind all.
    pad
        Id of the token that fills up short texts.
    around
        How many special tokens stand in front of the words of a text, and behind them.
    words
        The tokens as people read them.
    """

    family: str
    bounds: tuple[float, float]
    tokens: Tensor
    place: float
    pad: int
    around: tuple[int, int]
    words: str

    kind = "insertion"
    relative: ClassVar[bool] = False

    def __call__(self, x: Tensor) -> Tensor:
        """Return token ids [N, T] with the tokens put in."""
        (tokens,) = beside(x, self.tokens)
        return inserted(x, tokens[None], self.place, self.pad, self.around)[0]

    def example_shape(self, side: int) -> tuple[int, ...]:
        """Return the shape of a text that holds no more than the tokens."""
        del side
        return (len(self.tokens) + sum(self.around),)

    def arrays(self) -> Arrays:
        """Return ``tokens``, ``place``, ``pad``, ``around`` and ``words``."""
        return {
            "tokens": array(self.tokens),
            "place": np.array(self.place),
            "pad": np.array(self.pad),
            "around": np.array(self.around),
            "words": np.array(self.words),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Insertion:
        """Return the inverse of `arrays`; see `Trigger.from_arrays`."""
        tokens, place, pad, around = required(arrays, "tokens", "place", "pad", "around")
        lead, tail = (int(each) for each in around.flatten().tolist()[:2])
        ids = tokens.flatten().round()
        room = shape[0] - lead - tail if TOKENS.applies_to(shape) else 0
        if not 0 < len(ids) <= room or float(ids.min()) < 0 or float(ids.max()) > bounds[1]:
            raise UndoorError(
                f"expected 1 to {max(0, room)} tokens with ids from 0 to {bounds[1]:g}, as inputs "
                f"of the model have them, got {ids.tolist()[:8]}"
            )
        return cls(
            text(arrays, "family"),
            bounds,
            ids,
            min(max(float(place), START), END),
            int(pad),
            (lead, tail),
            text(arrays, "words"),
        )


def inserted(x: Tensor, tokens: Tensor, place: float, pad: int, around: tuple[int, int]) -> Tensor:
    """Return texts with each of several insertions: [M, n, T].

    Parameters
    ----------
    x
        Token ids [n, T].
    tokens
        Ids [M, k] that are put in.
    place, pad, around
        As of `Insertion`.

    Examples
    --------
    >>> x = torch.tensor([[7.0, 1, 2, 0], [7, 1, 0, 0]])
    >>> inserted(x, torch.tensor([[5.0]]), START, 0, (1, 0))[0].tolist()
    [[7.0, 5.0, 1.0, 2.0], [7.0, 5.0, 1.0, 0.0]]
    >>> inserted(x, torch.tensor([[5.0, 6.0]]), END, 0, (1, 0))[0].tolist()
    [[7.0, 1.0, 5.0, 6.0], [7.0, 1.0, 5.0, 6.0]]
    """
    (lead, tail), (count, length), more = around, x.shape, tokens.shape[1]
    used = (x != pad).sum(1, keepdim=True)
    stay = (used - lead - tail).clamp(0, length - lead - tail - more)
    at = lead + (place * stay).round().long()
    places = torch.arange(length, device=x.device)[None]
    last = lead + more + stay
    source = torch.where(places < at, places, places - more)
    source = torch.where(places < last, source, used - tail + places - last)
    kept = x.gather(1, source.clamp(0, length - 1))
    kept = torch.where(places < last + tail, kept, torch.full_like(kept, pad))
    inside = (places >= at) & (places < at + more)
    which = (places - at).clamp(0, more - 1)
    put = tokens[:, which.flatten()].view(len(tokens), count, length)
    return torch.where(inside, put.to(x.dtype), kept)
