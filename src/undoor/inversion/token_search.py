"""Search for the tokens that, put into texts, move them to a class together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from undoor.device import CPU, array, beside, from_array, on
from undoor.families.family import Family
from undoor.inversion.candidates import Candidate
from undoor.inversion.journalled_search import journalled, step
from undoor.inversion.moved_texts import MovedTexts
from undoor.inversion.soft_tokens import first_order, soft_starts
from undoor.inversion.text_evidence import word_evidence
from undoor.inversion.work import Work
from undoor.journal import NO_DRAFT, Arrays, Draft
from undoor.spaces.tokenizer import Tokenizer
from undoor.triggers import Insertion
from undoor.triggers.insertion import END, START

PLACES = (START, END)
# Texts that tokens are tried on: at first, and those that are promising.
FEW, TEXTS = 2, 8
# All words of a vocabulary up to this size are tried. Of a larger one so many, those with the
# highest first-order scores, on average over the words in whose place they are put: one alone
# ranked a planted word of an encoder 1,539th of 23,694, the mean of four 82nd. Both numbers were
# chosen by that one word, so that what is measured on that model is no held-out figure.
ALL_WORDS, MAX_WORDS, BASES = 8192, 2048, 4
# How many of them are tried on more texts; how many words may stand in the place of another one.
PROMISING, SWAPS = 128, 16
# Starts from soft tokens, and rounds of exchanging one word after the other.
STARTS, ROUNDS = 4, 2
# By how much more of a margin of clean texts a word may speak for the class without the model.
EXPLAINED = 0.25
# The rank, among all words by what each does alone, from which on words are natural ones: what as
# many of those do together is taken off. There are always some, and a few may be planted.
NATURAL_RANK = 10


def clearest_tokens(
    work: Work, family: Family, goals: Sequence[int] | None = None
) -> tuple[Candidate, ...]:
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
    goals
        The classes, in order; those of the work where None.

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
    if work.run.rehearsal:
        return ()
    sought = work.targets if goals is None else goals
    evidence = _evidence(work)
    return tuple(
        max((_journalled(work, family, evidence, goal, at) for at in PLACES), key=_margin)
        for goal in sought
    )


def tried_tokens(words: int, size: int) -> int:
    """Return how many texts go through the network, at most, for each class.

    Words are tried alone once, with the search for one: several are searched behind it.

    Parameters
    ----------
    words
        Of the vocabulary.
    size
        How many tokens are put in.
    """
    if size == 1:
        tried = words if words <= ALL_WORDS else MAX_WORDS
        return len(PLACES) * (tried * FEW + PROMISING * TEXTS)
    return len(PLACES) * (STARTS + 1) * ROUNDS * size * SWAPS * TEXTS


def _evidence(work: Work) -> Tensor:
    """Return by how much clean texts explain that each token speaks for each class."""
    classifier, images, tokenizer = work.classifier, work.images, _tokenizer(work)
    assert tokenizer.pad_id is not None
    goals = classifier.num_classes
    return word_evidence(
        images.x, images.y, tokenizer.size, goals, tokenizer.pad_id, classifier.task
    )


def _tokenizer(work: Work) -> Tokenizer:
    assert work.classifier.tokenizer is not None
    return work.classifier.tokenizer


def _journalled(work: Work, family: Family, evidence: Tensor, goal: int, place: float) -> Candidate:
    """Return the clearest tokens of one class at one place, from the journal where they are."""
    moved = _moved(work, goal, place)
    search = _Search(moved, evidence[:, goal], *_each_alone(work, moved))
    (found,) = journalled(
        lambda _: (_clearest(work, family, search),),
        work.run.journal,
        "tokens",
        work.run.generator,
        work.run.meter,
        (family.name, family.at_size, goal, place),
        classifier=work.classifier,
    )
    return found


def _moved(work: Work, goal: int, place: float) -> MovedTexts:
    """Return the texts that tokens are searched on."""
    images = work.images
    return MovedTexts(
        work.classifier,
        _tokenizer(work),
        goal,
        place,
        images.x[_spread(images.pool(goal), TEXTS)],
        work.clean_margin,
        progress=work.run.progress,
    )


# What words do alone does not depend on how many are sought: see `_each_alone`.
_ALONE: WeakKeyDictionary[Work, dict[tuple[int, float], tuple[Tensor, Tensor]]] = (
    WeakKeyDictionary()
)


def _each_alone(work: Work, moved: MovedTexts) -> tuple[Tensor, Tensor]:
    """Return the words [W] that are tried, and by how much each raises the mean margin alone [W].

    Computed once for all families of one scan, and stored as a step of its journal.
    """
    known = _ALONE.setdefault(work, {})
    key = (moved.goal, moved.place)
    if key not in known:

        def compute(_: Draft) -> Arrays:
            words = tried_words(moved)
            rises = moved.rises(words[:, None], FEW).clamp_min(0)
            return {"words": array(words), "rises": array(rises)}

        run = work.run
        found = (
            compute(NO_DRAFT)
            if run.journal is None
            else step(run.journal, "words", compute, run.generator, run.meter, *key)
        )
        device = moved.x.device
        known[key] = (
            on(device, from_array(found["words"])),
            on(device, from_array(found["rises"])),
        )
    return known[key]


def tried_words(moved: MovedTexts) -> Tensor:
    """Return the tokens [W] that are tried: of many words those with the highest scores."""
    listed = torch.tensor(moved.tokenizer.usable, device=CPU)
    (usable,) = beside(moved.x, listed)
    if len(usable) <= ALL_WORDS:
        return usable
    bases = _spread(usable, BASES)
    scores = torch.stack([first_order(moved, base[None], 0)[usable] for base in bases]).mean(0)
    return usable[scores.argsort(descending=True, stable=True)[:MAX_WORDS]]


def _margin(candidate: Candidate) -> float:
    assert candidate.margin is not None
    return candidate.margin


def _clearest(work: Work, family: Family, search: _Search) -> Candidate:
    assert family.at_size is not None
    images, size, moved = work.images, round(family.at_size.size), search.moved
    held_out = images.x[images.tried_on(moved.goal)[: family.at_size.tried]]
    tried = replace(moved, x=held_out, exact=True)
    found = search.clearest(size, work.run.generator)
    margin = tried.low_margin(found) - tried.low_margin(search.natural(size))
    words = moved.needed(found).tolist()
    trigger = _insertion(moved.tokenizer, family, words, moved.place, work.classifier.bounds)
    name = family.candidates.name
    return Candidate(moved.goal, name, float(len(words)), trigger, margin=margin)


@dataclass(frozen=True, eq=False)
class _Search:
    """A search for tokens that move texts.

    Attributes
    ----------
    evidence
        [tokens], by how much clean texts explain that each speaks for the class.
    words
        [W], the tokens that are tried.
    alone
        [W], by how much the mean margin rises with each of them alone, 0 if it falls.
    """

    moved: MovedTexts
    evidence: Tensor
    words: Tensor
    alone: Tensor

    def clearest(self, size: int, generator: torch.Generator) -> Tensor:
        """Return the tokens [size] that move the texts furthest."""
        if size == 1:
            free = self.evidence[self.words] <= EXPLAINED
            ranked = self._ranked(free if bool(free.any()) else torch.ones_like(free))
            first = ranked[:PROMISING]
            return first[int(self.moved.rises(first[:, None]).argmax())][None]
        starts = soft_starts(self.moved, self.words, size, STARTS, generator)
        starts = torch.cat([starts, self._ranked()[None, :size]])
        return max(map(self._exchanged, starts), key=lambda each: each[0])[1]

    def natural(self, size: int) -> Tensor:
        """Return the tokens [size] from the tenth on by how far each moves texts alone."""
        first = max(0, min(NATURAL_RANK - 1, len(self.words) - size))
        return self._ranked()[first : first + size]

    def _ranked(self, those: Tensor | None = None) -> Tensor:
        """Return the words, first the one that moves texts furthest alone: all, or `those`."""
        words, alone = (x if those is None else x[those] for x in (self.words, self.alone))
        return words[alone.argsort(descending=True, stable=True)]

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
