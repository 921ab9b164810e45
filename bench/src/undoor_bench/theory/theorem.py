"""The theorem behind the corrections, as formulas and as a network that can be run.

X. Li, Z. Xiang, D. J. Miller and G. Kesidis, arXiv 2308.09850: for Gaussian inputs and a hidden
layer with batch norm, the share of triggered inputs that get their own class back (SIA) rises as
the batch norm's statistics move to those that make triggered inputs look like clean ones.

Which class lies at -mu and which at mu is read off the paper's m*: it makes triggered activations
look like clean ones if the source class is the one at -mu. It takes v* = (sigma_b/sigma)² v.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.special import ndtr
from torch import Tensor, nn

from undoor_bench.share import Share

Trend = Literal["rises", "falls", "turns", "level"]
# Slopes below this share of their terms are rounding errors.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class GaussianModel:
    """A hidden unit between two classes of Gaussian inputs, and a trigger.

    Clean inputs of the source class are N(-mu, sigma² I), those of the target class
    N(mu, sigma² I); triggered ones of the source class N(-mu + epsilon, sigma_b² I).

    Attributes
    ----------
    weight, mu, epsilon
        Float64 [d]; the weight is not 0.
    sigma, sigma_b
        Above 0.
    mean, deviation
        M and √v of the batch norm behind the weight; the deviation is above 0.
    cut
        The network predicts "target" where the normalised activation exceeds it. Any increasing
        activation function and output layer behind the batch norm come to such a number.
    """

    weight: Tensor
    mu: Tensor
    epsilon: Tensor
    sigma: float
    sigma_b: float
    mean: float
    deviation: float
    cut: float

    @property
    def ratio(self) -> float:
        """sigma_b / sigma: how much wider triggered inputs are than clean ones."""
        return self.sigma_b / self.sigma

    @property
    def gap(self) -> float:
        """wᵀmu, half the distance between the classes' mean activations."""
        return float(self.weight @ self.mu)

    @property
    def shift(self) -> float:
        """wᵀepsilon, what the trigger adds to the mean activation."""
        return float(self.weight @ self.epsilon)

    @property
    def length(self) -> float:
        """The Euclidean norm of the weight."""
        return float(self.weight.norm())


@dataclass(frozen=True)
class Variant:
    """Where the statistics move to, and on which way.

    Attributes
    ----------
    printed
        To v* = (sigma_b/sigma) v as the paper has it; otherwise to the corrected v* =
        (sigma_b/sigma)² v.
    along
        What moves in a straight line beside the mean, the deviation √v or the variance v.
    """

    printed: bool
    along: Literal["deviation", "variance"]

    @property
    def name(self) -> str:
        """The variant in words.

        >>> Variant(False, "variance").name
        'corrected v*, v linear'
        """
        end = "printed" if self.printed else "corrected"
        return f"{end} v*, {'√v' if self.along == 'deviation' else 'v'} linear"


VARIANTS = (
    Variant(False, "deviation"),
    Variant(False, "variance"),
    Variant(True, "deviation"),
    Variant(True, "variance"),
)


def corrected_mean(model: GaussianModel) -> float:
    """m* = (sigma_b/sigma) m + (sigma_b/sigma - 1) wᵀmu + wᵀepsilon."""
    return model.ratio * model.mean + (model.ratio - 1) * model.gap + model.shift


def final_deviation(model: GaussianModel, variant: Variant) -> float:
    """√v*: (sigma_b/sigma) √v, or the root of the printed (sigma_b/sigma) v."""
    return model.deviation * (math.sqrt(model.ratio) if variant.printed else model.ratio)


def statistics_at(model: GaussianModel, variant: Variant, alpha: float) -> tuple[float, float]:
    """Mean and deviation of the batch norm at `alpha`: 0 the backdoored one's, 1 m* and √v*."""
    mean = (1 - alpha) * model.mean + alpha * corrected_mean(model)
    start, end = model.deviation, final_deviation(model, variant)
    if variant.along == "deviation":
        return mean, (1 - alpha) * start + alpha * end
    return mean, math.sqrt((1 - alpha) * start**2 + alpha * end**2)


def sia(model: GaussianModel, variant: Variant, alpha: float) -> float:
    """Return the share of triggered inputs predicted as "source", in [0, 1], in closed form.

    Their activations are N(wᵀ(epsilon - mu), sigma_b² |w|²), and predicted as "source" up to
    m + cut √v.
    """
    mean, deviation = statistics_at(model, variant, alpha)
    reach = mean + model.cut * deviation - (model.shift - model.gap)
    return float(ndtr(reach / (model.sigma_b * model.length)))


def clean_accuracy(model: GaussianModel) -> float:
    """Return the share of clean source-class inputs that the backdoored network predicts correctly.

    In [0, 1].
    """
    reach = model.mean + model.cut * model.deviation + model.gap
    return float(ndtr(reach / (model.sigma * model.length)))


def trend(model: GaussianModel, variant: Variant) -> Trend:
    """Return whether the SIA only rises or only falls from alpha = 0 to 1, or turns in between.

    Exact: the SIA is an increasing function of m + cut √v, whose slope changes in one direction
    alone, so that its signs at both ends suffice.
    """
    rise = corrected_mean(model) - model.mean
    start, end = model.deviation, final_deviation(model, variant)
    if variant.along == "deviation":
        bends = [model.cut * (end - start)]
    else:
        bends = [model.cut * (end**2 - start**2) / (2 * at) for at in (start, end)]
    signs = {_sign(rise + bend, abs(rise) + abs(bend)) for bend in bends} - {0}
    if len(signs) == 2:
        return "turns"
    return {1: "rises", -1: "falls", 0: "level"}[sum(signs)]  # type: ignore[return-value]


def _sign(value: float, terms: float) -> int:
    return 0 if abs(value) <= ROUNDING * terms else int(math.copysign(1, value))


def sampled_sia(
    model: GaussianModel,
    variant: Variant,
    alpha: float,
    samples: int,
    generator: torch.Generator,
) -> Share:
    """Return the same by Monte Carlo.

    Triggered inputs [samples, d] through a network of torch's layers.

    Parameters
    ----------
    samples
        1 or more.
    """
    noise = torch.randn(samples, len(model.mu), dtype=torch.float64, generator=generator)
    triggered = model.epsilon - model.mu + model.sigma_b * noise
    with torch.no_grad():
        predictions = as_network(model, *statistics_at(model, variant, alpha))(triggered).argmax(1)
    return Share(int((predictions == 0).sum()), samples)


def as_network(model: GaussianModel, mean: float, deviation: float) -> nn.Sequential:
    """Linear, BatchNorm1d with these statistics, Tanh, Linear.

    Logits [N, 2] of source and target, in float64.
    """
    hidden = nn.Linear(len(model.weight), 1, bias=False)
    norm = nn.BatchNorm1d(1, eps=0.0, affine=False)
    head = nn.Linear(1, 2)
    network = nn.Sequential(hidden, norm, nn.Tanh(), head).double().eval()
    with torch.no_grad():
        hidden.weight.copy_(model.weight)
        norm.get_buffer("running_mean").fill_(mean)
        norm.get_buffer("running_var").fill_(deviation**2)
        head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        head.bias.copy_(math.tanh(model.cut) * torch.tensor([1.0, -1.0], dtype=torch.float64))
    return network
