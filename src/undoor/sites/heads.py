"""The linear maps that turn features into class scores, in whatever form a network writes them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.sites.layer_probe import TOLERANCE, LayerProbe, swapped
from undoor.sites.places import SiteInfo, channels_last, find_sites

# More heads than this are no ensemble that anybody hands over.
MAX_HEADS = 16
# With fewer normalisations than this in front of the heads, a network counts as one without.
MIN_NORMS = 3


@dataclass(frozen=True, eq=False)
class Head:
    """A layer from which on the scores are an affine map of its input.

    Parameters
    ----------
    name
        Of the module.
    weights
        [P], summing to 1, where the layer maps each of P positions by itself and the scores read
        their weighted sum, as in front of a pooling; None where its whole input is read.
    last
        Whether the channels of its input stand at the end.
    """

    name: str
    weights: Tensor | None = None
    last: bool = True

    def features(self, z: Tensor) -> Tensor:
        """Return what is read [N, D] of the layer's input z [N, ...]."""
        if self.weights is None:
            return z.flatten(1)
        channels_first = z.movedim(-1, 1) if self.last else z
        return channels_first.flatten(2) @ self.weights.to(z.dtype)

    def spread(self, shift: Tensor, z: Tensor) -> Tensor:
        """Return the change of z [N, ...] that moves its features by `shift` [N, D]."""
        if self.weights is None:
            return shift.view_as(z)
        ones = [1] * (z.dim() - 2)
        shape = (len(z), *ones, -1) if self.last else (len(z), -1, *ones)
        return shift.view(shape).expand_as(z)


def find_heads(classifier: Classifier) -> tuple[Head, ...]:
    """Return the heads of a network, through which everything passes that tells inputs apart.

    Found by trial on random inputs, not by type: a linear layer, a convolution of one position or
    of the whole map, with pooling, averages, scales or a softmax behind. A head that is written as
    several layers in a row counts from the first of them on, where the features are.

    Parameters
    ----------
    classifier
        Any model.

    Returns
    -------
    tuple of Head
        Several where their scores are averaged. Empty where there are none, as where a layer runs
        twice, or where the last linear map is a function without a module.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> [head.name for head in find_heads(Classifier(net, input_shape=(3, 4, 4)))]
    ['network.0']
    """
    probe = LayerProbe(classifier)
    return tuple(_head(probe, name) for name in _names_of_heads(probe))


def head(classifier: Classifier) -> str | None:
    """Return the name of the one head of a network; None where it has none, or several."""
    heads = find_heads(classifier)
    return heads[0].name if len(heads) == 1 else None


def sites_before_heads(classifier: Classifier) -> tuple[SiteInfo, ...]:
    """Return where a shift inside the network acts on what its heads read, in the order of
    execution.

    The sites of `find_sites` but the raw input and what lies behind a head. Where these are fewer
    than three, as with a single normalisation in a network that has none else, convolutions and
    linear layers, if they are more.

    Returns
    -------
    tuple of SiteInfo
        Empty for a network without heads, or with nothing between the input and these.
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
    """In the order in which they run."""
    found = _last_layers(probe, ())
    if not found:
        return []
    if not probe.affine(found):
        # Scores may be squashed, as by tanh or a softmax each; but only where they are scores.
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
    """Return the heads with those in the place of `name` that are an affine map away from it."""
    earlier = _last_layers(probe, {*passed, name}, only_affine=True)
    return earlier if earlier and probe.affine(earlier) else None


def _last_layers(
    probe: LayerProbe, ignored: Collection[str], *, only_affine: bool = False
) -> list[str] | None:
    """Return the last layers through which all passes that tells inputs apart; none of `ignored`.

    Parameters
    ----------
    only_affine
        None as soon as what is observed is no affine map of what one of them reads.
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
    """Return of the layers `names` those that are no heads, nor behind any, and run once."""
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
    """Return how a head that was found reads its input."""
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
    """With which weights [P] the scores read the positions of what a layer delivers.

    The same for all where scores are squashed, and weights differ from input to input.
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
    """Return whether it maps every position of its input by itself."""
    if isinstance(layer, nn.Linear):
        return True
    if not isinstance(layer, nn.Conv1d | nn.Conv2d):
        return False
    ones = all(n == 1 for n in (*layer.kernel_size, *layer.stride))
    return ones and not any(n for n in layer.padding if n not in (0, "valid"))
