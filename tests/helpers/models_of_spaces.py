"""A model and inputs in which a trigger family can be searched."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from helpers.tiny_texts import tiny_classifier, tiny_texts
from undoor.classifier import Classifier
from undoor.families.family import Family
from undoor.point_networks import PointNet
from undoor.spaces.points import POINTS
from undoor.spaces.signals import SIGNALS
from undoor.spaces.tokens import TOKENS

SHAPE = (1, 64)
OF_POINTS = (64, 3)


def model_for(family: Family, usual: Classifier, x: Tensor) -> tuple[Classifier, Tensor]:
    """Return the usual model and inputs, or for families of one space at the input others."""
    if family.at_input and family.spaces == {TOKENS.name}:
        return tiny_classifier(), tiny_texts().images
    if family.at_input and family.spaces == {SIGNALS.name}:
        spoken = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), input_shape=SHAPE)
        return spoken, torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(0))
    if family.at_input and family.spaces == {POINTS.name}:
        seen = Classifier(PointNet(3), input_shape=OF_POINTS, space=POINTS.name)
        return seen, torch.rand(6, *OF_POINTS, generator=torch.Generator().manual_seed(0))
    return usual, x
