"""Traces of a pass: each operator, and which values are computed from the input.

Modules, exported graphs and TorchScript are traced alike, since all of them run the operators of
PyTorch, which `TorchDispatchMode` reports one by one.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from undoor.classifier import Classifier
from undoor.scrutiny.operator_calls import combined_numbers, is_random, written_arguments
from undoor.scrutiny.operators import CONSTANTS, SELECTS, VIEWS, base

_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parent)
_CLASSIFIER = str(Path(__file__).parent.parent / "classifier.py")
_INPUT_TRANSFORM = str(Path(__file__).parent.parent / "input_transform.py")
# Lines of these are no lines of the network's.
_OTHER_CODE = (_TORCH, _HERE, _CLASSIFIER, _INPUT_TRANSFORM)
_MAX_FRAMES = 200
# What is done with the token ids of a text in ordinary networks: beside views, these alone.
EMBEDDING = "embedding"
ROUND = "round"
IDS = frozenset({EMBEDDING, ROUND})
# What undoor does with raw ids before it rounds them. Behind that, where a network begins, a bound
# would make words and padding one.
RAW_IDS = frozenset({"clamp", "nan_to_num"})
PADDING = frozenset({"eq", "ne"})


@dataclass(frozen=True, eq=False)
class Step:
    """One call of an operator in a pass.

    Attributes
    ----------
    space, name
        Name of the operator in two parts, such as "aten" and "relu".
    function, args, kwargs
        The operator and its arguments.
    inputs, outputs
        The tensors among arguments and results, including those written in place.
    follows
        For each of `inputs`, whether it holds values computed from the input.
    numbers
        Other numbers with which values of the input are combined.
    with_gradient
        Whether gradients were enabled.
    cut
        Whether values of the input lack a gradient, though one is required.
    random
        Whether it draws random numbers.
    changed_state
        Whether it writes to weights or buffers.
    computes_with_ids
        Whether it computes something of the token ids of a text.
    where
        Module and source line.
    """

    space: str
    name: str
    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    follows: tuple[bool, ...]
    numbers: tuple[float, ...]
    with_gradient: bool
    cut: bool
    random: bool
    changed_state: bool
    computes_with_ids: bool
    where: str

    @property
    def from_input(self) -> bool:
        """Whether any of the inputs holds values computed from the input."""
        return any(self.follows)


@dataclass(frozen=True, eq=False)
class Trace:
    """A pass of a network.

    Attributes
    ----------
    steps
        The calls of operators, in order.
    live
        For each step, whether the class scores depend on it.
    x
        The inputs [N, ...].
    output
        The class scores [N, K]; None if the pass returned no tensor.
    connected
        Whether the class scores depend on the input.
    """

    steps: tuple[Step, ...]
    live: tuple[bool, ...]
    x: Tensor
    output: Tensor | None
    connected: bool

    def living(self) -> Iterator[tuple[int, Step]]:
        """Yield the steps that the class scores depend on, with their places."""
        return ((i, s) for i, s in enumerate(self.steps) if self.live[i])


def trace(network: nn.Module, x: Tensor, *, gradients: bool = False) -> Trace:
    """Follow one pass of inputs x [N, ...] through `network`.

    Parameters
    ----------
    gradients
        Whether gradients are enabled in the pass.
    """
    x = x.detach().clone().requires_grad_(gradients)
    watch = _Watch(network, x)
    with torch.set_grad_enabled(gradients), _one_way(), watch:
        output = network(x)
    output = output if isinstance(output, Tensor) else None
    key = None if output is None else storage(output)
    live = _live(watch.steps, key)
    return Trace(tuple(watch.steps), live, x, output, key in watch.reached)


def storage(tensor: Tensor) -> int:
    """Return the address of a tensor's numbers, which views of one another share."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return id(tensor)


@contextmanager
def _one_way() -> Iterator[None]:
    """Switch off the fast path of nn.TransformerEncoder, which depends on the gradient mode."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _live(steps: list[Step], output: int | None) -> tuple[bool, ...]:
    wanted = set() if output is None else {output}
    live = []
    for step in reversed(steps):
        here = any(storage(t) in wanted for t in step.outputs)
        if here:
            wanted.update(storage(t) for t in step.inputs)
        live.append(here)
    return tuple(reversed(live))


class _Watch(TorchDispatchMode):
    """Records the operators that run, and marks values computed from the input."""

    supports_higher_order_operators = True

    def __init__(self, network: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.x = x
        self.steps: list[Step] = []
        self.names = {id(m): name for name, m in network.named_modules()}
        # Storages that hold values of the input, perhaps among others; and tensors that hold
        # nothing else.
        self.pad = _pad_of(network)
        # The token ids of a text, as such: what they are embedded as are the values of the input.
        self.ids = set() if self.pad is None else {storage(x)}
        self.rounded = False
        # Where the padding is, and what follows from that alone: shares of words, for instance.
        self.padding: set[int] = set()
        self.reached = {storage(x)} - self.ids
        self.computed: set[int] = set()
        state = (*network.parameters(), *network.buffers())
        self.state = {storage(tensor) for tensor in state} - {0}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if isinstance(function, torch._ops.HigherOrderOperator):
            return self._inside(function, args, kwargs)
        inputs = tuple(t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor))
        odd = any(storage(t) in self.ids for t in inputs) and not self._takes_ids(function, args)
        reached = self.reached | self.ids if odd else self.reached
        follows = tuple(storage(t) in reached for t in inputs)
        cut = self._is_cut(function, inputs)
        # Before the call, which may change its arguments in place.
        varies = tuple(
            f or storage(t) in self.padding for t, f in zip(inputs, follows, strict=True)
        )
        numbers = combined_numbers(function, args, inputs, varies) if any(follows) else ()
        with_gradient = torch.is_grad_enabled()
        out = function(*args, **kwargs)
        outputs = tuple(t for t in tree_leaves(out) if isinstance(t, Tensor))
        written = written_arguments(function, args, kwargs)
        outputs = (*outputs, *(t for t in written if all(t is not o for o in outputs)))
        space, _, name = function._schema.name.partition("::")
        self._follow_ids(base(name), inputs, outputs)
        if any(follows) and name not in CONSTANTS:
            self.reached.update(key for t in outputs if (key := storage(t)))
            self.computed.update(id(t) for t in outputs)
        changed = any(storage(t) in self.state for t in written)
        self.steps.append(
            Step(
                space,
                name,
                function,
                tuple(args),
                dict(kwargs),
                inputs,
                outputs,
                follows,
                numbers,
                with_gradient,
                cut,
                is_random(function, args, kwargs),
                changed,
                odd,
                self._where(),
            )
        )
        return out

    def _takes_ids(self, function: Any, args: Any) -> bool:
        """Return whether a step only embeds token ids, rearranges them, or finds the padding."""
        name = base(function._schema.name.partition("::")[2])
        if name in PADDING:
            return args[1] == self.pad
        if name in RAW_IDS:
            return not self.rounded
        return name in IDS | VIEWS | SELECTS | CONSTANTS

    def _follow_ids(
        self, name: str, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
    ) -> None:
        """Remember where token ids are, and the values that they are embedded as."""
        if not any(storage(t) in self.ids | self.padding for t in inputs):
            return
        found = {key for t in outputs if (key := storage(t))}
        if name == EMBEDDING:
            self.reached.update(found)
            self.computed.update(id(t) for t in outputs)
        elif name in IDS | RAW_IDS | VIEWS | SELECTS and any(
            storage(t) in self.ids for t in inputs
        ):
            self.ids.update(found)
            self.rounded |= name == ROUND
        else:
            self.padding.update(found)

    def _is_cut(self, function: Any, inputs: tuple[Tensor, ...]) -> bool:
        """Return whether values of the input lack a gradient, though one is required."""
        return self.x.requires_grad and any(
            t.is_floating_point() and not t.requires_grad and function is not _DETACH
            for t in inputs
            if id(t) in self.computed
        )

    def _inside(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Trace a part that runs in another mode as if it were inlined."""
        with self:
            return _run_part(function, args, kwargs)

    def _where(self) -> str:
        frame, module, line = sys._getframe(2), None, None
        for _ in range(_MAX_FRAMES):
            if frame is None or (module is not None and line is not None):
                break
            file = frame.f_code.co_filename
            if line is None and not file.startswith(_OTHER_CODE):
                line = _line(file, frame.f_lineno)
            if module is None and file != _CLASSIFIER and frame.f_code.co_name == "forward":
                module = self.names.get(id(frame.f_locals.get("self")))
            frame = frame.f_back  # type: ignore[assignment]
        return ", ".join(part for part in (module, line) if part) or "the network itself"


def _pad_of(network: nn.Module) -> int | None:
    """Return the id of padding of a text model; None of other models."""
    known = isinstance(network, Classifier) and network.tokenizer
    return known.pad_id if known else None


_DETACH = torch.ops.aten.detach.default


def _run_part(function: Any, args: Any, kwargs: Any) -> Any:
    """Run a part of an exported program in its gradient mode."""
    place = next(i for i, argument in enumerate(args) if callable(argument))
    part, rest = args[place], args[place + 1 :]
    if function.name() == "wrap_with_set_grad_enabled":
        with torch.set_grad_enabled(args[0]):
            return part(*rest, **kwargs)
    return part(*rest, **kwargs)


def _line(file: str, number: int) -> str:
    if file.startswith("<"):  # of a graph, whose lines are its nodes
        text = linecache.getline(file, number).partition("=")[0].strip()
        return f"node {text}" if text.isidentifier() else "the graph"
    return f"{Path(file).name}:{number}"
