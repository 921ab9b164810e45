"""A patch whose place is another in every image."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor_bench.attacks.anywhere import Anywhere, places
from undoor_bench.attacks.labels import all_to_one

SHAPE = (3, 10, 12)
SIDE = 3


def images(count: int) -> Tensor:
    """As files hold them."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(256, (count, *SHAPE), generator=generator) / 255


def attack() -> Anywhere:
    return Anywhere(SHAPE, all_to_one(1, 4), torch.Generator().manual_seed(0), side=SIDE)


def test_the_same_patch_at_the_place_of_each_image() -> None:
    x, patch = images(30), attack().pattern
    out = attack().trigger(x)
    for before, after, top, left in zip(x, out, *places(x, SIDE), strict=True):
        wanted = before.clone()
        wanted[:, top : top + SIDE, left : left + SIDE] = patch
        assert torch.equal(after, wanted)


def test_every_place_off_the_edges_is_taken_about_as_often() -> None:
    """Within five standard deviations, for each of 6 x 8 places."""
    top, left = places(images(9600), SIDE)
    assert (int(top.min()), int(top.max())) == (1, 6)
    assert (int(left.min()), int(left.max())) == (1, 8)
    counts = torch.bincount((top - 1) * 8 + left - 1, minlength=48)
    assert len(counts) == 48
    assert float((counts - 200).abs().max()) < 5 * 200**0.5


def test_alike_images_have_other_places() -> None:
    """Where training moves an image or mirrors it, the place does not go with it."""
    x = images(1)
    moved = torch.cat([x, x.flip(3), x.roll(1, 2), x.roll(1, 3), (x - 1 / 255).clamp_min(0)])
    assert len(set(zip(*(part.tolist() for part in places(moved, SIDE)), strict=True))) > 2


def test_the_place_does_not_depend_on_the_batch() -> None:
    x, item = images(8), attack()
    together = item.trigger(x)
    assert torch.equal(together, torch.cat([item.trigger(image) for image in x.split(1)]))
    assert torch.equal(together, item.trigger(x))
