"""A trigger that a small network makes for each image (Nguyen and Tran, NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor_bench.attacks.attack import Attack
from undoor_bench.attacks.labels import LabelMap

DIVERSITY = 1.0
# Share of an image that the masks may cover for nothing, and the price of more.
DENSITY = 0.05
PRICE = 10.0
WIDTH = 16


class InputAware(Attack):
    """A generator draws a mask and a pattern for each image and learns beside the network.

    Cover images carry the trigger of another image and keep their label, so that each trigger
    works on its own image alone (arXiv 2010.08138, section 3: cross-trigger test and diversity
    loss). Mask and pattern come from one generator here, and masks that cover
    more than a twentieth of the image cost, in the place of the paper's mask generator with a
    training of its own.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        labels: LabelMap,
        generator: torch.Generator,
        *,
        rate: float = 0.1,
        cover_rate: float = 0.1,
    ) -> None:
        super().__init__(labels, rate=rate, cover_rate=cover_rate)
        self.generator = generator
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            self.network = _Painter(shape[0])

    def apply_to(self, x: Tensor) -> Tensor:
        """Return the images, each with the trigger that the network paints for it."""
        return self._stamped(x, self._drawn(x))

    def state(self) -> dict[str, Tensor]:
        """Return the weights of the network that paints the triggers."""
        return dict(self.network.state_dict())

    def put(self, state: Mapping[str, Tensor]) -> None:
        """Take over the weights of the network that paints the triggers."""
        self.network.load_state_dict(state)

    def cover(self, x: Tensor) -> Tensor:
        """Return the images, each with another image's trigger."""
        return self._stamped(x, self._drawn(x).roll(1, 0)) if len(x) > 1 else x

    def trigger_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the network that paints the triggers."""
        return list(self.network.parameters())

    def penalty(self, x: Tensor) -> Tensor:
        """Return a penalty on similar triggers for different images, and on large masks."""
        drawn = self._drawn(x)
        apart = (x - x.roll(1, 0)).flatten(1).norm(dim=1)
        drawn_apart = (drawn - drawn.roll(1, 0)).flatten(1).norm(dim=1)
        diversity = (apart / (drawn_apart + 1e-3)).mean()
        return DIVERSITY * diversity + PRICE * (drawn[:, -1:].mean() - DENSITY).clamp_min(0)

    def _drawn(self, x: Tensor) -> Tensor:
        """Return pattern and, as the last channel, mask [N, C + 1, H, W], all in [0, 1]."""
        return self.network(x).sigmoid()

    def _stamped(self, x: Tensor, drawn: Tensor) -> Tensor:
        pattern, mask = drawn[:, :-1], drawn[:, -1:]
        return x + mask * (pattern - x)


class _Painter(nn.Module):
    """An encoder and a decoder with one halving of the sides."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(channels, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * WIDTH, 2 * WIDTH, 3, padding=1),
            nn.ReLU(),
        )
        self.up = nn.Conv2d(2 * WIDTH, channels + 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.up(self.down(x)), x.shape[2:], mode="bilinear")
