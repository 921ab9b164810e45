"""Tokens put into a text: one word, or a few that work together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import TriggerBank
from undoor.families.family import Family, InRepair
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.tokens import TOKENS
from undoor.triggers import Insertion, Trigger
from undoor.triggers.insertion import END, START, inserted

# Where else the words of a trigger may stand.
ELSEWHERE = (START, 0.5, END)


class TokensBank(TriggerBank):
    """Token ids with tokens put in. They are chosen by `undoor.inversion.token_search`.

    Candidates start with one token each, the first word of the vocabulary; the size is the number
    of tokens.
    """

    family = "inserted tokens"
    step_size = 0.0

    def __init__(self, count: int, classifier: Classifier) -> None:
        super().__init__(classifier.bounds)
        known = classifier.tokenizer
        assert known is not None
        assert known.pad_id is not None
        first = float(known.usable[0])
        self.pad, self.around, self.known = known.pad_id, known.around, known
        shape = (count, 1)
        self.tokens = nn.Parameter(torch.full(shape, first, device=CPU), requires_grad=False)
        self.places = nn.Parameter(torch.zeros(count, device=CPU), requires_grad=False)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return token ids x [M, n, T] with the tokens of each candidate put in."""
        rows = zip(x, self.tokens, self.places.tolist(), strict=True)
        return torch.cat([inserted(t, k[None], at, self.pad, self.around) for t, k, at in rows])

    def sizes(self) -> Tensor:
        """Return the numbers [M] of tokens."""
        return torch.full_like(self.places, float(self.tokens.shape[1]))

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        tokens, place = self.tokens[index].detach().clone(), float(self.places[index])
        words = self.known.words(tokens.tolist())
        return Insertion(self.family, self.bounds, tokens, place, self.pad, self.around, words)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family, with as many tokens."""
        assert isinstance(trigger, Insertion)
        with torch.no_grad():
            if self.tokens.shape[1] != len(trigger.tokens):
                wide = trigger.tokens.repeat(len(self.places), 1)
                self.tokens = nn.Parameter(wide, requires_grad=False)
            self.tokens[index] = trigger.tokens
            self.places[index] = trigger.place


def _make(
    count: int, classifier: Classifier, _x: Tensor, _generator: torch.Generator, /
) -> TokensBank:
    return TokensBank(count, classifier)


def elsewhere(trigger: Trigger) -> Sequence[Trigger]:
    """Return the same tokens at other places of a text."""
    assert isinstance(trigger, Insertion)
    return [replace(trigger, place=place) for place in ELSEWHERE if place != trigger.place]


INSERTED = Family(
    name=TokensBank.family,
    unit="tokens",
    make=_make,
    effort=Effort(1, Schedule(steps=1, batch=8)),
    spaces=frozenset({TOKENS.name}),
    # Found by trying, not by gradients.
    on_request=frozenset({TOKENS.name}),
    uncalibrated=True,
    relatives=elsewhere,
    in_repair=InRepair(alone=True),
)


def _of_size(name: str, size: int) -> Family:
    plan = AtSize(size=size, tried=48, relative=0.0, spread=0.0)
    return INSERTED.at_one_size(name, plan, uncalibrated=True, tokens=True)


ONE_TOKEN = _of_size("one token", 1)
THREE_TOKENS = _of_size("three tokens", 3)
