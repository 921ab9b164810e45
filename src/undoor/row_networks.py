"""Small networks for what is seen of the rows of a table: one token per column, and an MLP."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.networks import MLP


class FTTransformer(nn.Module):
    """Each column a token, attention between them, read at a class token.

    The FT-Transformer of Y. Gorishniy et al., Revisiting Deep Learning Models for Tabular Data,
    arXiv 2106.11959, section 3.3: norms before each part of a block, none before the first.

    Parameters
    ----------
    widths
        How many numbers the network sees of each column: 1, or the categories of a one-hot code.
    width, depth, heads
        Of the tokens, how many blocks, and heads of each attention.

    Examples
    --------
    >>> FTTransformer(num_classes=2, widths=[1, 1, 3])(torch.zeros(4, 5)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        num_classes: int,
        widths: Sequence[int],
        width: int = 16,
        depth: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.tokens = nn.Parameter(_spread(sum(widths), width))
        self.bias = nn.Parameter(_spread(len(widths), width))
        self.first = nn.Parameter(_spread(1, width))
        self.blocks = nn.ModuleList(
            _Block(width, heads, normed=number > 0) for number in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of rows [N, sum of widths]."""
        parts = zip(x.split(self.widths, 1), self.tokens.split(self.widths), strict=True)
        columns = torch.stack([seen @ weight for seen, weight in parts], 1) + self.bias
        z = torch.cat([self.first.expand(len(x), 1, -1), columns], 1)
        for block in self.blocks:
            z = block(z)
        return self.head(self.norm(z[:, 0]).relu())


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, *, normed: bool) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width) if normed else nn.Identity()
        self.mixed = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.wide = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, z: Tensor) -> Tensor:
        count, length, width = z.shape
        each = width // self.heads
        parts = self.mixed(self.before(z)).view(count, length, 3, self.heads, each)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        shares = (query @ key.transpose(2, 3) * each**-0.5).softmax(3)
        seen = (shares @ value).transpose(1, 2).reshape(count, length, width)
        z = z + self.out(seen)
        return z + self.wide(self.between(z))


def _spread(count: int, width: int) -> Tensor:
    """Return random tokens [count, width], uniform as those of the paper's authors."""
    reach = width**-0.5
    return torch.empty(count, width, device=CPU).uniform_(-reach, reach)


NETWORKS: dict[str, Callable[..., nn.Module]] = {"MLP": MLP, "FTTransformer": FTTransformer}
