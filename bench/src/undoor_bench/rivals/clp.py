"""Channel Lipschitz pruning (CLP): take out channels that amplify more than their neighbours.

Zheng et al., Data-free Backdoor Removal based on Channel Lipschitzness (ECCV 2022, arXiv
2208.03111). The Lipschitz constant of a channel, a convolution and the batch norm behind it, is
bounded by

    |gamma / sigma| * largest singular value of the kernel as a matrix [inputs, positions],

and channels above mean + u times standard deviation of their layer's bounds are pruned, weight and
bias. No data and no draws are needed. u is 3, as theirs for CIFAR-10.

Beyond the paper: a convolution or hidden linear layer without a batch norm behind it counts by its
weights alone, a batch norm that follows none (as in pre-activation networks) by |gamma / sigma|.
Nothing was adapted, but mind that among n channels none can lie more than (n - 1) / sqrt(n)
deviations above the mean: with u = 3, layers of less than 11 channels lose nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.scan.report import ScanReport
from undoor.sites import LINEAR_MAPS, NORMS, shared_copy
from undoor_bench.rivals.channels import silence
from undoor_bench.rivals.common import finished


@dataclass(frozen=True)
class CLP:
    """Settings of CLP: `deviations` is u, how far above its layer's mean a bound may lie."""

    deviations: float = 3.0


def clp(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport,
    generator: torch.Generator,
    *,
    settings: CLP | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Return a copy of `classifier` without its most amplifying channels.

    The rest is not looked at.

    Raises
    ------
    UndoorError
        The network has no hidden layer.
    """
    settings = settings or CLP()
    changed = classifier.fast_copy()
    layers = lipschitz_bounds(changed)
    if not layers:
        raise UndoorError(
            "Lipschitz pruning compares the channels of hidden layers, the network has none; "
            "use fine_tuning"
        )
    for done, (name, bounds) in enumerate(layers.items(), 1):
        limit = bounds.mean() + settings.deviations * bounds.std()
        silence(changed.get_submodule(name), bounds > limit, bias=True)
        progress("pruning channels", done, len(layers))
    return finished(changed)


def lipschitz_bounds(classifier: Classifier) -> dict[str, Tensor]:
    """Return the bound of every channel [C], by the layer in which the channel is pruned.

    That layer is the batch norm where there is one, else the convolution or linear layer. The last
    layer, whose channels are the classes, is left out.
    """
    calls, norm_behind = _calls(classifier)
    out = {}
    for name in dict.fromkeys(calls[:-1]):
        if name == calls[-1]:
            continue
        bounds = _gain_of_weights(classifier.get_submodule(name))
        norm = norm_behind.get(name)
        if norm is not None:
            bounds = bounds * _gain_of_norm(classifier.get_submodule(norm))
        out[norm or name] = bounds
    for name, module in classifier.named_modules():
        if isinstance(module, NORMS) and name not in norm_behind.values():
            out[name] = _gain_of_norm(module)
    return out


def _calls(classifier: Classifier) -> tuple[list[str], Mapping[str, str]]:
    """Return linear maps in the order of their calls, and the batch norms behind them."""
    probe = shared_copy(classifier)
    given: list[tuple[str, Tensor]] = []
    norm_behind: dict[str, str] = {}

    def watch(name: str, module: nn.Module) -> None:
        def after(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            given.append((name, output))

        def before(_module: nn.Module, inputs: Any) -> None:
            norm_behind.update({source: name for source, z in given if z is inputs[0]})

        if isinstance(module, LINEAR_MAPS):
            module.register_forward_hook(after)
        elif isinstance(module, NORMS):
            module.register_forward_pre_hook(before)

    for name, module in probe.named_modules():
        watch(name, module)
    with torch.no_grad():
        probe(torch.full((2, *classifier.input_shape), classifier.bounds[0]))
    return [name for name, _ in given], norm_behind


def _gain_of_weights(layer: nn.Module) -> Tensor:
    """Return the largest singular value [C] of each channel's weights [inputs, positions]."""
    weight = layer.get_parameter("weight").detach()
    matrices = weight.flatten(2) if weight.dim() > 2 else weight[:, :, None]
    return torch.linalg.matrix_norm(matrices, ord=2)


def _gain_of_norm(norm: nn.Module) -> Tensor:
    """Return |gamma / sigma| [C], with 1 for what a batch norm lacks."""
    assert isinstance(norm, NORMS)
    gain = torch.ones(norm.num_features) if norm.weight is None else norm.weight.detach().abs()
    variance = norm.running_var
    return gain if variance is None else gain / (variance + norm.eps).sqrt()
