"""The trigger families as tests speak of them."""

from __future__ import annotations

import torch

from undoor.families.bank import InputBank
from undoor.families.family import AtInput
from undoor.families.generator import GENERATOR
from undoor.families.latent import DEPTHS, LATENT
from undoor.families.patch_by_source import PATCH_BY_SOURCE
from undoor.families.registry import REGISTRY
from undoor.families.shared_patch import SHARED_PATCH
from undoor.spaces.images import IMAGES
from undoor.spaces.vectors import VECTORS

BY_SOURCE, SHARED = PATCH_BY_SOURCE.name, SHARED_PATCH.name
ON_REQUEST = GENERATOR.name
# Rows, signals, texts and points have families of their own (`tests/inversion/test_cell_search.py`,
# `tests/families/test_of_signals.py`, `tests/inversion/test_token_search.py`,
# `tests/families/test_of_points.py`).
OF_IMAGES = [f for f in REGISTRY if f.spaces & {IMAGES.name, VECTORS.name}]
AT_INPUT = [
    family
    for family in OF_IMAGES
    if family.at_input and family.moves == "target" and family.at_size is None
]
INPUT_FAMILIES = [family.name for family in AT_INPUT]
LATENT_FAMILIES = dict(zip((family.name for family in LATENT), DEPTHS, strict=True))
# Those whose triggers are of one size, and of them those that are searched for the clearest one.
OF_ONE_SIZE = [family.name for family in OF_IMAGES if family.at_size]
MARGINS = [family.name for family in OF_IMAGES if family.at_size and family.made_of is None]
FOR_VECTORS = [family.name for family in AT_INPUT if VECTORS.name in family.spaces]


def input_bank(
    family: str,
    count: int,
    shape: tuple[int, ...],
    bounds: tuple[float, float],
    generator: torch.Generator,
) -> InputBank:
    """Candidates of a family at the input, without a classifier."""
    (found,) = (each for each in AT_INPUT if each.name == family)
    assert isinstance(found.make, AtInput)
    return found.make.bank(count, shape, bounds, generator)
