"""Run a network in several ways, on which its predictions must not depend."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import CPU, on, precise, shuffled
from undoor.scrutiny.doubt import Disagreement, first_line

# As shares of the range of the class scores: the error that rounding may cause in any network, in
# a network that magnifies it, and in half precision.
_ROUNDING, _MAX_ROUNDING, _GROSS = 1e-3, 0.03, 0.3
# How far inputs are moved, as a share of their range, to measure how a network magnifies rounding.
_NUDGE, _NUDGES = 3e-7, 20.0
MAX_INPUTS = 16
_SINGLES, _FEW = 12, 4
_SAME, _TINY = 1e-5, 1e-30
_OTHERS = "predictions depend on the other inputs of the batch"
# Errors of PyTorch about layers that take only one layout, or one type of numbers.
_OF_VIEWS = "view size is not compatible with input tensor's size and stride"
_OF_TYPES = re.compile("type|float|double|bf16|half|primitive", re.IGNORECASE)
Ask = Callable[[Tensor], Tensor]


def ask_briefly(classifier: Classifier, x: Tensor) -> Iterator[Disagreement]:
    """Yield whether predictions depend on chance or on the size of the batch, for four inputs.

    It serves commands that must not take long.
    """
    asked = Asked(classifier, x[:_FEW])
    yield from (*asked.repeated(), *asked.compared([asked.alone()]))[:1]


def rare_differences(classifier: Classifier, x: Tensor) -> Iterator[Disagreement]:
    """Yield as `Asked.differences` does, even if a single input shows the difference."""
    yield from Asked(classifier, x).differences(rare=True)


class Asked:
    """The class scores of some inputs, and other ways to compute them that must agree.

    They must agree up to rounding.

    Parameters
    ----------
    classifier
        The network as it was opened.
    x
        Raw inputs [N, ...], of which at most `MAX_INPUTS` are used.
    """

    def __init__(self, classifier: Classifier, x: Tensor) -> None:
        self.classifier, self.x = classifier, x[:MAX_INPUTS]
        self.expected = self._scores(self.x)
        self.range = float((self.expected - self.expected.mean()).abs().max())
        low, high = classifier.bounds
        draw = torch.Generator().manual_seed(0)
        nudge = (
            _NUDGE
            * (high - low)
            * on(self.x.device, torch.randn(self.x.shape, generator=draw, device=CPU))
        )
        change = float((self._scores(self.x + nudge) - self.expected).abs().max())
        self.rounding = max(
            _ROUNDING * self.range, min(_NUDGES * change, _MAX_ROUNDING * self.range)
        )

    def differences(self, rare: bool = False) -> Iterator[Disagreement]:
        """Yield all disagreements but those with later passes.

        Parameters
        ----------
        rare
            Whether a single input may be the only one that shows a disagreement.
        """
        staying = [n for n, m in self.classifier.network.named_modules() if m.training]
        if staying:
            some = ", ".join(name or "the network itself" for name in staying[:3])
            yield Disagreement("training", f"the network stays in training mode ({some})")
        random = self.repeated()
        if random:
            # All other comparisons would differ for the same reason.
            yield from random
            return
        yield from self.compared(self._ways())
        yield from self._coarsely(rare)

    def afterwards(self, later: Classifier | None) -> Iterator[Disagreement]:
        """Yield the disagreement with passes after those that were made so far.

        Parameters
        ----------
        later
            The same network after many more passes, if there is one.
        """
        if self.repeated():
            text = "scores depend on the number of earlier passes"
            yield self._disagreement("later", text, self._apart(self._scores(self.x)))
        elif later is not None and (apart := self._apart(self._scores(self.x, later))):
            yield self._disagreement("later", "scores have changed after many passes", apart)

    def repeated(self) -> tuple[Disagreement, ...]:
        """Return the disagreement between two equal passes, if there is one.

        Equal passes round alike, so that they agree almost exactly.
        """
        same = (self._scores(self.x) - self.expected for _ in range(2))
        largest = max(float(change.abs().max()) for change in same)
        if largest <= _SAME * self.range:
            return ()
        text = "two passes of the same inputs give different scores"
        return (self._disagreement("repeat", text, largest / max(self.range, _TINY)),)

    def compared(self, ways: Iterable[tuple[str, str, Ask]]) -> Iterator[Disagreement]:
        """Yield the disagreements with other ways of running the network, or their failures."""
        for code, text, f in ways:
            try:
                apart = self._apart(f(self.x))
            except Exception as error:
                yield Disagreement(code, f"{text}: there the network fails ({first_line(error)})")
                continue
            if apart:
                yield self._disagreement(code, text, apart)

    def alone(self) -> tuple[str, str, Ask]:
        """Return the way in which each input is a batch of its own."""
        return "batch", f"{_OTHERS} (batches of 1)", self._in_batches(1)

    def _ways(self) -> Iterator[tuple[str, str, Ask]]:
        yield self.alone()
        for size in (2, 7):
            yield "batch", f"{_OTHERS} (batches of {size})", self._in_batches(size)
        order = shuffled(len(self.x), torch.Generator().manual_seed(1), self.x.device)
        yield "order", "predictions depend on the order of the inputs", self._shuffled(order)
        yield (
            "gradients",
            "predictions depend on whether gradients are enabled",
            lambda x: self._scores(x, mode=torch.enable_grad()),
        )
        yield (
            "gradients",
            "predictions depend on whether the input requires a gradient",
            lambda x: self._scores(x.clone().requires_grad_(), mode=torch.enable_grad()),
        )
        yield (
            "inference_mode",
            "predictions depend on torch.inference_mode",
            lambda x: self._scores(x, mode=torch.inference_mode()),
        )
        for name, layout in _layouts(self.x, maps=self.classifier.space.maps):
            yield (
                "layout",
                f"predictions depend on how the input lies in memory ({name})",
                lambda x, y=layout: self._laid_out(y),  # type: ignore[misc]
            )

    def _coarsely(self, rare: bool) -> Iterator[Disagreement]:
        """Yield gross differences in other precisions: of most inputs, or of one if `rare`."""
        x = self.x if rare else self.x[:_FEW]
        for name, scores in (("autocast to bfloat16", self._half()), ("float64", self._double(x))):
            if scores is None:
                continue
            whole = len(scores) == len(self.x)
            single = self.expected if whole else self._scores(self.x[: len(scores)])
            apart = (scores - single).abs().amax(1)
            far = apart.max() if rare else apart.median()
            if not float(far) <= _GROSS * self.range:
                text = f"predictions depend on the precision ({name})"
                yield self._disagreement("precision", text, float(far) / max(self.range, _TINY))

    def _scores(
        self,
        x: Tensor,
        classifier: Classifier | None = None,
        mode: AbstractContextManager[object] | None = None,
    ) -> Tensor:
        """Return the class scores [N, K], or probabilities if the network returns these."""
        asked = classifier or self.classifier
        with torch.no_grad() if mode is None else mode:
            scores = asked(x)
        # NaN must differ from a number, but not from NaN.
        scores = precise(scores.detach()).nan_to_num(0.0, 0.0, 0.0)
        return asked.task.probabilities(scores) if asked.output == "probabilities" else scores

    def _laid_out(self, x: Tensor) -> Tensor:
        """Return the scores, or the expected ones if the network takes only one layout."""
        try:
            return self._scores(x)
        except RuntimeError as error:
            if _OF_VIEWS in str(error):
                return self.expected
            raise

    def _in_batches(self, size: int) -> Ask:
        count = _SINGLES if size == 1 else len(self.x)

        def asked(x: Tensor) -> Tensor:
            parts = [self._scores(part) for part in x[:count].split(size)]
            return torch.cat([*parts, self.expected[count:]])

        return asked

    def _shuffled(self, order: Tensor) -> Ask:
        return lambda x: self._scores(x[order])[order.argsort()]

    def _half(self) -> Tensor | None:
        try:
            # Layers that have no fast path in bfloat16 emit a warning.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._scores(self.x, mode=_autocast(self.x.device))
        except RuntimeError as error:
            _require_of_types(error)
            return None

    def _double(self, x: Tensor) -> Tensor | None:
        try:
            return self._scores(x.double(), copy.deepcopy(self.classifier).double())
        except (RuntimeError, TypeError) as error:
            _require_of_types(error)
            return None

    def _apart(self, scores: Tensor) -> float:
        """Return the largest difference as a share of the range; 0 if rounding explains it."""
        if scores.shape != self.expected.shape:
            return 1.0
        largest = float((scores - self.expected).abs().max())
        if largest <= self.rounding:
            return 0.0
        return largest / max(self.range, _TINY)

    @staticmethod
    def _disagreement(code: str, text: str, apart: float) -> Disagreement:
        return Disagreement(code, f"{text}: by {apart:.2g} of the range of the class scores")


def _require_of_types(error: Exception) -> None:
    """Raise the error unless it is about an operator that lacks a type of numbers."""
    if not _OF_TYPES.search(str(error)):
        raise error


def _autocast(device: torch.device) -> AbstractContextManager[object]:
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _layouts(x: Tensor, *, maps: bool) -> Iterator[tuple[str, Tensor]]:
    if maps:
        yield "channels last", x.contiguous(memory_format=torch.channels_last)
    yield "not contiguous", torch.stack([x, x], -1)[..., 0]
