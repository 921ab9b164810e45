"""Heads: the linear maps from features to class scores, in whatever form they are written."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.sites.layer_probe import TOLERANCE, LayerProbe, swapped
from undoor.sites.places import SiteInfo, channels_last, find_sites

# Ensembles of more heads than this are not searched.
MAX_HEADS = 16
# With fewer normalisations than this in front of the heads, a network counts as one without.
MIN_NORMS = 3


@dataclass(frozen=True, eq=False)
class Head:
    """A layer after whose input the class scores are an affine map.

    Parameters
    ----------
    name
        Name of the module.
    weights
        [P], summing to 1, if the layer maps each of P positions separately and the scores depend
        on the weighted sum, as before pooling; None if they depend on its whole input.
    last
        Whether the channels of its input are the last axis.
    """

    name: str
    weights: Tensor | None = None
    last: bool = True

    def features(self, z: Tensor) -> Tensor:
        """Return the features [N, D] in the layer's input z [N, ...]."""
        if self.weights is None:
            return z.flatten(1)
        channels_first = z.movedim(-1, 1) if self.last else z
        return channels_first.flatten(2) @ self.weights.to(z.dtype)

    def spread(self, shift: Tensor, z: Tensor) -> Tensor:
        """Return the change of z [N, ...] that shifts its features by `shift` [N, D]."""
        if self.weights is None:
            return shift.view_as(z)
        ones = [1] * (z.dim() - 2)
        shape = (len(z), *ones, -1) if self.last else (len(z), -1, *ones)
        return shift.view(shape).expand_as(z)

    def gradient(self, slope: Tensor) -> Tensor:
        """Return the slope of a score in the features [N, D], given that in z [N, ...]."""
        if self.weights is None:
            return slope.flatten(1)
        channels_first = slope.movedim(-1, 1) if self.last else slope
        return channels_first.flatten(2).sum(2)


def find_heads(classifier: Classifier) -> tuple[Head, ...]:
    """Return the heads of a network, through which all information about an input passes.

    They are found by trial on random inputs, not by type: a linear layer, or a convolution of one
    position or of the whole map, followed by pooling, averages, scales or a softmax. A head of
    several layers in a row is named by the first, whose input is the features.

    Parameters
    ----------
    classifier
        Any model.

    Returns
    -------
    tuple of Head
        Several if their scores are averaged. Empty if there are none, for example if a layer runs
        twice, or if the last linear map is a function without a module.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> [head.name for head in find_heads(Classifier(net, input_shape=(3, 4, 4)))]
    ['network.0']
    """
    probe = LayerProbe(classifier)
    return tuple(_head(probe, name) for name in _names_of_heads(probe))


def head(classifier: Classifier) -> str | None:
    """Return the name of the only head of a network; None if it has none or several."""
    heads = find_heads(classifier)
    return heads[0].name if len(heads) == 1 else None


def sites_before_heads(classifier: Classifier) -> tuple[SiteInfo, ...]:
    """Return the sites before the heads of a network, in the order of execution.

    These are the sites of `find_sites` except the raw input and those after a head. If they are
    fewer than three, convolutions and linear layers are returned instead, if those are more.

    Returns
    -------
    tuple of SiteInfo
        Empty for a network without heads, or with no site between the input and its heads.
    """
    probe = LayerProbe(classifier)
    heads = _names_of_heads(probe)
    if not heads:
        return ()
    usual = _before(probe, heads, [site.name for site in find_sites(classifier)[1:]])
    if len(usual) >= MIN_NORMS:
        return usual
    linear = _before(probe, heads, probe.linear)
    return linear if len(linear) > len(usual) else usual


def _names_of_heads(probe: LayerProbe) -> list[str]:
    """Return the names of the heads in the order of execution."""
    found = _last_layers(probe, ())
    if not found:
        return []
    if not probe.affine(found):
        # The scores may be squashed, by tanh or a softmax, but no other layer may be.
        if any(probe.shapes[name][:1] != (probe.scores_width,) for name in found):
            return []
        if len(found) > 1:
            return sorted(found, key=probe.order.index)
        probe.observe(found[0])
    passed: set[str] = set()
    while True:
        earlier = next(filter(None, (_in_front(probe, n, passed) for n in found)), None)
        if earlier is None:
            return sorted(found, key=probe.order.index)
        passed |= set(found) - set(earlier)
        found = earlier


def _in_front(probe: LayerProbe, name: str, passed: set[str]) -> list[str] | None:
    """Return earlier layers of which the input of `name` is an affine map, if there are any."""
    earlier = _last_layers(probe, {*passed, name}, only_affine=True)
    return earlier if earlier and probe.affine(earlier) else None


def _last_layers(
    probe: LayerProbe, ignored: Collection[str], *, only_affine: bool = False
) -> list[str] | None:
    """Return the last layers, except `ignored`, through which all information passes.

    Parameters
    ----------
    only_affine
        Return None if the observed values are no affine map of the input of one of them.
    """
    found: list[str] = []
    base = probe.scores()
    for name in reversed(probe.linear):
        if probe.alike(base):
            break
        cut = dict.fromkeys(found, torch.zeros_like)
        if name in ignored or probe.same(probe.scores(outputs={**cut, name: swapped}), base):
            continue
        if probe.times[name] > 1 or len(found) == MAX_HEADS:
            return None
        if only_affine and not probe.affine([name]):
            return None
        found.append(name)
        base = probe.scores(outputs=dict.fromkeys(found, torch.zeros_like))
    return found if found and probe.alike(base) else None


def _before(probe: LayerProbe, heads: Sequence[str], names: Sequence[str]) -> tuple[SiteInfo, ...]:
    """Return the layers among `names` that run once, are no heads and are not after a head."""
    cut = dict.fromkeys(heads, torch.zeros_like)
    first = min(probe.order.index(name) for name in heads)
    base = probe.scores(outputs=cut)

    def behind(name: str) -> bool:
        if probe.order.index(name) < first:
            return False
        return not probe.same(probe.scores(outputs={**cut, name: probe.noisy}), base)

    return tuple(
        SiteInfo(name, probe.shapes[name])
        for name in names
        if probe.times[name] == 1 and probe.shapes[name] and name not in heads and not behind(name)
    )


def _head(probe: LayerProbe, name: str) -> Head:
    """Return how a head depends on its input."""
    layer = probe.layer(name)
    if probe.entering(name).dim() < 3 or not _pointwise(layer):
        return Head(name)
    head = Head(name, _weights(probe, name), channels_last(layer))
    if probe.observed is None:
        summed = probe.scores(inputs={name: lambda z: head.spread(head.features(z), z)})
        if not probe.same(summed, probe.scores(), TOLERANCE):
            return Head(name)
    return head


def _weights(probe: LayerProbe, name: str) -> Tensor:
    """Return the weights [P] of the positions of a layer's output in the scores.

    They are equal if scores are squashed, since then the weights differ from input to input.
    """
    positions = math.prod(probe.shapes[name][1:])
    even = torch.full((positions,), 1 / positions, device=probe.x.device)
    if probe.observed is not None:
        return even
    gradient = probe.gradient(name)
    rows = gradient.movedim(-1, 1) if channels_last(probe.layer(name)) else gradient
    channels = rows[0].flatten(1)
    row = channels[channels.sum(1).abs().argmax()]
    weights = row / row.sum()
    return weights if bool(torch.isfinite(weights).all()) else even


def _pointwise(layer: nn.Module) -> bool:
    """Return whether a layer maps each position of its input separately."""
    if isinstance(layer, nn.Linear):
        return True
    if not isinstance(layer, nn.Conv1d | nn.Conv2d):
        return False
    ones = all(n == 1 for n in (*layer.kernel_size, *layer.stride))
    return ones and not any(n for n in layer.padding if n not in (0, "valid"))
