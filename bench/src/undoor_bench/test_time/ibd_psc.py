"""IBD-PSC: predictions for triggered inputs stay confident when batch norms are amplified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.classifier import ENTRY, Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.sites import NORMS, attach, find_sites
from undoor_bench.test_time.detector import BATCH, Score, in_batches, own_copy


@dataclass(frozen=True)
class Settings:
    """Settings of IBD-PSC.

    Attributes
    ----------
    omega
        The factor of scales and shifts of a batch norm, above 1.
    models
        The number of amplified networks, at least 1 (the paper's n).
    error
        Share of the clean images that the first of them has to get wrong, in (0, 1) (its xi).
    """

    omega: float = 1.5
    models: int = 5
    error: float = 0.6


def ibd_psc(
    classifier: Classifier,
    clean: CleanSet,
    generator: torch.Generator,
    settings: Settings | None = None,
) -> Score:
    """IBD-PSC of Hou et al. (ICML 2024, arXiv 2405.09786).

    Score: the parameter-oriented scaling consistency, in [0, 1]: the mean probability that the
    label of the original network has in n amplified ones. In the i-th, scale and shift of the last
    k + i - 1 batch norms are multiplied by omega; k is the fewest with which more than a share xi
    of the clean images is predicted wrongly (their adaptive layer selection, algorithm 1).

    Multiplying what a batch norm delivers is the same, and works for those without parameters, too.
    Where the network has fewer than k + n - 1 batch norms, as many amplified networks are asked as
    there are; where no k makes enough errors, the n with the most amplified layers (the paper says
    nothing of either). `generator` is not used; nothing is drawn.

    Raises
    ------
    UndoorError
        The network has no batch norm, the clean set does not fit, or a setting is out of its range.
    """
    settings = settings or Settings()
    _require_valid(settings)
    network, fitted = own_copy(classifier, clean)
    layers = _norms(network)
    first = first_amplified(network, layers, fitted, settings)
    last = min(first + settings.models - 1, len(layers))
    twins = [amplified(network, layers[-k:], settings.omega) for k in range(first, last + 1)]

    def score(x: Tensor) -> Tensor:
        labels = network(x).argmax(1, keepdim=True)
        confidences = [twin(x).double().softmax(1).gather(1, labels)[:, 0] for twin in twins]
        return torch.stack(confidences).mean(0)

    return in_batches(network, score)


def first_amplified(
    classifier: Classifier, layers: Sequence[str], clean: CleanSet, settings: Settings
) -> int:
    """Return the paper's k, from 1 to the number of layers.

    The layers are given in the order of execution.
    """
    for count in range(1, len(layers) + 1):
        twin = amplified(classifier, layers[-count:], settings.omega)
        wrong = twin.predict(clean.images, BATCH) != clean.labels
        if float(wrong.double().mean()) > settings.error:
            return count
    return max(1, len(layers) - settings.models + 1)


def amplified(classifier: Classifier, layers: Sequence[str], omega: float) -> Classifier:
    """Return a copy in which the outputs of the named layers are `omega` times as large.

    Weights are shared.
    """
    return attach(classifier, {name: _Times(omega) for name in layers})


class _Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, z: Tensor) -> Tensor:
        return self.factor * z


def _norms(classifier: Classifier) -> list[str]:
    """Return the names of the batch norms in the order of execution."""
    if not any(isinstance(module, NORMS) for module in classifier.modules()):
        raise UndoorError(
            "IBD-PSC amplifies batch norms, and expected a network with BatchNorm1d or "
            "BatchNorm2d, got one without; use strip or scale_up, which need none"
        )
    names = [
        site.name
        for site in find_sites(classifier)
        if site.name != ENTRY and isinstance(classifier.get_submodule(site.name), NORMS)
    ]
    if not names:
        raise UndoorError(
            "IBD-PSC expected batch norms that run once in a pass, got only some that run more "
            "often or never; use strip or scale_up, which need none"
        )
    return names


def _require_valid(settings: Settings) -> None:
    if settings.omega <= 1:
        raise UndoorError(f"omega must be above 1, got {settings.omega}; the paper has 1.5")
    if settings.models < 1:
        raise UndoorError(f"models must be at least 1, got {settings.models}; the paper has 5")
    if not 0 < settings.error < 1:
        raise UndoorError(f"error must be in (0, 1), got {settings.error}; the paper has 0.6")
