"""The model under suspicion: a module from raw input space to logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Self, get_args

import torch
from torch import Tensor, nn

from undoor.class_scores import with_scores_alone
from undoor.device import device_of, memory_format, on, require_same
from undoor.distinct_names import names_of_classes
from undoor.errors import UndoorError
from undoor.fast_layout import takes_channels_last
from undoor.first_pass import checked_outputs
from undoor.identity.model import fingerprint, network_structure
from undoor.identity.structure import Fact, changed_facts
from undoor.input_transform import InputTransform
from undoor.kinds import checked, require_hint
from undoor.one_score import with_two_classes
from undoor.origin import Origin
from undoor.passes import PassSettings
from undoor.plain_weights import detached_copy, plain_copy, shared_copy
from undoor.promised_output import softmax_to_log_softmax
from undoor.raw_inputs import require_inputs
from undoor.resizing import Resizing
from undoor.sigmoid import logits_of, take_off
from undoor.spaces.columns import Column
from undoor.spaces.tokenizer import Tokenizer
from undoor.strided_depthwise import QuickGradients, has_strided_depthwise
from undoor.tasks.registry import task_named
from undoor.tasks.task import Task
from undoor.unwrapped import unwrapped
from undoor.vocabulary import DEFAULT_TASK, Output

# The module whose output is the raw input: see `Classifier.entry`.
ENTRY = "entry"
# Probabilities below this have no finite logarithm in float32.
MIN_PROBABILITY = 1e-30


class Classifier(PassSettings, InputTransform):
    """A trained network, seen from raw input space.

    Normalisation is part of the model, so that images, triggers and bounds are all in the units
    that a camera or a file delivers. The network is copied to float32, without what `torch.compile`
    or DataParallel put around it: nothing done here changes the caller's module. The device is the
    network's; `to` moves the copy elsewhere.

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
        What the network returns: "logits", "probabilities" (turned into logits by their logarithm)
        or "sigmoid", one score per class behind a sigmoid (turned into log p - log(1 - p)); of two
        classes also "logit", one score per input [N, 1] or [N] that is positive for class 1, or
        "probability", that of class 1.
    class_names
        One name per class, in order; numbers where none are given. A name that several classes
        share is followed by the number of the class. Of a multi-label model the names of its
        labels, of a regression that of the number that is predicted.
    resizing
        How pictures of other sizes become inputs; by default they are resized straight to the size.
    origin
        The code or graph that the network comes from, where it was read from files.
    space
        The name of what an input is (`undoor.spaces`); by default it follows from the shape.
    task
        The name of what an output means (`undoor.tasks`).
    columns
        Of a table, in order: what the cells of raw inputs [N, D] mean, and how the network sees
        them, in the place of scale, mean and std (`undoor.spaces.columns.Column`).
    sampling_rate
        Of signals, in samples per second; recordings of another rate are then refused.
    tokenizer
        Of a text model: how a text becomes raw inputs [N, T], token ids, and which id is padding
        (`undoor.spaces.tokenizer.Tokenizer`). The network takes them as int64; shape and bounds
        follow from it.

    Raises
    ------
    UndoorError
        The network is no module or cannot be copied, fails on such an input or takes batches of one
        size only, returns anything but a finite [N, K >= 2] matrix, or contradicts `output` or
        `class_names`; or its weights lie on several devices.

    Examples
    --------
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    >>> classifier = Classifier(net, input_shape=(3, 2, 2), bounds=(0, 1))
    >>> classifier(torch.zeros(4, 3, 2, 2)).shape, classifier.num_classes
    (torch.Size([4, 5]), 5)
    """

    # Whether searches may lay out maps with the channels last: see `fast_copy`.
    channels_last: bool = True
    # Whether gradients need the help of `QuickGradients`.
    quick: bool = False

    @checked
    def __init__(
        self,
        network: nn.Module,
        *,
        input_shape: Sequence[int] | None = None,
        bounds: tuple[float, float] | None = None,
        scale: float = 1.0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        output: Output = "logits",
        class_names: Sequence[str] | None = None,
        resizing: Resizing | None = None,
        origin: Origin | None = None,
        space: str | None = None,
        task: str = DEFAULT_TASK,
        columns: Sequence[Column] = (),
        sampling_rate: int | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        super().__init__(
            input_shape,
            bounds,
            scale,
            mean,
            std,
            space,
            resizing,
            columns,
            sampling_rate,
            tokenizer,
        )
        self.task = task_named(task)
        self.origin = origin or Origin()
        if output not in get_args(Output):
            known = ", ".join(map(repr, get_args(Output)))
            raise UndoorError(f"output must be one of {known}, got {output!r}")
        self.output: Output = output
        # A named module, so that corrections of the raw input attach like those of any layer.
        self.entry: nn.Module = nn.Identity()
        self._take_network(network)
        self._run_first_pass()
        self.num_classes = self.task.goals(self.num_outputs)
        self.output_names = None if class_names is None else tuple(map(str, class_names))
        self._name_goals()

    def _take_network(self, network: nn.Module) -> None:
        """Copy the network, so that it returns class scores alone, as logits where it can."""
        with torch.no_grad():  # With gradients, a script's copy would remember what it is one of.
            self.network = plain_copy(unwrapped(network))
        self.mean, self.std = (on(device_of(self.network), t) for t in (self.mean, self.std))
        for parameter in self.network.parameters():  # what scripts have no method for
            parameter.requires_grad_(False)
        x = self.normalised(self.examples(2))
        self.network = with_two_classes(with_scores_alone(self.network, x), x, self.output)
        self._returns_log = self.output == "probabilities" and softmax_to_log_softmax(self.network)
        if self.output == "sigmoid":
            self._returns_log = take_off(self.network, x)

    def _run_first_pass(self) -> None:
        self.volatile: frozenset[Fact] = frozenset()
        built = network_structure(self).facts
        x = self.normalised(self.examples(2))
        self.num_outputs, self._returns_log = checked_outputs(
            self.network, x, self.task, self.output, returns_log=self._returns_log
        )
        # What running the network changes (counters, caches) is not what it is.
        self.volatile = changed_facts(built, network_structure(self).facts)

    def _name_goals(self) -> None:
        names = self.task.goal_names(self.output_names, self.num_outputs)
        self.class_names = names_of_classes(names, self.num_classes)

    def with_task(self, task: Task) -> Self:
        """Return a copy with shared weights whose task has learned its goals from clean inputs."""
        other = shared_copy(self)
        other.task = task
        other._name_goals()
        return other

    def with_goals(self, settings: Mapping[str, float]) -> Self:
        """Return the classifier with the goals of a scan, which are part of its report.

        Parameters
        ----------
        settings
            As of `undoor.tasks.task.Task.settings`; empty where nothing follows from clean inputs.
        """
        return self.with_task(self.task.restored(settings)) if settings else self

    def for_shape(self, input_shape: tuple[int, ...]) -> Self:
        """Return a copy with shared weights for inputs of another shape, which it must take.

        Pictures are not resized to it: it is for inputs that are made from others.
        """
        other = shared_copy(self)
        other.input_shape = input_shape
        other.resizing = None
        return other

    def require_classes(self, what: str) -> None:
        """Refuse a model whose labels are no numbers of classes.

        Parameters
        ----------
        what
            The work that takes classes, for the message.

        Raises
        ------
        UndoorError
            It predicts numbers or sets of labels.
        """
        if not self.task.numbered:
            raise UndoorError(
                f"{what}: expected a model that predicts one class per input, got one for "
                f"{self.task.name}; scan, repair, evaluate, check and export it, and guard it with "
                "undoor.guard"
            )

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move the model, as `torch.nn.Module.to` does, and check that it runs there.

        Copies that share weights with this one (`limited`, `with_gain`) can no longer be used.

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
        """Return this classifier if it is on `device` already, and a copy there otherwise."""
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
        """Return the logits [N, num_outputs] of raw inputs [N, *input_shape] within `bounds`.

        Raises
        ------
        UndoorError
            The inputs lie on another device than the network; `predict` and `logits` move them.
        """
        require_same(self.device, x, "inputs")
        if self.counter is not None:
            self.counter.before_pass(len(x))
        with QuickGradients() if self.quick else nullcontext():
            return self._logits(self.network(self.normalised(self.entry(x))))

    def _logits(self, out: Tensor) -> Tensor:
        """Return the logits of what the network returns."""
        if self.output == "sigmoid" and not self._returns_log:
            out = logits_of(out)
        elif self.output == "probabilities" and not self._returns_log:
            out = out.clamp_min(MIN_PROBABILITY).log()
        # In float32: bfloat16 would be rounded a second time.
        return out if self.gain == 1.0 else out.float() * self.gain

    @torch.no_grad()
    def predict(self, x: Tensor, batch_size: int = 256) -> Tensor:
        """Return the predicted labels [N] of raw inputs [N, *input_shape].

        Parameters
        ----------
        x
            On any device; the labels are returned on the same one.
        batch_size
            How many inputs go through the network at a time, at most.

        Raises
        ------
        UndoorError
            It is no tensor of such inputs.
        """
        self.require_inputs(x)
        found = (self.task.predictions(self(batch)) for batch in self.batches(x, batch_size))
        return torch.cat([on(x.device, labels) for labels in found])

    @torch.no_grad()
    def predict_normalised(self, x: Tensor) -> Tensor:
        """Return the predicted labels [N] of inputs [N, ...] that are normalised already."""
        return self.task.predictions(self._logits(self.network(x)))

    @torch.no_grad()
    def logits(self, x: Tensor, batch_size: int | None = None) -> Tensor:
        """Return the logits [N, num_outputs] of raw inputs [N, *input_shape], without gradients.

        Parameters
        ----------
        x
            On any device; the logits are returned on the same one.
        batch_size
            How many inputs go through the network at a time, at most; None for all at once.

        Raises
        ------
        UndoorError
            It is no tensor of such inputs.
        """
        self.require_inputs(x)
        found = (self(batch) for batch in self.batches(x, batch_size or len(x)))
        return torch.cat([on(x.device, logits) for logits in found])

    def require_inputs(self, x: Tensor) -> None:
        """Refuse what is no batch of raw inputs; see `undoor.raw_inputs.require_inputs`."""
        require_inputs(x, self.input_shape, self.mean.dtype)

    def batches(self, x: Tensor, batch_size: int) -> Iterator[Tensor]:
        """Return the inputs in batches on the classifier's device.

        They hold `batch_size` inputs, or fewer where the capacity allows no more without gradients.
        """
        require_hint(batch_size, int, "batch_size")
        limit = self.capacity.inference if self.capacity else batch_size
        return (on(self.device, batch) for batch in x.split(max(1, min(batch_size, limit))))

    def fast_copy(self) -> Classifier:
        """Return a copy laid out for speed, as `undoor.device.memory_format` says for the device.

        Networks that take views of their activations, as by ``x.view(len(x), -1)``, may work in one
        memory layout only; their copy keeps it.
        """
        twin = detached_copy(self)
        twin.quick = has_strided_depthwise(twin.network)
        if self.memory_format != torch.channels_last:
            return twin
        for parameter in twin.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        if takes_channels_last(twin, self.level(2), maps=self.space.maps):
            return twin
        same = detached_copy(self)
        same.quick, same.channels_last = twin.quick, False
        return same

    @property
    def memory_format(self) -> torch.memory_format:
        """The memory layout in which searches keep images and activations."""
        return memory_format(self.device) if self.channels_last else torch.contiguous_format

    def fingerprint(self) -> str:
        """Return a SHA-256 over all that the predictions depend on.

        Scans and repairs are bound to it. It covers weights, input transform and resizing, modules
        with their settings, the graph of a file that brings one, and the code that no installed
        package has. It is equal for the same files in every process and on every machine. See
        `undoor.identity.model.ModelIdentity`.
        """
        return fingerprint(self)
