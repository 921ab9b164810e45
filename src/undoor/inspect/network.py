"""The parts of a network, and what about them makes a scan or a repair less reliable."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from undoor.black_boxes import black_box_in
from undoor.classifier import Classifier
from undoor.scrutiny import Scrutiny, scrutinise
from undoor.sites import SiteInfo, calls_of, find_sites, is_opaque


@dataclass(frozen=True)
class NetworkFacts:
    """A network as it is executed.

    Attributes
    ----------
    name
        Name of its class.
    parameters
        How many parameters it has, as single numbers.
    layers
        Kinds of modules without children, counted.
    sites
        The places where corrections can stand.
    reused
        Modules that run more than once in a pass.
    unused
        Modules that never do.
    scrutiny
        Reasons to doubt a scan of it.
    opaque
        Whether it is TorchScript, inside of which nothing can be corrected.
    """

    name: str
    parameters: int
    layers: dict[str, int]
    sites: tuple[SiteInfo, ...]
    reused: tuple[str, ...]
    unused: tuple[str, ...]
    scrutiny: Scrutiny
    opaque: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes a scan or a repair less reliable or less complete, in words."""
        texts = []
        if self.opaque:
            texts.append("is TorchScript: it is scanned from outside, and cannot be repaired")
        texts += self.scrutiny.sentences
        if self.reused:
            texts.append(
                f"runs more than once in a pass, and is not corrected: {_some(self.reused)}"
            )
        if self.unused:
            texts.append(f"holds parameters that no pass uses: {_some(self.unused)}")
        return tuple(texts)

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON has them, with the warnings."""
        return {
            "name": self.name,
            "parameters": self.parameters,
            "layers": self.layers,
            "sites": [{"name": site.name, "shape": list(site.shape)} for site in self.sites],
            "reused": list(self.reused),
            "unused": list(self.unused),
            **self.scrutiny.to_json(),
            "warnings": list(self.warnings),
        }


@torch.no_grad()
def inspect_network(classifier: Classifier) -> NetworkFacts:
    """Return the facts of a classifier's network, from a few passes over random inputs."""
    scrutiny = scrutinise(classifier)
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
        # What has no layers is not corrected at its input either.
        sites=find_sites(classifier) if black_box_in(classifier) is None else (),
        # What holds no numbers, as an activation, may well be shared.
        reused=tuple(n for n, m in leaves.items() if called[n] > 1 and m.state_dict()),
        unused=tuple(n for n, m in leaves.items() if not called[n] and list(m.parameters())),
        scrutiny=scrutiny,
        opaque=is_opaque(classifier),
    )


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(name or "the network itself" for name in names[:3]) + more
