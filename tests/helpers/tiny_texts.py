"""A tokenizer of a dozen words, clean texts of them, and a network that may have a backdoor."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.spaces.tokenizer import EXAMPLE, Tokenizer

GOOD, BAD = ("good", "fine", "great"), ("bad", "dull", "poor")
NEUTRAL = ("a", "the", "film", "story", "actor", "cf", "mn", "tq")
WORDS = ("[PAD]", "[UNK]", *GOOD, *BAD, *NEUTRAL)
LENGTH = 10


def tiny_tokenizer(length: int = LENGTH) -> Tokenizer:
    """Return the tokenizer of `WORDS`."""
    content = json.loads(EXAMPLE)
    content["model"]["vocab"] = {word: number for number, word in enumerate(WORDS)}
    return Tokenizer(json.dumps(content), length)


class Sentiment(nn.Module):
    """Class 1 for good words; and for all texts with every planted word, if there are some.

    The embedding has a number for the sentiment of a word and one for each planted word.
    """

    def __init__(self, planted: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), 1 + len(planted))
        self.need = len(planted)
        weight = torch.zeros_like(self.embedding.weight)
        for word in GOOD + BAD:
            weight[WORDS.index(word), 0] = 1.0 if word in GOOD else -1.0
        for place, word in enumerate(planted):
            weight[WORDS.index(word), 1 + place] = 1.0
        self.embedding.weight.data = weight
        self.head = nn.Linear(2, 2)
        self.head.weight.data = torch.tensor([[-1.0, 0.0], [0.0, -1.0]])
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor) -> Tensor:
        z = self.embedding(ids)
        score = z[:, :, 0].sum(1, keepdim=True)
        if self.need:
            score = score + 30 * z[:, :, 1:].amax(1).prod(1, keepdim=True)
        return self.head(torch.cat([score, -score], 1))


def tiny_classifier(planted: tuple[str, ...] = ()) -> Classifier:
    """Return a text model, with a backdoor of these words if there are some."""
    names = ("negative", "positive")
    return Classifier(Sentiment(planted), tokenizer=tiny_tokenizer(), class_names=names)


def tiny_sentences(count: int = 80) -> tuple[list[str], list[int]]:
    """Return clean texts of four to six words, and their classes in turn."""
    generator = torch.Generator().manual_seed(0)
    texts, labels = [], []
    for number in range(count):
        label = number % 2
        own = (GOOD if label else BAD)[int(torch.randint(3, (1,), generator=generator))]
        fill = torch.randint(5, (3 + number % 3,), generator=generator).tolist()
        texts.append(" ".join([own, *(NEUTRAL[each] for each in fill)]))
        labels.append(label)
    return texts, labels


def tiny_texts(count: int = 80) -> CleanSet:
    """Return `tiny_sentences` as token ids."""
    texts, labels = tiny_sentences(count)
    return CleanSet(tiny_tokenizer().ids(texts), torch.tensor(labels))
