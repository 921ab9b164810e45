"""Texts as token ids [T], as many for each text."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from undoor import vocabulary
from undoor.noun import Noun
from undoor.spaces.space import Bounds, Shape
from undoor.spaces.vectors import Vectors


class Tokens(Vectors):
    """Token ids [T] of a text, whose tokenizer the model describes (`undoor.spaces.tokenizer`).

    Ids are whole numbers from 0 to that of the last token; between two of them there is nothing.
    """

    name = vocabulary.TOKENS
    noun = Noun("text", "texts", "text", ("tokens", ""))
    discrete: ClassVar[bool] = True
    own_families: ClassVar[bool] = True

    def applies_to(self, shape: Shape) -> bool:
        """Return whether the shape is [T]."""
        return len(shape) == 1

    def recognises(self, shape: Shape) -> bool:
        """Return False: without a tokenizer, numbers are vectors."""
        del shape
        return False

    def at(self, shares: Tensor, bounds: Bounds) -> Tensor:
        """Return the ids at given shares of the vocabulary.

        >>> import torch
        >>> TOKENS.at(torch.tensor([[0.0, 0.5, 1.0]]), (0.0, 9.0))
        tensor([[0., 4., 9.]])
        """
        return super().at(shares, bounds).round()

    def quantised(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Return the ids as they are: texts hold words, not bytes of pictures."""
        del bounds
        return x

    def misfit(self, got: Shape, wanted: Shape) -> str:
        """Return why inputs are no token ids for the model, and what to do."""
        if len(got) != len(wanted):
            return (
                f"the data look like images of shape {got}, the model takes texts of {wanted[0]} "
                "tokens; give a .csv, .parquet or .jsonl file with a column of texts"
            )
        return (
            f"the inputs have {got[0]} token ids, the model takes {wanted[0]}; encode the texts "
            "with its tokenizer: classifier.tokenizer.ids(texts)"
        )


TOKENS = Tokens()
