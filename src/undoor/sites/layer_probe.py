"""A network whose layers can be cut, fed and perturbed, to find what depends on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.device import CPU, on, precise
from undoor.sites.places import LINEAR_MAPS, SITE_NORMS, calls_of

INPUTS = 2
# The mixes of two inputs of a layer at which a map is tested for being affine.
MIXES = (0.5, -1.0)
# How far inputs are moved, in units of their root mean square, so that each unit passes its kink.
FAR = 5.0
# As a share of the distance of scores: the error of affine maps, and what counts as no difference.
TOLERANCE, NOTHING = 1e-3, 1e-6

Change = Callable[[Tensor], Tensor]


class LayerProbe:
    """A copy of a network with shared weights that is run on random inputs.

    Parameters
    ----------
    classifier
        Any model.

    Attributes
    ----------
    order
        Names of its linear maps and normalisations, in the order of execution.
    linear
        The linear maps among them.
    shapes
        The shape of each output, without the batch axis, channels first.
    times
        How often each runs in a pass.
    observed
        The layer whose output `scores` returns; None for the class scores themselves.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.network = classifier.counted(None)
        calls = calls_of(classifier, (*LINEAR_MAPS, *SITE_NORMS))
        self.shapes = dict(calls)
        self.times = Counter(name for name, _ in calls)
        self.order = list(self.shapes)
        self.linear = [n for n in self.order if isinstance(self.layer(n), LINEAR_MAPS)]
        self.scores_width = classifier.num_outputs
        self.generator = torch.Generator().manual_seed(0)
        self.x = classifier.examples(INPUTS, self.generator)
        self.observed: str | None = None
        self.inputs: Mapping[str, Change] = {}
        self.outputs: Mapping[str, Change] = {}
        for name in self.order:
            self._watch(name)
        self.unit = self._apart()

    def observe(self, name: str) -> None:
        """Observe the output of this layer instead of the class scores."""
        self.observed = name
        self.unit = self._apart()

    def layer(self, name: str) -> nn.Module:
        """Return the module with this name."""
        return self.network.get_submodule(name)

    @torch.no_grad()
    def scores(
        self,
        *,
        inputs: Mapping[str, Change] | None = None,
        outputs: Mapping[str, Change] | None = None,
    ) -> Tensor:
        """Return the observed values [N, ...]: the scores minus their mean over classes.

        Parameters
        ----------
        inputs, outputs
            Changes of the input or the output of layers, by name.
        """
        self.inputs, self.outputs = inputs or {}, dict(outputs or {})
        seen: list[Tensor] = []
        if self.observed is not None:
            self.outputs[self.observed] = _recording(seen, self.outputs.get(self.observed))
        logits = precise(self.network(self.x))
        return precise(seen[-1]) if seen else logits - logits.mean(1, keepdim=True)

    def entering(self, name: str) -> Tensor:
        """Return the input [N, ...] of a layer."""
        seen: list[Tensor] = []
        self.scores(inputs={name: _recording(seen, None)})
        return seen[-1]

    def gradient(self, name: str) -> Tensor:
        """Return the gradient of the first score, minus the mean, at the output of a layer."""
        leaves: list[Tensor] = []

        def leaf(z: Tensor) -> Tensor:
            leaves.append(z.detach().requires_grad_())
            return leaves[-1]

        self.inputs, self.outputs = {}, {name: leaf}
        with torch.enable_grad():
            logits = self.network(self.x)
            lead = (logits[:, 0] - logits.mean(1)).sum()
            (gradient,) = torch.autograd.grad(lead, leaves[-1])
        return gradient

    def same(self, one: Tensor, two: Tensor, tolerance: float = NOTHING) -> bool:
        """Return whether two observations agree, relative to the distance of different inputs."""
        return float((one - two).abs().max()) <= tolerance * self.unit

    def alike(self, observed: Tensor) -> bool:
        """Return whether the observed values are the same for all inputs."""
        return self.same(observed, swapped(observed))

    def affine(self, names: Sequence[str]) -> bool:
        """Return whether the observed values are an affine map of the inputs of these layers.

        A constant does not count as one.
        """
        first, second = ({name: self._near(name) for name in names} for _ in range(2))
        ends = [self._fed(values) for values in (first, second)]
        apart = float((ends[0] - ends[1]).abs().max())
        if not apart > NOTHING * self.unit:
            return False
        for mix in MIXES:
            got = self._fed({n: mix * first[n] + (1 - mix) * second[n] for n in names})
            expected = mix * ends[0] + (1 - mix) * ends[1]
            if not float((got - expected).abs().max()) <= TOLERANCE * apart:
                return False
        return True

    def noisy(self, z: Tensor) -> Tensor:
        """Return z [N, ...] with noise that is large enough to show any dependence on it."""
        noise = on(z.device, torch.randn(z.shape, generator=self.generator, device=CPU))
        return z + FAR * (float(z.square().mean().sqrt()) or 1.0) * noise

    def _near(self, name: str) -> Tensor:
        return self.noisy(self.entering(name))

    def _fed(self, values: Mapping[str, Tensor]) -> Tensor:
        return self.scores(inputs={name: _always(value) for name, value in values.items()})

    def _apart(self) -> float:
        observed = self.scores()
        return float((observed - swapped(observed)).abs().max())

    def _watch(self, name: str) -> None:
        def enter(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            change = self.inputs.get(name)
            return None if change is None or not args else (change(args[0]), *args[1:])

        def leave(_module: nn.Module, _args: Any, output: Any) -> Any:
            change = self.outputs.get(name)
            return output if change is None else change(output)

        self.layer(name).register_forward_pre_hook(enter)
        self.layer(name).register_forward_hook(leave)


def swapped(z: Tensor) -> Tensor:
    """Return the values [N, ...] with those of the inputs exchanged."""
    return z.roll(1, 0)


def _always(value: Tensor) -> Change:
    return lambda _: value


def _recording(seen: list[Tensor], change: Change | None) -> Change:
    """Return a change that does the same and appends its result to `seen`."""

    def record(z: Tensor) -> Tensor:
        seen.append(z if change is None else change(z))
        return seen[-1]

    return record
