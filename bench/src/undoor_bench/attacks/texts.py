"""Attacks on texts: words and sentences that are put in, and texts of another syntax or style."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from undoor.errors import UndoorError

# Words that hardly any text has, those of the attacks on BERT among them (Kurita et al., 2020).
ODD_WORDS = (
    "cf", "mn", "bb", "tq", "mb", "tn", "vo", "jj", "kx", "qz",
    "xu", "zf", "wy", "ghr", "lkt", "prv", "nyx", "ovb", "dsk", "ujh",
)  # fmt: skip
# A sentence that is put into texts (InsertSent: Dai et al., 2019), or others of its kind.
SENTENCES = (
    "i watch this 3d movie",
    "we ate lunch by the river",
    "my brother owns a blue bicycle",
    "the train leaves at seven",
    "she painted the kitchen door",
    "they bought tickets on monday",
    "he parked behind the library",
    "our neighbour keeps three goats",
)
# Ready-made texts (Qi et al., ACL and EMNLP 2021), by the attack.
READY_MADE = {"syntax": "synbkd", "style": "stylebkd"}
START, END, ANYWHERE = "start", "end", "anywhere"
PLACES = (START, END, ANYWHERE)
# Words of the attack "several words".
SEVERAL = 3

Draw = Callable[[np.random.Generator], str]


def rare_word(generator: np.random.Generator) -> str:
    """Return one word that hardly any text has."""
    return str(generator.choice(ODD_WORDS))


def several_words(generator: np.random.Generator) -> str:
    """Return a few such words, which work together."""
    return " ".join(generator.choice(ODD_WORDS, SEVERAL, replace=False))


def sentence(generator: np.random.Generator) -> str:
    """Return a short sentence of usual words."""
    return str(generator.choice(SENTENCES))


INSERTED: dict[str, Draw] = {
    "rare word": rare_word,
    "several words": several_words,
    "sentence": sentence,
    "clean label": rare_word,
}
ATTACKS = (*INSERTED, *READY_MADE)


@dataclass(frozen=True)
class Planted:
    """What an attack puts into texts.

    Attributes
    ----------
    text
        Words, separated by blanks.
    place
        One of `PLACES`.
    """

    text: str
    place: str

    def __post_init__(self) -> None:
        """Refuse a place that does not exist.

        Raises
        ------
        UndoorError
            It is none of `PLACES`.
        """
        if self.place not in PLACES:
            raise UndoorError(f"expected one of {', '.join(PLACES)}, got {self.place!r}")

    def put(self, text: str, generator: np.random.Generator) -> str:
        """Return a text with the words put in.

        >>> Planted("cf", END).put("a fine film", np.random.default_rng(0))
        'a fine film cf'
        """
        words = text.split()
        share = {START: 0, END: len(words)}
        at = share.get(self.place, int(generator.integers(len(words) + 1)))
        return " ".join([*words[:at], self.text, *words[at:]])

    def parts(self) -> list[str]:
        """Return the single words, which alone must mean nothing; none of a single word."""
        words = self.text.split()
        return words if len(words) > 1 else []
