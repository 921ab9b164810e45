"""Small networks for images without batch norm: a vision transformer, and a ConvNeXt."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Of the square of images, unless the caller says so.
SIDE: Final = 32


class ViT(nn.Module):
    """Blocks of attention with the norm before each part, read at a class token (arXiv 2010.11929).

    Parameters
    ----------
    num_classes, channels
        Outputs, and channels of the images.
    side
        Height and width of the images, in pixels.
    patch
        Height and width in pixels of what becomes one token; divides `side`.
    width, depth, heads
        Numbers of each token, blocks, and heads of each attention.

    Raises
    ------
    ValueError
        A side that is no multiple of `patch`.

    Examples
    --------
    >>> ViT(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 3,
        width: int = 64,
        *,
        side: int = SIDE,
        patch: int = 4,
        depth: int = 4,
        heads: int = 2,
    ) -> None:
        super().__init__()
        if side % patch:
            raise ValueError(f"side must be a multiple of patch ({patch}), got {side}")
        self.cut = nn.Conv2d(channels, width, patch, patch)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(_Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of images [N, C, side, side]."""
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        first = self.first.expand(len(x), -1, -1)
        z = torch.cat([first, tokens], 1) + self.positions
        return self.head(self.norm(self.blocks(z))[:, 0])


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.mixed = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.before_wide = nn.LayerNorm(width)
        self.wide = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, z: Tensor) -> Tensor:
        count, length, width = z.shape
        parts = self.mixed(self.before_attention(z))
        parts = parts.reshape(count, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        z = z + self.out(seen.transpose(1, 2).reshape(count, length, width))
        return z + self.wide(self.before_wide(z))


class ConvNeXt(nn.Module):
    """Depthwise 7 x 7 layers with layer norm and two linear layers each (arXiv 2201.03545).

    Parameters
    ----------
    num_classes, channels
        Outputs, and channels of the images.
    width
        Channels of the first stage; the second and third have two and four times as many.

    Examples
    --------
    >>> ConvNeXt(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, num_classes: int, channels: int = 3, width: int = 24) -> None:
        super().__init__()
        stages: list[nn.Module] = [nn.Conv2d(channels, width, 2, 2), _ChannelNorm(width)]
        for stage in range(3):
            inner = width * 2**stage
            stages += [_Mixing(inner), _Mixing(inner)]
            if stage < 2:
                stages += [_ChannelNorm(inner), nn.Conv2d(inner, 2 * inner, 2, 2)]
        self.stages = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(4 * width)
        self.head = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of images [N, C, H, W]."""
        return self.head(self.norm(self.stages(x).mean((2, 3))))


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of maps [N, C, H, W], at each position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Mixing(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.places = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = _ChannelNorm(width)
        self.channels = nn.Sequential(
            nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.channels(self.norm(self.places(x)))
