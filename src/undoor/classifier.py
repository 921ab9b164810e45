"""The model under suspicion: a module from raw input space to logits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, get_args

import torch
from torch import Tensor, nn

from undoor.batch_size import failure, require_another_size
from undoor.class_scores import with_scores_alone
from undoor.device import CPU, device_of, memory_format, on, require_same
from undoor.distinct_names import distinct_names
from undoor.errors import UndoorError
from undoor.fast_layout import takes_channels_last
from undoor.identity.model import fingerprint, network_structure
from undoor.identity.structure import Fact
from undoor.identity.tensors import dense_parts
from undoor.input_size import require_input_size
from undoor.origin import Origin
from undoor.plain_weights import detached_copy, plain_copy, shared_copy
from undoor.promised_output import (
    exchange_last,
    is_distribution,
    require_promised,
    require_scores,
    softmax_to_log_softmax,
)
from undoor.resizing import Resizing
from undoor.sigmoid import logits_of, take_off
from undoor.spaces.registry import space_for
from undoor.spaces.space import Extent
from undoor.tasks.registry import task_named
from undoor.unwrapped import unwrapped
from undoor.vocabulary import DEFAULT_TASK, Output

# The module whose output is the raw input: see `Classifier.entry`.
ENTRY = "entry"
TINY = 1e-30


@dataclass(frozen=True)
class Capacity:
    """How many inputs memory lets through a network at a time.

    `learning` with gradients, `answering` without.
    """

    learning: int
    answering: int


class PassCounter(Protocol):
    """Hears of every batch before it goes through a network; raising from it ends the work."""

    def before_pass(self, inputs: int) -> None: ...


class Classifier(nn.Module):
    """A trained network, seen from raw input space.

    Normalisation lives inside, so that images, triggers and bounds all speak of what a camera or a
    file delivers. The network is copied, without what `torch.compile` or DataParallel put around
    it, to float32: nothing done here reaches the caller's module. The device is the network's;
    `to` moves the copy elsewhere.

    Parameters
    ----------
    network
        Module from normalised inputs [N, *input_shape] to [N, num_classes], or to a mapping with
        such "logits" or an object that has them as an attribute.
    input_shape
        Shape of one raw input, for images (channels, height, width).
    bounds
        Lowest and highest raw value.
    scale, mean, std
        The network sees ``(x * scale - mean) / std``, mean and std per channel.
    output
        What the network returns; probabilities are turned into logits (their logarithm), and so are
        scores behind a sigmoid, of which each class has its own (log p - log(1 - p)).
    class_names
        One name a class, in order; numbers where none are given. Names of several classes have the
        number of the class behind them.
    resizing
        How pictures of other sizes become inputs; straight to the size unless given.
    space
        The name of what an input is (`undoor.spaces`); by its shape unless given.
    task
        The name of what an output means (`undoor.tasks`).
    origin
        The code or graph that the network comes from, where it was read from files.

    Raises
    ------
    UndoorError
        The network is no module or cannot be copied, fails on such an input or takes batches of one
        size alone, returns no [N, K >= 2] matrix or anything that is not finite, or contradicts
        `output` or `class_names`; or its weights lie on several devices.

    Examples
    --------
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    >>> classifier = Classifier(net, input_shape=(3, 2, 2), bounds=(0, 1))
    >>> classifier(torch.zeros(4, 3, 2, 2)).shape, classifier.num_classes
    (torch.Size([4, 5]), 5)
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        input_shape: Sequence[int],
        bounds: tuple[float, float] = (0.0, 1.0),
        scale: float = 1.0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        output: Output = "logits",
        class_names: Sequence[str] | None = None,
        resizing: Resizing | None = None,
        origin: Origin | None = None,
        space: str | None = None,
        task: str = DEFAULT_TASK,
    ) -> None:
        super().__init__()
        self.input_shape = tuple(int(n) for n in input_shape)
        if not self.input_shape or min(self.input_shape) < 1:
            raise UndoorError(
                f"input_shape must be positive numbers such as (3, 32, 32), got {input_shape}"
            )
        require_input_size(self.input_shape)
        self.space = space_for(self.input_shape, space)
        self.task = task_named(task)
        self.resizing = resizing or self.space.resizing(self.input_shape)
        self.origin = origin or Origin()
        if self.resizing and self.resizing.size != self.input_shape[1:]:
            raise UndoorError(
                f"images are resized to {self.resizing.size}, but input_shape is "
                f"{self.input_shape}; let them agree"
            )
        self.bounds = (float(bounds[0]), float(bounds[1]))
        self.output: Output = output
        self.scale = float(scale)
        # Whether searches may lay out maps with the channels last: see `fast_copy`.
        self.channels_last = True
        # Set by `with_gain`: what logits are multiplied by.
        self.gain = 1.0
        # Set by `limited`; None where memory is no concern.
        self.capacity: Capacity | None = None
        # Set by `counted`; None where nobody counts.
        self.counter: PassCounter | None = None
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", self._per_channel("mean", mean, 0.0), False)
        self.register_buffer("std", self._per_channel("std", std, 1.0), False)
        if not self.bounds[0] < self.bounds[1]:
            raise UndoorError(
                f"bounds must be (low, high) with low < high, got {tuple(bounds)}; "
                "images in files are usually (0, 1)"
            )
        if not bool((self.std > 0).all()):
            raise UndoorError(f"std must be positive, got {list(std or [])}")
        if output not in get_args(Output):
            raise UndoorError(
                f"output must be 'logits', 'probabilities' or 'sigmoid', got {output!r}"
            )
        # A named module, so that corrections of the raw input attach like those of any layer.
        self.entry: nn.Module = nn.Identity()
        with torch.no_grad():  # With gradients, a script's copy would remember what it is one of.
            self.network = plain_copy(unwrapped(network))
        self.mean, self.std = (on(device_of(self.network), t) for t in (self.mean, self.std))
        for parameter in self.network.parameters():  # what scripts have no method for
            parameter.requires_grad_(False)
        self.network = with_scores_alone(self.network, self._normalised(self.examples(2)))
        self._returns_log = output == "probabilities" and softmax_to_log_softmax(self.network)
        if output == "sigmoid":
            self._returns_log = take_off(self.network, self._normalised(self.examples(2)))
        self.volatile: frozenset[Fact] = frozenset()
        built = network_structure(self).facts
        self.num_outputs = self._probe()
        self.num_classes = self.task.goals(self.num_outputs)
        # What running the network changes (counters, caches) is not what it is.
        self.volatile = _changed(built, network_structure(self).facts)
        names = [str(i) for i in range(self.num_classes)] if class_names is None else class_names
        self.class_names = distinct_names([str(name) for name in names])
        if len(self.class_names) != self.num_classes:
            raise UndoorError(
                f"{len(self.class_names)} class names were given for a model with "
                f"{self.num_classes} classes; give one name a class, in order"
            )

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.mean.device

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move the model, as `torch.nn.Module.to` does, and see that it runs there.

        Copies that share weights with this one (`limited`, `with_gain`) cannot be used any more.

        Raises
        ------
        UndoorError
            It cannot be moved, or not run there; it then stays where it was.
        """
        before = self.device
        try:
            super().to(*args, **kwargs)
            if self.device != before:
                with torch.no_grad():
                    self(self.examples(2))
        except Exception as error:
            super().to(before)
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UndoorError(
                f"the model cannot be moved from {before} ({reason}); a network whose code or "
                "graph names a device runs on that one alone"
            ) from error
        return self

    def on(self, device: torch.device) -> Classifier:
        """This classifier where it is on `device` already, and a copy there otherwise."""
        return self if self.device == device else detached_copy(self).to(device)

    def __repr__(self) -> str:
        network = type(self.network).__name__
        return f"Classifier({network}, {self.input_shape} -> {self.num_classes} classes)"

    def train(self, mode: bool = True) -> Classifier:
        """Stay in evaluation mode, whatever `mode` is.

        Batch statistics would change its logits, and with each input its weights.
        """
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_outputs] of raw inputs [N, *input_shape] within `bounds`.

        Raises
        ------
        UndoorError
            The inputs lie on another device than the network; `predict` and `logits` move them.
        """
        require_same(self.device, x, "inputs")
        if self.counter is not None:
            self.counter.before_pass(len(x))
        return self._logits(self.network(self._normalised(self.entry(x))))

    def _logits(self, out: Tensor) -> Tensor:
        """Logits of what the network returns."""
        if self.output != "logits" and not self._returns_log:
            out = logits_of(out) if self.output == "sigmoid" else out.clamp_min(TINY).log()
        # In float32: bfloat16 would be rounded a second time.
        return out if self.gain == 1.0 else out.float() * self.gain

    @torch.no_grad()
    def predict(self, x: Tensor, batch_size: int = 256) -> Tensor:
        """Labels [N] of raw inputs on any device, computed batch by batch; where the inputs lie."""
        found = (self.task.answers(self(batch)) for batch in self.batches(x, batch_size))
        return torch.cat([on(x.device, labels) for labels in found])

    @torch.no_grad()
    def answers_to(self, x: Tensor) -> Tensor:
        """Labels [N] of what the network itself takes: inputs that were normalised in any way."""
        return self.task.answers(self._logits(self.network(x)))

    @torch.no_grad()
    def logits(self, x: Tensor, batch_size: int | None = None) -> Tensor:
        """As called, but without gradients, of inputs on any device, and batch by batch.

        All at once for None. The logits lie where the inputs do.
        """
        found = (self(batch) for batch in self.batches(x, batch_size or len(x)))
        return torch.cat([on(x.device, logits) for logits in found])

    def batches(self, x: Tensor, batch_size: int) -> Iterator[Tensor]:
        """Inputs in batches of `batch_size`, or of what the capacity allows without gradients, each
        on the classifier's device.
        """
        most = self.capacity.answering if self.capacity else batch_size
        return (on(self.device, batch) for batch in x.split(max(1, min(batch_size, most))))

    def limited(self, capacity: Capacity | None) -> Classifier:
        """Return the same with weights shared, as scans and repairs of it are to keep within
        `capacity`.

        Numbers may differ in their last digits from those of another capacity.
        """
        other = shared_copy(self)
        other.capacity = capacity
        return other

    def counted(self, counter: PassCounter | None) -> Classifier:
        """Return the same with weights shared, whose passes `counter` hears of before they are
        computed; so it does of those of its copies, triggered, corrected or guarded. None :
        nobody does.
        """
        other = shared_copy(self)
        other.counter = counter
        return other

    def with_gain(self, gain: float) -> Classifier:
        """Return the same with weights shared, whose logits are those of the network times `gain`.

        Parameters
        ----------
        gain
            Positive. It is no part of the model: predictions and fingerprint stay as they are.
        """
        other = shared_copy(self)
        other.gain = gain
        return other

    def fast_copy(self) -> Classifier:
        """Return a copy laid out for speed, as `undoor.device.memory_format` says for the device.

        Networks that take views of their activations, as by ``x.view(len(x), -1)``, may know one
        order alone; their copy keeps it.
        """
        twin = detached_copy(self)
        if self.memory_format != torch.channels_last:
            return twin
        for parameter in twin.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        if takes_channels_last(twin, self.level(2), maps=self.space.maps):
            return twin
        same = detached_copy(self)
        same.channels_last = False
        return same

    @property
    def memory_format(self) -> torch.memory_format:
        """How searches lay out images and activations."""
        return memory_format(self.device) if self.channels_last else torch.contiguous_format

    def fingerprint(self) -> str:
        """SHA-256 over all that the predictions depend on: what scans and repairs are bound to.

        Weights, input transform and resizing, modules with their settings, the graph of a file
        that brings one, and the code that no installed package has. Equal for the same files in
        every process and on every machine. See `undoor.identity.model.ModelIdentity`.
        """
        return fingerprint(self)

    def _normalised(self, x: Tensor) -> Tensor:
        return (x * self.scale - self.mean) / self.std

    def _per_channel(self, name: str, values: Sequence[float] | None, default: float) -> Tensor:
        channels, dimensions = self.input_shape[0], len(self.input_shape)
        numbers = [default] * channels if values is None else [float(v) for v in values]
        if len(numbers) not in (1, channels):
            raise UndoorError(
                f"{name} must have one value or one for each of the {channels} channels, "
                f"got {len(numbers)}"
            )
        if not all(math.isfinite(number) for number in numbers):
            raise UndoorError(f"{name} must be finite numbers, got {numbers}")
        return torch.tensor(numbers, device=CPU).view(-1, *[1] * (dimensions - 1))

    def examples(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random valid raw inputs [count, *input_shape] on the classifier's device.

        Without a generator, which is one of the CPU, always the same.
        """
        generator = generator or torch.Generator().manual_seed(0)
        drawn = self.space.examples(count, self.input_shape, self.bounds, generator)
        return on(self.device, drawn)

    def level(self, count: int, share: float = 0.0) -> Tensor:
        """Raw inputs [count, *input_shape] of one value, at a share of the range of the bounds, on
        the classifier's device.
        """
        shares = torch.full((count, *self.input_shape), share, device=self.device)
        return self.space.at(shares, self.bounds)

    @property
    def extent(self) -> Extent:
        """How large an input is beside those that natural trigger sizes were learned on."""
        return self.space.extent(self.input_shape)

    @torch.no_grad()
    def _probe(self) -> int:
        """Return the number of outputs, from a first pass.

        Whatever is wrong with the model shows here.
        """
        _require_finite(self.network)
        x = self.examples(2)
        try:
            raw = self.network(self._normalised(x))
        except Exception as error:
            raise failure(self.network, self._normalised(x), error) from error
        require_another_size(self.network, self._normalised(x))
        raw = self.task.require(raw)
        if not bool(torch.isfinite(raw).all()):
            raise UndoorError(
                "the network answers NaN or infinity to an input within its bounds; "
                "check the weights, bounds, mean and std"
            )
        if self.output == "sigmoid":
            if not self._returns_log:
                require_scores(raw)
            return int(raw.shape[1])
        if self._returns_log and not is_distribution(raw.exp()):
            # The softmax was not the last operation after all; the network keeps it.
            exchange_last(self.network, nn.Softmax(dim=-1))
            self._returns_log = False
            raw = self.network(self._normalised(x))
        told = raw.exp() if self._returns_log else raw
        require_promised(self.output, told, self.network, self._normalised(x))
        return int(raw.shape[1])


def _changed(before: Mapping[Fact, str], after: Mapping[Fact, str]) -> frozenset[Fact]:
    keys = before.keys() | after.keys()
    return frozenset(key for key in keys if before.get(key) != after.get(key))


def _require_finite(network: nn.Module) -> None:
    bad = [
        name
        for name, value in network.state_dict().items()
        if isinstance(value, Tensor) and not all(map(_is_finite, dense_parts(value)))
    ]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise UndoorError(
            f"the weights hold NaN or infinite values ({bad[0]}{more}); "
            "export the model again from a good checkpoint"
        )


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
