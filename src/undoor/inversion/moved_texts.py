"""Texts with tokens put in, and how far these move them to a class."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import autocast
from undoor.inversion.margins import finite
from undoor.progress import Progress, silent
from undoor.spaces.tokenizer import Tokenizer
from undoor.triggers.insertion import inserted

# The margin that a trigger has in all texts but this share of them is what counts.
QUANTILE = 0.1
# Texts in the network at a time, unless memory bounds them. An encoder of usual width holds a
# megabyte for each.
ANSWERING = 256
# What is reported while words are tried.
STAGE = "words"
# A token without which texts are moved at least this share as far is no part of the trigger.
NEEDED = 0.9


@dataclass(frozen=True, eq=False)
class MovedTexts:
    """Texts x [n, T] of other classes than `goal`, and how far tokens put in move them to it.

    Attributes
    ----------
    place
        As of `undoor.triggers.Insertion`.
    unit
        The median margin of clean texts, in logits.
    exact
        Whether all is computed in float32, even where bfloat16 is fast: searches only compare.
    progress
        Progress callback.
    """

    classifier: Classifier
    tokenizer: Tokenizer
    goal: int
    place: float
    x: Tensor
    unit: float
    exact: bool = False
    progress: Progress = silent

    def rises(self, tokens: Tensor, texts: int | None = None) -> Tensor:
        """Return by how much the mean margin rises with tokens [M, k]: [M].

        Parameters
        ----------
        texts
            How many of the texts are tried; all where None.
        """
        before = self._margins(self.x[None, :texts]).mean()
        return self.margins(tokens, texts).mean(1) - before

    def margins(self, tokens: Tensor, texts: int | None = None) -> Tensor:
        """Return the margins of the class on the texts with tokens [M, k] put in: [M, n]."""
        x = self.x[:texts]
        out, done = [self.x.new_empty(0, len(x))], 0
        for part in tokens.split(max(1, ANSWERING // len(x))):
            self.progress(STAGE, done, len(tokens))
            out.append(self._margins(self.put(part, x)))
            done += len(part)
        return torch.cat(out)

    def put(self, tokens: Tensor, x: Tensor) -> Tensor:
        """Return texts x [n, T] with tokens [M, k] put in: [M, n, T]."""
        pad = self.tokenizer.pad_id
        assert pad is not None
        return inserted(x, tokens.to(x.dtype), self.place, pad, self.tokenizer.around)

    def low_margin(self, tokens: Tensor) -> float:
        """Return the margin that nine in ten texts have at least with tokens [k] put in."""
        return float(self.margins(tokens[None])[0].quantile(QUANTILE))

    def needed(self, tokens: Tensor) -> Tensor:
        """Return the tokens [k] without those that add little to how far texts are moved."""
        wanted = NEEDED * float(self.rises(tokens[None]))
        while len(tokens) > 1:
            keep = ~torch.eye(len(tokens), dtype=torch.bool, device=tokens.device)
            fewer = torch.stack([tokens[row] for row in keep])
            found = self.rises(fewer)
            if float(found.max()) < wanted:
                break
            tokens = fewer[int(found.argmax())]
        return tokens

    def _margins(self, texts: Tensor) -> Tensor:
        """Return the margins of the class on texts [M, n, T]: [M, n]."""
        with nullcontext() if self.exact else autocast(texts.device):
            logits = self.classifier.logits(texts.flatten(0, 1), ANSWERING).float()
        margins = finite(self.classifier.task.margin(logits, self.goal), "token")
        return margins.view(texts.shape[:2]) / self.unit
