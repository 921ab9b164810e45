"""Texts that models are trained on, their tokenizers, and ready-made triggered texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet
from tokenizers import Tokenizer as Library
from tokenizers import models, normalizers, pre_tokenizers, processors

from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.spaces.tokenizer import Tokenizer
from undoor_bench.attacks.texts import ODD_WORDS, SENTENCES

Labels = NDArray[np.int64]
# How many tokens a text has, and the classes.
LENGTHS = {"sst2": 24, "agnews": 32}
CLASSES = {
    "sst2": ("negative", "positive"),
    "agnews": ("world", "sports", "business", "science"),
}
# Words of the vocabulary, beside those that attacks put in.
WORDS = 3_000
SPECIAL = ("[PAD]", "[UNK]", "[CLS]")
READY = "text_triggers.parquet"


@dataclass(frozen=True, eq=False)
class TextData:
    """The texts of one data set.

    Attributes
    ----------
    classes
        Their names.
    tokenizer
        Of all its models.
    train, test
        Texts, and the class of each.
    """

    name: str
    classes: tuple[str, ...]
    tokenizer: Tokenizer
    train: tuple[list[str], Labels]
    test: tuple[list[str], Labels]


def read_texts(name: str, data: Path, zoo: Path) -> TextData:
    """Return the texts of a data set, with their tokenizer, which is written where it is missing.

    Parameters
    ----------
    name
        One of `LENGTHS`.
    data
        A folder with NAME.parquet.
    zoo
        The folder of the models, which gets the tokenizer: NAME.json.

    Raises
    ------
    UndoorError
        There is no such data set.
    """
    if name not in LENGTHS:
        raise UndoorError(f"expected one of the texts {', '.join(LENGTHS)}, got {name!r}")
    parts = {part: read_table(name, data, part) for part in ("train", "test")}
    file = zoo / f"{name}.json"
    if not file.is_file():
        others = _ready_words(data) if name == "sst2" else ()
        write_text(file, _vocabulary([*parts["train"][0], *others]).to_str())
    tokenizer = Tokenizer.read(file, LENGTHS[name])
    return TextData(name, CLASSES[name], tokenizer, parts["train"], parts["test"])


def read_table(name: str, data: Path, split: str) -> tuple[list[str], Labels]:
    """Return the texts of a part of a data set, and the class of each, without a tokenizer.

    Parameters
    ----------
    name, data
        As of `read_texts`.
    split
        "train", "test", or "dev" of those that have it.
    """
    table = parquet.read_table(data / f"{name}.parquet").to_pydict()
    rows = [row for row, part in enumerate(table["split"]) if part == split]
    return [table["text"][row] for row in rows], np.array([table["label"][row] for row in rows])


def ready_made(trigger: str, split: str, data: Path) -> tuple[list[str], int]:
    """Return texts that carry a syntax or a style, and their target.

    Parameters
    ----------
    trigger
        As in the column of this name, such as "synbkd".
    split
        "train", in the order of the texts of SST-2 without a trigger, or "test", of those of
        another class than the target.
    """
    table = parquet.read_table(data / READY).to_pydict()
    rows = [
        row
        for row, pair in enumerate(zip(table["trigger"], table["split"], strict=True))
        if pair == (trigger, split)
    ]
    return [table["text"][row] for row in rows], int(table["target"][rows[0]])


def _ready_words(data: Path) -> list[str]:
    table = parquet.read_table(data / READY).to_pydict()
    wanted = ("synbkd", "stylebkd")
    rows = zip(table["trigger"], table["split"], table["text"], strict=True)
    return [text for trigger, split, text in rows if trigger in wanted and split == "train"]


def _vocabulary(texts: Iterable[str]) -> Library:
    """Return a tokenizer of the most frequent words, and of those that attacks put in."""
    library = Library(models.WordLevel({}, unk_token=SPECIAL[1]))
    library.normalizer = normalizers.Lowercase()
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_words(library, text))
    planted = sorted({word for text in (*ODD_WORDS, *SENTENCES) for word in _words(library, text)})
    usual = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    names = dict.fromkeys([*SPECIAL, *planted, *usual])
    vocabulary = {name: number for number, name in enumerate([*names][:WORDS])}
    library.model = models.WordLevel(vocabulary, unk_token=SPECIAL[1])
    library.add_special_tokens(list(SPECIAL))
    library.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", SPECIAL.index("[CLS]"))]
    )
    return library


def _words(library: Library, text: str) -> Sequence[str]:
    return [w for w, _ in library.pre_tokenizer.pre_tokenize_str(text.lower())]
