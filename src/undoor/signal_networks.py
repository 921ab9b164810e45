"""Small networks for signals [C, T]: convolutions on the samples, and log-mel front ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.device import CPU

POOLS = ("attention", "mean")
CELLS = {"LSTM": nn.LSTM, "GRU": nn.GRU}
# What is added to the power in each band, which is near 1 in loud speech.
FLOOR = 1e-3


class LogMel(nn.Module):
    """The logarithm of the power in each mel band: [N, C, T] to [N, C * bands, frames].

    A part of the network, so that triggers are searched in the samples.

    Parameters
    ----------
    sampling_rate
        In Hz.
    bands
        From 40 Hz to half of the sampling rate, evenly spaced in mel (O'Shaughnessy, 1987).
    window, hop
        Samples of a frame, and from one frame to the next.

    Examples
    --------
    >>> LogMel(8000)(torch.zeros(2, 1, 4096)).shape
    torch.Size([2, 32, 31])
    """

    waves: Tensor
    filters: Tensor

    def __init__(
        self, sampling_rate: int, bands: int = 32, window: int = 256, hop: int = 128
    ) -> None:
        super().__init__()
        self.hop = hop
        self.register_buffer("waves", _waves(window), False)
        self.register_buffer("filters", _mel_filters(sampling_rate, bands, window), False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the bands of signals [N, C, T]."""
        count, channels, length = x.shape
        frames = x.reshape(count * channels, length).unfold(1, self.waves.shape[1], self.hop)
        # A product of matrices: in bfloat16, a convolution with so long a kernel is seven times
        # slower.
        real, imaginary = (frames @ self.waves.T).chunk(2, 2)
        power = (real.square() + imaginary.square()) @ self.filters.T
        return (power + FLOOR).log().transpose(1, 2).reshape(count, -1, power.shape[1])


def _waves(window: int) -> Tensor:
    """Return cosines, then sines, under a Hann window: [2 * frequencies, window]."""
    times = torch.arange(window, device=CPU)
    angles = 2 * math.pi / window * torch.outer(torch.arange(window // 2 + 1, device=CPU), times)
    hann = 0.5 - 0.5 * torch.cos(2 * math.pi * times / window)
    return torch.cat([angles.cos(), angles.sin()]) * hann / math.sqrt(window)


def _mel_filters(sampling_rate: int, bands: int, window: int) -> Tensor:
    """Return triangles over the frequencies of a frame: [bands, frequencies]."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (40, sampling_rate / 2))
    edges = 700 * (10 ** (torch.linspace(low, high, bands + 2, device=CPU) / 2595) - 1)
    hertz = torch.linspace(0, sampling_rate / 2, window // 2 + 1, device=CPU)
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(rising, falling).clamp_min(0)
    # Of bands narrower than the distance of two frequencies, the nearest one counts.
    nearest = F.one_hot((edges[1:-1, None] - hertz).abs().argmin(1), len(hertz))
    return torch.where(filters.sum(1, keepdim=True) > 0, filters, nearest.to(filters.dtype))


class SignalCNN(nn.Module):
    """Convolutions with batch norm on the samples; logits [N, K] of signals [N, C, T].

    Parameters
    ----------
    strides
        Of each layer. The width doubles with each layer, up to four times.
    kernel
        Samples that a layer looks at.

    Examples
    --------
    >>> SignalCNN(num_classes=10)(torch.zeros(2, 1, 4096)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 1,
        width: int = 16,
        strides: Sequence[int] = (4, 4, 4, 2),
        kernel: int = 9,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, stride in enumerate(strides):
            outputs = width * min(4, 2**number)
            layers += [
                nn.Conv1d(channels, outputs, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ReLU(),
            ]
            channels = outputs
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of signals [N, C, T]."""
        return self.head(self.layers(x).mean(2))


class LogMelCNN(nn.Module):
    """Log-mel bands as a map, and 3 x 3 convolutions; logits [N, K] of signals [N, 1, T].

    Examples
    --------
    >>> LogMelCNN(num_classes=10)(torch.zeros(2, 1, 4096)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, num_classes: int, sampling_rate: int = 8000, bands: int = 32, width: int = 16
    ) -> None:
        super().__init__()
        self.front = LogMel(sampling_rate, bands)
        layers: list[nn.Module] = [nn.BatchNorm2d(1)]
        inputs = 1
        for outputs in (width, 2 * width, 3 * width):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of signals [N, 1, T]."""
        return self.head(self.layers(self.front(x)[:, None]).mean((2, 3)))


class SignalRNN(nn.Module):
    """A recurrent network on log-mel frames or on the samples; logits [N, K] of signals [N, C, T].

    Each step and the pooled steps have a layer norm, where corrections can stand.

    Parameters
    ----------
    sampling_rate
        Of the log-mel front end, in Hz; 0 for none.
    cell
        "LSTM" or "GRU", in both directions.
    pool
        How steps become features: their "mean", or by "attention" (Bahdanau et al., 2015).

    Raises
    ------
    ValueError
        Another cell or pool.

    Examples
    --------
    >>> SignalRNN(num_classes=10)(torch.zeros(2, 1, 4096)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 1,
        sampling_rate: int = 8000,
        bands: int = 32,
        width: int = 32,
        cell: str = "LSTM",
        pool: str = "attention",
    ) -> None:
        super().__init__()
        if cell not in CELLS or pool not in POOLS:
            raise ValueError(
                f"cell must be one of {', '.join(CELLS)} and pool one of {', '.join(POOLS)}, got "
                f"{cell!r} and {pool!r}"
            )
        inputs = bands * channels if sampling_rate else channels
        self.front = LogMel(sampling_rate, bands) if sampling_rate else nn.Identity()
        self.scaled = nn.BatchNorm1d(inputs)
        self.steps = CELLS[cell](inputs, width, batch_first=True, bidirectional=True)
        self.normed = nn.LayerNorm(2 * width)
        self.weight = nn.Linear(2 * width, 1) if pool == "attention" else None
        self.pooled = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of signals [N, C, T]."""
        steps, _ = self.steps(self.scaled(self.front(x)).transpose(1, 2))
        steps = self.normed(steps)
        if self.weight is None:
            return self.head(self.pooled(steps.mean(1)))
        shares = self.weight(steps).softmax(1)
        return self.head(self.pooled((steps * shares).sum(1)))


NETWORKS: dict[str, type[nn.Module]] = {
    "SignalCNN": SignalCNN,
    "LogMelCNN": LogMelCNN,
    "SignalRNN": SignalRNN,
}
