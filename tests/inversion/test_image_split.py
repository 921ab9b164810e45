"""The clean set cut in two."""

from __future__ import annotations

import torch

from helpers.tiny import clean_images
from undoor.inversion.image_split import split
from undoor.tasks.single_label import SINGLE_LABEL


def test_images_of_a_target_serve_its_sources_alone() -> None:
    clean = clean_images()
    known = torch.ones(len(clean), dtype=torch.bool)
    images = split(clean, known, SINGLE_LABEL, torch.Generator().manual_seed(0))
    assert not set(images.estimate.tolist()) & set(images.held_out.tolist())
    assert images.y[images.pool(2)].unique().tolist() == [0, 1, 3, 4, 5]
    assert images.y[images.pool(2, (0, 2, 4))].unique().tolist() == [0, 4]
    assert set(images.pool(2).tolist()) <= set(images.estimate.tolist())
