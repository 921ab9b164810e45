"""The tokenizer of a text model: how a text becomes token ids, and ids become words again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from undoor.device import CPU
from undoor.errors import UndoorError, first_line
from undoor.extras import how_to_install

# What the token that fills up short texts is called, in the order in which they are looked for.
PADS = ("[PAD]", "<pad>", "<|endoftext|>", "</s>")
# No vocabulary of a text model is larger.
MAX_BYTES = 64 * 2**20
# A word between the special tokens at the start and at the end of a text.
WORD = "a"


@dataclass(frozen=True)
class Tokenizer:
    """How a text becomes the token ids [T] that a model takes.

    It is read from the text of a ``tokenizer.json`` by the library `tokenizers`, which runs no
    code of the file. Longer texts are cut, shorter ones filled up at the end.

    Attributes
    ----------
    text
        The content of the ``tokenizer.json``.
    length
        T, how many tokens an input has, special ones and padding included.
    pad
        The token that fills up short texts; by default one of the usual names.

    Raises
    ------
    UndoorError
        The text is no such file, the length leaves no room for words, or there is no such token.
    """

    text: str
    length: int
    pad: str | None = None

    def __post_init__(self) -> None:
        """Refuse a tokenizer that would fail only on the first text."""
        lead, tail = self.around
        if self.length <= lead + tail:
            raise UndoorError(
                f"expected a length above {lead + tail}, the number of special tokens around each "
                f"text, got {self.length}"
            )
        if self.pad_id is None:
            raise UndoorError(
                "expected the name of the token that fills up short texts, such as "
                f"{PADS[0]!r}, got {self.pad!r}, which the tokenizer does not have"
            )

    @staticmethod
    def read(file: str | Path, length: int, pad: str | None = None) -> Tokenizer:
        """Return the tokenizer of a ``tokenizer.json``.

        Raises
        ------
        UndoorError
            There is no such file, or it is none.
        """
        path = Path(file)
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise UndoorError(
                f"expected the tokenizer at {path}, a tokenizer.json of at most {MAX_BYTES:,} "
                "bytes; copy it from the folder of the model"
            )
        try:
            return Tokenizer(path.read_text(encoding="utf-8"), length, pad)
        except (UndoorError, ValueError) as error:
            raise UndoorError(f"{path}: {first_line(error)}") from error

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of its file, to which scans and repairs are bound."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def size(self) -> int:
        """How many token ids there are."""
        return len(_tokens(self.text))

    @property
    def pad_id(self) -> int | None:
        """The id of the token that fills up short texts."""
        names = PADS if self.pad is None else (self.pad,)
        tokens = _tokens(self.text)
        return next((tokens.index(name) for name in names if name in tokens), None)

    @cached_property
    def around(self) -> tuple[int, int]:
        """How many special tokens are put in front of each text, and behind it."""
        marks = _library(self.text).encode(WORD).special_tokens_mask
        words = [place for place, mark in enumerate(marks) if not mark]
        if not words:
            return 0, 0
        return words[0], len(marks) - 1 - words[-1]

    @cached_property
    def usable(self) -> tuple[int, ...]:
        """The ids that are words which anyone can write: no special token, no part of a word."""
        return _usable(self.text)

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Return texts as raw inputs [N, T], token ids as float32.

        >>> Tokenizer(EXAMPLE, 4).ids(["a bad film", "good"])
        tensor([[2., 3., 5., 0.],
                [4., 0., 0., 0.]])
        """
        library, tail = _library(self.text), self.around[1]
        rows = [encoding.ids for encoding in library.encode_batch(list(texts))]
        assert self.pad_id is not None
        out = torch.full((len(rows), self.length), float(self.pad_id), device=CPU)
        for row, found in zip(out, rows, strict=True):
            cut = found if len(found) <= self.length else _cut(found, self.length, tail)
            row[: len(cut)] = torch.tensor(cut, dtype=row.dtype, device=CPU)
        return out

    def words(self, ids: Sequence[float]) -> str:
        """Return token ids as people read them, without padding and special tokens.

        >>> Tokenizer(EXAMPLE, 4).words([2, 3, 0])
        'a bad'
        """
        return str(_library(self.text).decode([round(float(each)) for each in ids]))

    def to_json(self) -> dict[str, Any]:
        """Return what binds a model to its tokenizer."""
        return {"sha256": self.sha256, "length": self.length, "pad": self.pad_id}


def _cut(ids: Sequence[int], length: int, tail: int) -> list[int]:
    """Return the first ids, with the special tokens behind the text at their end."""
    return [*ids[: length - tail], *ids[len(ids) - tail :]]


@lru_cache(maxsize=8)
def _library(text: str) -> Any:
    """Return the tokenizer of the library `tokenizers`, without cutting and padding of its own."""
    try:
        import tokenizers
    except ImportError as error:
        raise UndoorError(f"text models need tokenizers; {how_to_install('text')}") from error
    if len(text) > MAX_BYTES:
        raise UndoorError(f"expected a tokenizer of at most {MAX_BYTES:,} characters, got more")
    try:
        made = tokenizers.Tokenizer.from_str(text)
    except Exception as error:
        raise UndoorError(
            f"expected the content of a tokenizer.json, got another ({first_line(error)}); copy "
            "the file again, or save it with tokenizers.Tokenizer.save"
        ) from error
    made.no_padding()
    made.no_truncation()
    return made


@lru_cache(maxsize=8)
def _tokens(text: str) -> tuple[str, ...]:
    """Return all tokens by their ids; an id without one has an empty token."""
    by_token = _library(text).get_vocab(with_added_tokens=True)
    out = [""] * (1 + max(by_token.values(), default=0))
    for token, number in by_token.items():
        out[number] = token
    return tuple(out)


@lru_cache(maxsize=8)
def _usable(text: str) -> tuple[int, ...]:
    library = _library(text)
    special = {number for number, added in library.get_added_tokens_decoder().items()
               if added.special}  # fmt: skip
    numbers = [number for number in range(len(_tokens(text))) if number not in special]
    words = library.decode_batch([[number] for number in numbers])
    back = library.encode_batch(words, add_special_tokens=False)
    pairs = zip(numbers, words, back, strict=True)
    return tuple(number for number, word, same in pairs if word.strip() and same.ids == [number])


EXAMPLE = json.dumps(
    {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for number, token in enumerate(("[PAD]", "[UNK]"))
        ],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 2, "bad": 3, "good": 4, "film": 5},
            "unk_token": "[UNK]",
        },
    }
)
