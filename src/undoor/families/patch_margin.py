"""Opaque squares at fixed places: how clearly the best of them moves images to a class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank, TriggerBank
from undoor.families.patch import PATCH
from undoor.spaces.images import IMAGES
from undoor.triggers import Stamp, Trigger

# Side of a square, as a share of the shorter side of an image, and the least in pixels.
SIDE = 6 / 32
MIN_SIDE = 3
# Squares along either side of an image.
GRID = 3
# The same two where a task searches at one size alone: no search for the smallest patch looks at
# the places between, and a square that covers a planted patch in part is no clearer than natural
# ones.
FINE_GRID, FINE_MIN_SIDE = 5, 4
# A logit beyond which a colour hardly changes.
MAX_LOGIT = 4.0
# Of the random colours that a search starts from.
SPREAD = 0.5


class SquareBank(InputBank):
    """x with the colours p in a square; candidate i has the place i mod 9.

    Most networks are moved by a planted patch wherever it is, so that nine places are enough; in
    the others the search for the smallest patch finds it, which looks at more of them. The size is
    the number of pixels, which does not change.
    """

    family = PATCH.name
    step_size = 0.4
    grid, min_side = GRID, MIN_SIDE

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        masks = places(shape, self.grid, self.min_side)
        # Not learned, but different for each candidate.
        self.mask = nn.Parameter(masks[torch.arange(count, device=CPU) % len(masks)], False)
        noise = torch.randn(count, *shape, generator=generator, device=CPU)
        self.pattern_logit = nn.Parameter(SPREAD * noise)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return inputs x [M, n, C, H, W] with the squares on them."""
        return x + (self._pattern()[:, None] - x) * self.mask[:, None]

    def sizes(self) -> Tensor:
        """Return the areas [M], in pixels."""
        return self.mask.flatten(1).sum(1)

    def limit(self, size: float) -> None:
        """Hold the colours back from where they do not change any more; areas are as they are."""
        with torch.no_grad():
            self.pattern_logit.clamp_(-MAX_LOGIT, MAX_LOGIT)

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        pattern = self._pattern()[index].detach().clone()
        return Stamp(
            self.family, self.mask[index].detach().clone(), pattern, "replace", self.bounds
        )

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from an opaque patch."""
        assert isinstance(trigger, Stamp)
        with torch.no_grad():
            self.mask[index] = trigger.mask
            pattern = (trigger.pattern - self.bounds[0]) / self.width
            self.pattern_logit[index] = pattern.logit(1e-3).clamp(-MAX_LOGIT, MAX_LOGIT)

    def _pattern(self) -> Tensor:
        return self.bounds[0] + self.width * self.pattern_logit.sigmoid()


def side_of(shape: tuple[int, ...], least: int = MIN_SIDE) -> int:
    """Return the side of a square for images of this shape, in pixels."""
    shorter = min(shape[1:])
    return min(shorter, max(least, round(SIDE * shorter)))


def places(shape: tuple[int, ...], grid: int = GRID, least: int = MIN_SIDE) -> Tensor:
    """Return masks [grid ^ 2, 1, H, W] of squares from one corner to the opposite one.

    >>> places((3, 32, 32)).shape, float(places((3, 32, 32))[0].sum())
    (torch.Size([9, 1, 32, 32]), 36.0)
    """
    _, height, width = shape
    side = side_of(shape, least)
    tops, lefts = (
        [round(i * (length - side) / (grid - 1)) for i in range(grid)] for length in (height, width)
    )
    masks = torch.zeros(grid * grid, 1, height, width, device=CPU)
    corners = [(top, left) for top in tops for left in lefts]
    for mask, (top, left) in zip(masks, corners, strict=True):
        mask[:, top : top + side, left : left + side] = 1
    return masks


class FineSquareBank(SquareBank):
    """The same at more places."""

    grid, min_side = FINE_GRID, FINE_MIN_SIDE


def squares(
    count: int, classifier: Classifier, _x: Tensor, generator: torch.Generator
) -> TriggerBank:
    """Return candidates at as many places as the task of the classifier takes."""
    bank = FineSquareBank if classifier.task.at_one_size else SquareBank
    return bank(count, classifier.input_shape, classifier.bounds, generator)


PATCH_MARGIN = PATCH.at_one_size(
    "patch margin",
    # Natural squares are about as clear in all networks: how clear is what counts.
    AtSize(
        size=36.0,
        starts=GRID * GRID,
        steps=30,
        batch=2,
        relative=0.5,
        spread=0.0,
        trials=FINE_GRID * FINE_GRID,
    ),
    make=squares,
    spaces=frozenset({IMAGES.name}),
    smallest=None,
    places=None,
)
