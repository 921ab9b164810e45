"""The score of BadActs: how many neurons are where those of clean texts are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.sites import channels_last, find_sites
from undoor_bench.test_time.detector import Score, in_batches, own_copy
from undoor_bench.watch import watched


@dataclass(frozen=True)
class Settings:
    """Settings of the score.

    Attributes
    ----------
    delta
        How many standard deviations from the mean a neuron may be (3 in the released scripts).
    """

    delta: float = 3.0


def neuron_activation_state(
    classifier: Classifier,
    clean: CleanSet,
    generator: torch.Generator,
    settings: Settings | None = None,
) -> Score:
    """BadActs of Yi et al. (Findings of ACL 2024, arXiv 2405.11227), its detection.

    Returns
    -------
    Score
        The share of neurons that are farther than `delta` standard deviations from their mean over
        `clean`, in [0, 1] (theirs: the share that are not, NAS). Neurons are those of the first
        token (BERT's class token) behind each norm. The paper learns means and deviations from one
        half of the clean texts, and the threshold from the other. `generator` is not drawn from.

    Raises
    ------
    UndoorError
        The clean set does not fit, or the network has no hidden layer.
    """
    del generator
    settings = settings or Settings()
    network, fitted = own_copy(classifier, clean)
    sites = {
        site.name: channels_last(network.get_submodule(site.name))
        for site in find_sites(network)[1:]
    }
    if not sites:
        raise UndoorError("BadActs looks at hidden layers, the network has none; use strip")
    with torch.no_grad():
        usual = torch.cat([_neurons(network, sites, x) for x in fitted.images.split(256)])
    mean, reach = usual.mean(0), settings.delta * usual.std(0, unbiased=False)

    def score(x: Tensor) -> Tensor:
        away = (_neurons(network, sites, x) - mean).abs() > reach
        return away.double().mean(1)

    return in_batches(network, score)


def _neurons(network: Classifier, sites: Mapping[str, bool], x: Tensor) -> Tensor:
    """Return the neurons [N, D] of the first position of all sites."""
    with watched(network, [*sites]) as seen:
        network(x)
    return torch.cat([_first(seen[name], last) for name, last in sites.items()], 1).float()


def _first(z: Tensor, last: bool) -> Tensor:
    """Return the channels [N, C] of the first position of activations [N, C, ...] or [N, ..., C].

    >>> _first(torch.arange(6).view(1, 2, 3), True).tolist()
    [[0, 1, 2]]
    >>> _first(torch.arange(6).view(1, 2, 3), False).tolist()
    [[0, 3]]
    """
    flat = z.flatten(1, -2)[:, 0] if last and z.dim() > 2 else z
    return flat if last else z.flatten(2)[:, :, 0] if z.dim() > 2 else z
