"""Search for the tokens that, put into texts, move them to a class together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from undoor.device import CPU, beside
from undoor.families.family import Family
from undoor.inversion.candidates import Candidate
from undoor.inversion.journalled_search import journalled
from undoor.inversion.moved_texts import MovedTexts
from undoor.inversion.soft_tokens import first_order, soft_starts
from undoor.inversion.text_evidence import word_evidence
from undoor.inversion.work import Work
from undoor.spaces.tokenizer import Tokenizer
from undoor.triggers import Insertion
from undoor.triggers.insertion import END, START

PLACES = (START, END)
# Texts that tokens are tried on: at first, and those that are promising.
FEW, TEXTS = 2, 8
# Of all words of the vocabulary, so many are tried, those with the highest first-order scores.
MAX_WORDS = 8192
# How many of them are tried on more texts; how many words may stand in the place of another one.
PROMISING, SWAPS = 128, 16
# Starts from soft tokens, and rounds of exchanging one word after the other.
STARTS, ROUNDS = 4, 2
# By how much more of a margin of clean texts a word may speak for the class without the model.
EXPLAINED = 0.25
# The rank, among all words by what each does alone, from which on words are natural ones: what as
# many of those do together is taken off. There are always some, and a few may be planted.
NATURAL_RANK = 10


def clearest_tokens(work: Work, family: Family) -> tuple[Candidate, ...]:
    """Search for the tokens that move texts furthest to each class, in front of them or behind.

    Single words are all tried; one counts only if clean texts and their labels do not explain it
    (`undoor.inversion.text_evidence`). Of several, soft tokens, mixtures of all words, are moved by
    gradients and hardened (Shen et al., "DBS", ICML 2022), and single words of them are exchanged
    for those with the highest first-order scores (Ebrahimi et al., "HotFlip", ACL 2018), which are
    tried.

    The margin is the one that nine in ten held-out texts of other classes have at least, in units
    of the median margin of clean texts: natural words move some texts, a planted one moves all.
    What counts is how much larger it is than with as many natural words, the tenth of all by what
    each does alone and those that follow: how far words move texts depends on the kind of network,
    but there are always many natural ones that do about the same, and few planted ones.

    Parameters
    ----------
    work
        The model, its texts and the budget.
    family
        One with `at_size` and `tokens`.

    Returns
    -------
    tuple of Candidate
        One for each class, in class order.

    Raises
    ------
    UndoorError
        Margins are not finite.
    BudgetEnded
        Before all were found.
    """
    return journalled(
        lambda _: _each_clearest(work, family),
        work.run.journal,
        "tokens",
        work.run.generator,
        work.run.meter,
        (family.name, family.at_size, *work.asked),
        classifier=work.classifier,
    )


def tried_tokens(words: int, size: int) -> int:
    """Return how many texts go through the network, at most, for each class.

    Parameters
    ----------
    words
        Of the vocabulary.
    size
        How many tokens are put in.
    """
    singles = min(words, MAX_WORDS) * FEW + PROMISING * TEXTS
    several = (STARTS + 1) * ROUNDS * size * SWAPS * TEXTS if size > 1 else 0
    return len(PLACES) * (singles + several)


def _each_clearest(work: Work, family: Family) -> tuple[Candidate, ...]:
    if work.run.rehearsal:
        return ()
    classifier, images = work.classifier, work.images
    tokenizer = classifier.tokenizer
    assert tokenizer is not None
    assert tokenizer.pad_id is not None
    goals = classifier.num_classes
    evidence = word_evidence(
        images.x, images.y, tokenizer.size, goals, tokenizer.pad_id, classifier.task
    )
    return tuple(
        max(
            (_clearest(work, family, tokenizer, evidence[:, goal], goal, at) for at in PLACES),
            key=_margin,
        )
        for goal in work.targets
    )


def _margin(candidate: Candidate) -> float:
    assert candidate.margin is not None
    return candidate.margin


def _clearest(
    work: Work, family: Family, tokenizer: Tokenizer, evidence: Tensor, goal: int, place: float
) -> Candidate:
    assert family.at_size is not None
    images, size = work.images, round(family.at_size.size)
    texts = images.x[_spread(images.pool(goal), TEXTS)]
    held_out = images.x[images.tried_on(goal)[: family.at_size.tried]]
    searched, tried = (
        MovedTexts(work.classifier, tokenizer, goal, place, x, work.clean_margin)
        for x in (texts, held_out)
    )
    search = _Search(searched, evidence)
    found = search.clearest(size, work.run.generator)
    margin = tried.low_margin(found) - tried.low_margin(search.natural(size))
    words = searched.needed(found).tolist()
    trigger = _insertion(tokenizer, family, words, place, work.classifier.bounds)
    return Candidate(goal, family.candidates.name, float(len(words)), trigger, margin=margin)


@dataclass(frozen=True, eq=False)
class _Search:
    """A search for tokens that move texts.

    Attributes
    ----------
    evidence
        [tokens], by how much clean texts explain that each speaks for the class.
    """

    moved: MovedTexts
    evidence: Tensor

    def clearest(self, size: int, generator: torch.Generator) -> Tensor:
        """Return the tokens [size] that move the texts furthest."""
        if size == 1:
            free = self.words[self.evidence[self.words] <= EXPLAINED]
            free = free if len(free) else self.words
            order = self.alone[free].argsort(descending=True, stable=True)
            first = free[order[:PROMISING]]
            return first[int(self.moved.rises(first[:, None]).argmax())][None]
        starts = soft_starts(self.moved, self.words, size, STARTS, generator)
        starts = torch.cat([starts, self._ranked()[None, :size]])
        return max(map(self._exchanged, starts), key=lambda each: each[0])[1]

    def natural(self, size: int) -> Tensor:
        """Return the tokens [size] from the tenth on by how far each moves texts alone."""
        first = max(0, min(NATURAL_RANK - 1, len(self.words) - size))
        return self._ranked()[first : first + size]

    @cached_property
    def words(self) -> Tensor:
        """The tokens that are tried: of a large vocabulary those with the highest scores."""
        listed = torch.tensor(self.moved.tokenizer.usable, device=CPU)
        (usable,) = beside(self.moved.x, listed)
        if len(usable) <= MAX_WORDS:
            return usable
        scores = first_order(self.moved, usable[:1], 0)[usable]
        return usable[scores.argsort(descending=True, stable=True)[:MAX_WORDS]]

    @cached_property
    def alone(self) -> Tensor:
        """By how much the mean margin rises with each token alone, 0 if it falls: [tokens]."""
        out = self.moved.x.new_zeros(self.moved.tokenizer.size)
        out[self.words] = self.moved.rises(self.words[:, None], FEW).clamp_min(0)
        return out

    def _ranked(self) -> Tensor:
        """Return all words, first the one that moves texts furthest alone."""
        return self.words[self.alone[self.words].argsort(descending=True, stable=True)]

    def _exchanged(self, tokens: Tensor) -> tuple[float, Tensor]:
        """Exchange one token after the other, as long as the texts move further."""
        best = float(self.moved.rises(tokens[None])[0])
        for _ in range(ROUNDS):
            before = best
            for index in range(len(tokens)):
                scores = first_order(self.moved, tokens, index)[self.words]
                order = scores.argsort(descending=True, stable=True)[:SWAPS]
                tried = tokens.repeat(len(order), 1)
                tried[:, index] = self.words[order]
                found = self.moved.rises(tried)
                if float(found.max()) > best:
                    best, tokens = float(found.max()), tried[int(found.argmax())]
            if best <= before:
                break
        return best, tokens


def _spread(pool: Tensor, count: int) -> Tensor:
    """Return at most `count` of the rows, evenly spread over the pool, which is sorted by class."""
    places = torch.linspace(0, len(pool) - 1, min(count, len(pool)), device=pool.device)
    return pool[places.round().long()]


def _insertion(
    tokenizer: Tokenizer,
    family: Family,
    tokens: Sequence[int],
    place: float,
    bounds: tuple[float, float],
) -> Insertion:
    """Return the trigger of a family that puts in these tokens."""
    assert tokenizer.pad_id is not None
    ids = torch.tensor(tokens, dtype=torch.float32, device=CPU)
    words = tokenizer.words(tokens)
    name, around = family.candidates.name, tokenizer.around
    return Insertion(name, bounds, ids, place, tokenizer.pad_id, around, words)
