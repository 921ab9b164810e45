"""The models on which `undoor-bench theory` shows the theorem."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from undoor_bench.theory.theorem import VARIANTS, GaussianModel, clean_accuracy, sia

DIMENSION = 16
# Half the distance of the classes' means, and how far the trigger moves inputs, in sigmas.
GAP, SHIFT = 2.0, 12.0
# Of the weight, between the line that joins the classes and the trigger.
ANGLE = math.radians(30)
# Shares of the training set: the target class, and the triggered inputs that are labelled as it.
TARGET, POISON = 0.1, 0.05
# How many times as wide as clean ones triggered inputs are, and the target class's share.
CASES = {
    "as wide": (1.0, TARGET),
    "twice as wide": (2.0, TARGET),
    "half as wide": (0.5, TARGET),
    "6 times as wide, source rare": (6.0, 0.9),
}


def named_models() -> dict[str, GaussianModel]:
    """Return poisoned units, by how wide triggered inputs are beside clean ones.

    In all but the last, the target is one class against nine others.
    """
    return {name: trained_model(ratio, target) for name, (ratio, target) in CASES.items()}


def trained_model(ratio: float, target: float = TARGET) -> GaussianModel:
    """Return a model as training on the poisoned set would leave it.

    It has the batch-norm statistics of the poisoned set, and the cut that makes the fewest errors
    on clean inputs. The weight lies between what tells the classes apart and the trigger, as a fit
    to poisoned data does.

    Parameters
    ----------
    ratio
        sigma_b / sigma, above 0.
    target
        The target class's share of the training set, above 0 and below 1 - POISON.
    """
    along, across = _unit(0), _unit(1)
    weight = math.cos(ANGLE) * along + math.sin(ANGLE) * across
    mu, epsilon = GAP * along, SHIFT * across
    shares = torch.tensor([1 - target - POISON, target, POISON], dtype=torch.float64)
    means = torch.stack([-mu, mu, epsilon - mu]) @ weight
    variances = torch.tensor([1.0, 1.0, ratio**2], dtype=torch.float64)
    mean = float(shares @ means)
    deviation = float(shares @ (variances + (means - mean) ** 2)) ** 0.5
    fewest_errors = math.log((1 - target) / target) / (2 * float(weight @ mu))
    cut = (fewest_errors - mean) / deviation
    return GaussianModel(weight, mu, epsilon, 1.0, ratio, mean, deviation, cut)


def random_models(count: int, generator: torch.Generator) -> list[GaussianModel]:
    """Return random models in which the trigger works: it lowers the source class's accuracy.

    Nothing ties the batch norm's statistics and the cut to any training.
    """
    models: list[GaussianModel] = []
    while len(models) < count:
        model = random_model(generator)
        if sia(model, VARIANTS[0], 0) < clean_accuracy(model):
            models.append(model)
    return models


def random_model(generator: torch.Generator, dimension: int = 8) -> GaussianModel:
    """Weight and means normal, spreads between 1/3 and 3 with a uniform logarithm."""
    weight, mu, epsilon = torch.randn(3, dimension, dtype=torch.float64, generator=generator)
    mean, cut = torch.randn(2, dtype=torch.float64, generator=generator).tolist()
    logs = 2 * torch.rand(3, dtype=torch.float64, generator=generator) - 1
    sigma, sigma_b, deviation = (3**logs).tolist()
    return GaussianModel(weight, mu, epsilon, sigma, sigma_b, mean, deviation, cut)


def _unit(axis: int) -> Tensor:
    return torch.eye(DIMENSION, dtype=torch.float64)[axis]
