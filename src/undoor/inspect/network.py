"""What a network is made of, and what about it would mislead whoever examines it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.sites import SiteInfo, calls_of, find_sites, is_opaque

# Answers of two passes that differ by more than rounding.
TOLERANCE = 1e-4
SEED = 0


@dataclass(frozen=True)
class NetworkFacts:
    """A network as it is executed.

    name : of its class.
    parameters : how many numbers it learned. layers : kinds of modules without children, counted.
    sites : the places where corrections can stand.
    reused : modules that run more than once in a pass. unused : modules that never do.
    training : modules that stay in training mode whatever they are told.
    batch_dependent : whether an input's answer depends on the inputs beside it.
    random : whether two passes of the same input differ.
    opaque : whether it is TorchScript, inside of which nothing can be corrected.
    """

    name: str
    parameters: int
    layers: dict[str, int]
    sites: tuple[SiteInfo, ...]
    reused: tuple[str, ...]
    unused: tuple[str, ...]
    training: tuple[str, ...]
    batch_dependent: bool
    random: bool
    opaque: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of this makes a scan or a repair less than it could be, in words."""
        told = []
        if self.opaque:
            told.append("is TorchScript: it is scanned from outside, and cannot be repaired")
        if self.random:
            told.append("two passes of the same input differ: something in it is random")
        if self.batch_dependent:
            told.append("an answer depends on the other inputs of its batch")
        if self.training:
            told.append(f"stays in training mode: {_some(self.training)}")
        if self.reused:
            told.append(
                f"runs more than once in a pass, and is not corrected: {_some(self.reused)}"
            )
        if self.unused:
            told.append(f"holds parameters that no pass uses: {_some(self.unused)}")
        return tuple(told)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "parameters": self.parameters,
            "layers": self.layers,
            "sites": [{"name": site.name, "shape": list(site.shape)} for site in self.sites],
            "reused": list(self.reused),
            "unused": list(self.unused),
            "training": list(self.training),
            "batch_dependent": self.batch_dependent,
            "random": self.random,
            "warnings": list(self.warnings),
        }


@torch.no_grad()
def inspect_network(classifier: Classifier) -> NetworkFacts:
    """The facts of a classifier's network, from a few passes over random inputs."""
    modules = {
        name: module
        for name, module in classifier.network.named_modules()
        if not isinstance(module, torch.jit.ScriptModule)
    }
    leaves = {n: m for n, m in modules.items() if not list(m.children())}
    times = Counter(name for name, _ in calls_of(classifier, (nn.Module,)))
    called = {n: times[f"network.{n}" if n else "network"] for n in leaves}
    return NetworkFacts(
        name=type(classifier.network).__name__,
        parameters=sum(p.numel() for p in classifier.network.parameters()),
        layers=dict(Counter(type(m).__name__ for m in leaves.values()).most_common()),
        sites=find_sites(classifier),
        # What holds no numbers, as an activation, may well be shared.
        reused=tuple(n for n, m in leaves.items() if called[n] > 1 and m.state_dict()),
        unused=tuple(n for n, m in leaves.items() if not called[n] and list(m.parameters())),
        training=tuple(n for n, m in modules.items() if m.training),
        batch_dependent=_depends_on_batch(classifier),
        random=_is_random(classifier),
        opaque=is_opaque(classifier),
    )


def _inputs(classifier: Classifier) -> Tensor:
    low, high = classifier.bounds
    draw = torch.rand(4, *classifier.input_shape, generator=torch.Generator().manual_seed(SEED))
    return low + (high - low) * draw


def _is_random(classifier: Classifier) -> bool:
    x = _inputs(classifier)
    return _differ(classifier(x), classifier(x))


def _depends_on_batch(classifier: Classifier) -> bool:
    x = _inputs(classifier)
    return not _is_random(classifier) and _differ(classifier(x)[:2], classifier(x[:2]))


def _differ(first: Tensor, second: Tensor) -> bool:
    scale = max(float(first.abs().max()), 1.0)
    return bool((first - second).abs().max() > TOLERANCE * scale)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(name or "the network itself" for name in names[:3]) + more
