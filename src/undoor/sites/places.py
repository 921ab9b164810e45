"""The sites of a network, and how corrections are attached to and detached from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from undoor.classifier import ENTRY, Classifier
from undoor.device import CPU
from undoor.errors import UndoorError
from undoor.plain_weights import shared_copy

# In evaluation mode, SyncBatchNorm computes the same as the others.
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)
INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d)
# After any of these, the units of a layer have a similar spread.
SITE_NORMS = (*NORMS, *INSTANCE_NORMS, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
# The name of fixed batch norms in torchvision, detectron2 and timm, and the buffers they hold.
FROZEN = "FrozenBatchNorm"
STATISTICS = frozenset({"weight", "bias", "running_mean", "running_var"})
LINEAR_MAPS = (nn.Conv1d, nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class SiteInfo:
    """A place where a correction can be attached: the output of a module.

    Attributes
    ----------
    name
        Name of the module.
    shape
        Shape of its output without the batch axis, with the channel (or feature) axis first,
        wherever that is in the network: see `channels_last`.
    discrete
        Whether no correction can stand there, as on the token ids of a text.
    unordered
        Whether its positions have no order that all inputs share, as the points of a set.
    columns
        The names of its positions, where each is a thing of its own, as in the row of a table.
    """

    name: str
    shape: tuple[int, ...]
    discrete: bool = False
    unordered: bool = False
    columns: tuple[str, ...] = ()

    @property
    def extent(self) -> int:
        """The longer side of the map, in positions; 1 for a feature vector.

        For a sequence, such as the tokens of a transformer, the side of a square with as many
        positions. 1 for positions without an order, none of which is a place.
        """
        if self.unordered:
            return 1
        if len(self.shape) == 2:
            return math.ceil(math.sqrt(self.shape[1]))
        return max(self.shape[1:], default=1)


class Site(nn.Module):
    """The module `inner` followed by `correction`.

    In a state dict, ``<name>.weight`` becomes ``<name>.inner.weight``, beside
    ``<name>.correction.scale`` and so on. So a corrected state dict does not load into a bare
    network, nor a bare one into a corrected network, without an error. With ``strict=False``, the
    corrected layers get no weights, so that the result is not a network that works as before, with
    its backdoor.

    The correction takes activations [N, C, ...], wherever the network has its channels.
    """

    def __init__(self, inner: nn.Module, correction: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.correction = correction
        self.last = channels_last(inner)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the corrected output of `inner`."""
        return _apply(self.correction, self.inner(*args, **kwargs), last=self.last)


def channels_last(module: nn.Module) -> bool:
    """Return whether the channels of a module's output are the last axis, [N, ..., C].

    So it is with linear layers and with normalisations over the last axis.

    >>> channels_last(nn.LayerNorm(8)), channels_last(nn.Conv2d(3, 8, 3))
    (True, False)
    """
    if isinstance(module, Site | _Changed):
        return module.last
    if isinstance(module, nn.Linear):
        return True
    if not isinstance(module, nn.LayerNorm | nn.RMSNorm) or len(module.normalized_shape) != 1:
        return False
    # Some libraries derive a norm over the channels of [N, C, H, W]; only a trial shows it.
    channels = module.normalized_shape[0]
    like = next(module.parameters(), torch.zeros((), device=CPU))
    try:
        with torch.no_grad():
            module(like.new_zeros(1, channels, 1, channels + 1))
    except Exception:
        return True
    return False


def _apply(change: Callable[[Tensor], Tensor], z: Tensor, *, last: bool) -> Tensor:
    """Return `change` of activations, moving the channels first for it if they are last."""
    if last and z.dim() > 2:
        return change(z.movedim(-1, 1)).movedim(1, -1)
    return change(z)


def is_frozen_norm(module: nn.Module) -> bool:
    """Return whether a module is a batch norm with fixed weights, judged by name and buffers.

    Each library has a class of its own for it, and none is imported to compare.
    """
    held = {name for name, _ in module.named_buffers(recurse=False)}
    return type(module).__name__.startswith(FROZEN) and held >= STATISTICS


def is_opaque(classifier: Classifier) -> bool:
    """Return whether the network is TorchScript, to which no correction can be attached."""
    return any(isinstance(m, torch.jit.ScriptModule) for m in classifier.modules())


def require_repairable(classifier: Classifier) -> None:
    """Refuse a network to which no correction can be attached.

    Raises
    ------
    UndoorError
        It is TorchScript.
    """
    if is_opaque(classifier):
        raise UndoorError(
            "the network is TorchScript, to which no correction can be attached; export it with "
            "torch.export.save or torch.onnx.export and repair that, or give its state dict and "
            "architecture"
        )


def find_sites(classifier: Classifier) -> tuple[SiteInfo, ...]:
    """Return the sites of a classifier in the order of execution.

    The first is the raw input (``entry``). It is followed by the outputs of all normalisation
    layers or, if there are none, of all convolutions and linear layers but the last, which
    computes the logits. A module that does not run exactly once in a pass is left out, since one
    correction could not fit two distributions.
    """
    norms = _norms(classifier)
    normed = any(isinstance(m, norms) for m in classifier.modules())
    kinds = norms if normed else LINEAR_MAPS
    calls = calls_of(classifier, kinds)
    head = calls[-1][0] if kinds is LINEAR_MAPS and calls else None
    space = classifier.space
    columns = tuple(column.name for column in classifier.columns)
    entry = SiteInfo(ENTRY, classifier.input_shape, space.discrete, space.unordered, columns)
    return (entry, *_once(calls, head, unordered=space.unordered))


def possible_sites(classifier: Classifier) -> dict[str, tuple[int, ...]]:
    """Return the shapes, by name, of all places where a correction of any version can be.

    Which layers count as norms has changed between versions, so that older repairs may correct the
    convolutions of a network that has norms.
    """
    calls = calls_of(classifier, (*LINEAR_MAPS, *_norms(classifier)))
    head = calls[-1][0] if calls and calls[-1][1] == (classifier.num_outputs,) else None
    return {site.name: site.shape for site in (*find_sites(classifier), *_once(calls, head))}


def _norms(classifier: Classifier) -> tuple[type[nn.Module], ...]:
    """Return all kinds of norms, including those with fixed weights in this network."""
    frozen = {type(module) for module in classifier.modules() if is_frozen_norm(module)}
    return (*SITE_NORMS, *sorted(frozen, key=str))


def _once(
    calls: list[tuple[str, tuple[int, ...]]], head: str | None, *, unordered: bool = False
) -> list[SiteInfo]:
    """Return the modules that run once in a pass, except the head."""
    times = Counter(name for name, _ in calls)
    return [
        SiteInfo(name, shape, unordered=unordered)
        for name, shape in calls
        if times[name] == 1 and name != head and shape
    ]


def calls_of(
    classifier: Classifier, kinds: tuple[type[nn.Module], ...]
) -> list[tuple[str, tuple[int, ...]]]:
    """Return name and output shape of the modules of these kinds, in the order of their calls.

    Shapes are without the batch axis and with the channels first; () if the output is no tensor.
    """
    # A pass of two inputs is not counted against a budget.
    probe = classifier.counted(None)
    calls: list[tuple[str, tuple[int, ...]]] = []

    def watch(name: str, module: nn.Module) -> None:
        def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
            shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
            calls.append((name, (*shape[-1:], *shape[:-1]) if last else shape))

        last = channels_last(module)
        module.register_forward_hook(record)

    for name, module in probe.named_modules():
        # Hooks are not called inside of TorchScript.
        if isinstance(module, kinds) and not isinstance(module, torch.jit.ScriptModule):
            watch(name, module)
    with torch.no_grad():
        probe(classifier.level(2))
    return calls


def insert(classifier: Classifier, site: str, change: Callable[[Tensor], Tensor]) -> Classifier:
    """Return a copy of a classifier that applies `change` to the output of a site.

    The change comes before any correction there. Weights are shared.
    """
    changed = shared_copy(classifier)
    module = _submodule(changed, site)
    if isinstance(module, Site):
        module.inner = _Changed(module.inner, change)
    else:
        _replace(changed, site, _Changed(module, change))
    return changed


def exchange(
    classifier: Classifier, name: str, wrap: Callable[[nn.Module], nn.Module]
) -> Classifier:
    """Return a copy of a classifier with the module `name` replaced by `wrap(module)`.

    Weights are shared.
    """
    changed = shared_copy(classifier)
    _replace(changed, name, wrap(_submodule(changed, name)))
    return changed


class _Changed(nn.Module):
    def __init__(self, inner: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self.change = change
        self.last = channels_last(inner)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return _apply(self.change, self.inner(*args, **kwargs), last=self.last)


def attach(classifier: Classifier, corrections: Mapping[str, nn.Module]) -> Classifier:
    """Return a copy of a classifier with corrections after sites, given by name.

    Weights are shared.
    """
    corrected = shared_copy(classifier)
    for name, correction in corrections.items():
        inner = _submodule(corrected, name)
        _replace(corrected, name, Site(inner, correction))
    return corrected


def detach(corrected: Classifier) -> Classifier:
    """Return a copy without any correction: the inverse of `attach`."""
    plain = shared_copy(corrected)
    for name in _site_names(plain):
        site = plain.get_submodule(name)
        assert isinstance(site, Site)
        _replace(plain, name, site.inner)
    return plain


def _submodule(classifier: Classifier, name: str) -> nn.Module:
    try:
        return classifier.get_submodule(name)
    except AttributeError:
        raise UndoorError(
            f"the model has no site {name!r}; the corrections were fitted on another network"
        ) from None


def _site_names(module: nn.Module) -> Iterable[str]:
    return [name for name, child in module.named_modules() if isinstance(child, Site)]


def _replace(root: nn.Module, name: str, module: nn.Module) -> None:
    """Replace the module `name`, under all names that it has in `root`."""
    old = root.get_submodule(name)
    aliases = [n for n, m in root.named_modules(remove_duplicate=False) if m is old]
    for alias in aliases:
        path, _, last = alias.rpartition(".")
        setattr(root.get_submodule(path), last, module)
