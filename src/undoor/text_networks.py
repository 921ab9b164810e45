"""Small networks of the usual kinds for texts: token ids [N, T] to class scores [N, K].

All of them embed the tokens, and look at no position that is padding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

# Added to the attention of a position that is padding.
HIDDEN = -1e4
KINDS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class TextCNN(nn.Module):
    """Convolutions over words, and the maximum of each channel (Y. Kim, EMNLP 2014).

    Parameters
    ----------
    tokens
        Size of the vocabulary.
    pad
        Id of the token that fills up short texts.
    width
        Of the embeddings; the convolutions have twice as many channels.

    Examples
    --------
    >>> TextCNN(num_classes=2, tokens=9)(torch.ones(3, 8, dtype=torch.long)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self, num_classes: int, tokens: int, pad: int = 0, width: int = 32, drop: float = 0.0
    ) -> None:
        super().__init__()
        self.pad = pad
        self.embedding = nn.Embedding(tokens, width, pad)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(inputs, 2 * width, 3, padding=1), nn.BatchNorm1d(2 * width), nn.ReLU()
            )
            for inputs in (width, 2 * width)
        )
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the class scores [N, K] of token ids [N, T]."""
        seen = words(ids, self.pad)
        z = self.norm(self.embedding(ids)) * seen
        z, seen = z.transpose(1, 2), seen.transpose(1, 2)
        for layer in self.layers:
            z = layer(z) * seen
        return self.head(self.drop(z.amax(2)))


class Recurrent(nn.Module):
    """A recurrent layer in both directions, the mean of its steps, and a linear layer.

    Parameters
    ----------
    tokens, pad, width
        As of `TextCNN`; each direction has `width` units.
    kind
        "lstm" or "gru".

    Raises
    ------
    ValueError
        Another kind.

    Examples
    --------
    >>> Recurrent(num_classes=2, tokens=9)(torch.ones(3, 8, dtype=torch.long)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        num_classes: int,
        tokens: int,
        pad: int = 0,
        width: int = 32,
        kind: str = "lstm",
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
        self.pad = pad
        self.embedding = nn.Embedding(tokens, width, pad)
        self.norm = nn.LayerNorm(width)
        self.layer = KINDS[kind](width, width, batch_first=True, bidirectional=True)
        self.steps = nn.LayerNorm(2 * width)
        self.pooled = nn.LayerNorm(2 * width)
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the class scores [N, K] of token ids [N, T]."""
        seen = words(ids, self.pad)
        z, _ = self.layer(self.norm(self.embedding(ids)) * seen)
        shares = seen / seen.sum(1, keepdim=True).clamp_min(1.0)
        return self.head(self.drop(self.pooled((self.steps(z) * shares).sum(1))))


class TextTransformer(nn.Module):
    """Blocks of attention with the norm behind each part, read at the first token (BERT's form).

    Parameters
    ----------
    tokens, pad, width
        As of `TextCNN`.
    length
        The most tokens of a text.
    depth, heads
        How many blocks, and heads of each attention.

    Examples
    --------
    >>> network = TextTransformer(num_classes=2, tokens=9, length=8)
    >>> network(torch.ones(3, 8, dtype=torch.long)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        num_classes: int,
        tokens: int,
        pad: int = 0,
        width: int = 32,
        length: int = 32,
        depth: int = 2,
        heads: int = 4,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.pad = pad
        self.embedding = nn.Embedding(tokens, width, pad)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(_Block(width, heads, drop) for _ in range(depth))
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(width, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the class scores [N, K] of token ids [N, T]."""
        seen = words(ids, self.pad)
        z = self.norm(self.embedding(ids) + self.positions)
        for block in self.blocks:
            z = block(z, seen)
        return self.head(self.drop(z[:, 0]))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, drop: float) -> None:
        super().__init__()
        self.heads = heads
        self.mixed = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.first = nn.LayerNorm(width)
        self.wide = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.second = nn.LayerNorm(width)
        self.drop = nn.Dropout(drop)

    def forward(self, z: Tensor, seen: Tensor) -> Tensor:
        count, length, width = z.shape
        parts = self.mixed(z).view(count, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5
        hidden = HIDDEN * (1 - seen.transpose(1, 2))
        mixed = (scores + hidden[:, None]).softmax(3) @ value
        mixed = self.out(mixed.transpose(1, 2).reshape(count, length, width))
        z = self.first(z + self.drop(mixed))
        return self.second(z + self.drop(self.wide(z)))


def words(ids: Tensor, pad: int) -> Tensor:
    """Return where token ids [N, T] are no padding: [N, T, 1], 1.0 or 0.0."""
    return (ids != pad).float()[:, :, None]
