"""A network whose layers are cut, fed and disturbed from outside: what depends on what."""

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
# Where between and beyond two inputs of a layer an affine map is looked at.
MIXES = (0.5, -1.0)
# How far, in units of the usual size of a number, so that no unit stays on one side of its bend.
FAR = 5.0
# Of how far scores lie apart: what affine maps may differ by, and what counts as no difference.
TOLERANCE, NOTHING = 1e-3, 1e-6

Change = Callable[[Tensor], Tensor]


class LayerProbe:
    """A copy of a network, its weights shared, that is tried on random inputs.

    Parameters
    ----------
    classifier
        Any model.

    Attributes
    ----------
    order
        Names of its linear maps and normalisations, in the order in which they run.
    linear
        Of these the linear maps.
    shapes
        What each delivers, without the batch axis and the channels first.
    times
        How often each runs.
    observed
        Whose output `scores` gives in their place; None for the scores themselves.
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
        """Look at what this layer delivers instead of the scores."""
        self.observed = name
        self.unit = self._apart()

    def layer(self, name: str) -> nn.Module:
        """Return the module of this name."""
        return self.network.get_submodule(name)

    @torch.no_grad()
    def scores(
        self,
        *,
        inputs: Mapping[str, Change] | None = None,
        outputs: Mapping[str, Change] | None = None,
    ) -> Tensor:
        """Return what is observed [N, ...]: the scores, less their mean over classes.

        Parameters
        ----------
        inputs, outputs
            What is done to that which enters or leaves the layers of these names.
        """
        self.inputs, self.outputs = inputs or {}, dict(outputs or {})
        seen: list[Tensor] = []
        if self.observed is not None:
            self.outputs[self.observed] = _keeping(seen, self.outputs.get(self.observed))
        logits = precise(self.network(self.x))
        return precise(seen[-1]) if seen else logits - logits.mean(1, keepdim=True)

    def entering(self, name: str) -> Tensor:
        """Return what the layer reads [N, ...]."""
        seen: list[Tensor] = []
        self.scores(inputs={name: _keeping(seen, None)})
        return seen[-1]

    def gradient(self, name: str) -> Tensor:
        """Return how the first score, less the mean of all, depends on what the layer delivers."""
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
        """Return whether two observations agree, beside how far those of different inputs lie
        apart.
        """
        return float((one - two).abs().max()) <= tolerance * self.unit

    def alike(self, observed: Tensor) -> bool:
        """Return whether all inputs have the same."""
        return self.same(observed, swapped(observed))

    def affine(self, names: Sequence[str]) -> bool:
        """Return whether what is observed is an affine map of what these layers read, and not
        constant.
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
        """z, moved so far that whatever bends or depends on it shows."""
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
    """Return each input has what another one has."""
    return z.roll(1, 0)


def _always(value: Tensor) -> Change:
    return lambda _: value


def _keeping(seen: list[Tensor], change: Change | None) -> Change:
    """`change`, or none, that appends its result to `seen`."""

    def keep(z: Tensor) -> Tensor:
        seen.append(z if change is None else change(z))
        return seen[-1]

    return keep
