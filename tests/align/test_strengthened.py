"""Estimates of one trigger that differ, at the strengths that the true one may have."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from undoor.align.strengthened import AGREED, MAX, Strengthened, strengthened
from undoor.families.calibration import fitted_null
from undoor.spaces.images import IMAGES
from undoor.triggers import Stamp

SHAPE = (3, 32, 32)
EXTENT = IMAGES.extent(SHAPE)
BOUNDS = (0.0, 255.0)


def additive(pattern: Tensor, family: str = "additive") -> Stamp:
    return Stamp(family, torch.zeros(1, *SHAPE[1:]), pattern, "add", BOUNDS)


def scattered(size: float, count: int = 3, family: str = "additive") -> list[Stamp]:
    """Patterns that do not resemble each other, of this l2 norm in units of the bounds."""
    noise = torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(0))
    unit = torch.nn.functional.normalize(noise.flatten(1), dim=1).view_as(noise)
    return [additive(255 * size * pattern, family) for pattern in unit]


def test_estimates_that_differ_are_strengthened_up_to_natural_size() -> None:
    change = strengthened(scattered(1.0), EXTENT)
    assert change is not None
    assert change.max_strength == pytest.approx(fitted_null("additive").natural, rel=1e-4)
    faint = strengthened(scattered(0.01), EXTENT)
    assert faint is not None
    assert faint.max_strength == MAX


@pytest.mark.parametrize(
    "triggers",
    [
        scattered(1.0, count=1),
        scattered(100.0),
        scattered(1.0, family="blend"),
        [*scattered(1.0, 1, "patch"), *scattered(1.0)],
        [*scattered(1.0, 1), *scattered(1.0, 2, "patch")],
        scattered(1.0, 1) * 2,
    ],
)
def test_others_stay_as_they_are(triggers: list[Stamp]) -> None:
    """A lone one, larger than natural ones, of other families, and any that agree."""
    assert strengthened(triggers, EXTENT) is None


def test_nearly_the_same_agree() -> None:
    (first, second) = scattered(1.0, count=2)
    near = additive(first.pattern + 0.3 * second.pattern)
    far = additive(first.pattern + 5.0 * second.pattern)
    assert 0.2 < AGREED < 0.95
    assert strengthened([first, near], EXTENT) is None
    assert strengthened([first, far], EXTENT) is not None


def test_every_row_has_its_own_strength() -> None:
    patterns = torch.stack([torch.ones(1, 2, 2), -torch.ones(1, 2, 2)])
    change = Strengthened(patterns, 8.0, (-100.0, 100.0))
    x = torch.zeros(200, 1, 2, 2)
    added = change(x)[:, 0, 0, 0]
    assert (added[::2] > 0).all()
    assert (added[1::2] < 0).all()
    strength = added.abs()
    assert strength.min() >= 1
    assert strength.max() <= 8
    # Evenly in the logarithm: half below the root.
    assert float((strength < 8**0.5).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert torch.equal(change(x), change(x))


def test_inputs_stay_within_the_bounds() -> None:
    change = Strengthened(torch.ones(1, 1, 2, 2), 4.0, (0.0, 1.0))
    assert change(torch.full((5, 1, 2, 2), 0.5)).max() == 1.0
