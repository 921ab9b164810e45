"""Single-label classification: the class with the highest of K logits is predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.device import CPU, on, precise
from undoor.distinct_names import names_of_classes
from undoor.errors import UndoorError
from undoor.output_forms.classes import Classes
from undoor.tasks.task import LOWEST, Task
from undoor.vocabulary import DEFAULT_TASK

MIN_CLASSES = 2
# Gaps between a logit and the highest one are clipped to this multiple of their median.
MAX_GAP = 2.0


class SingleLabel(Task):
    """The goals are the classes, of which each has a logit."""

    name = DEFAULT_TASK

    def require(self, raw: object) -> Tensor:
        """Return outputs [N, K] with at least two classes; refuse anything else."""
        if isinstance(raw, Tensor) and raw.dim() == 2 and raw.shape[1] >= MIN_CLASSES:
            return raw
        got = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
        raise UndoorError(
            f"expected the network to return [N, classes] with at least {MIN_CLASSES} classes, "
            f"got {got}; wrap it in a module that returns only the class scores, or "
            "{'logits': scores}; of a network with one score for yes or no, say output = 'logit' "
            "or 'probability'"
        )

    def goals(self, outputs: int) -> int:
        """Return the number of classes, which is that of the outputs."""
        return outputs

    def output_form(self, names: Sequence[str] | None, outputs: int) -> Classes:
        """Return classes with their names."""
        return Classes(names_of_classes(names, outputs))

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the class [...] with the highest of the logits [..., K]."""
        return outputs.argmax(outputs.dim() - 1)

    def loss(self, outputs: Tensor, labels: Tensor, away: Tensor) -> Tensor:
        """Return the cross-entropy towards a class, or towards any class but one."""
        named = F.one_hot(labels, outputs.shape[2]).bool()
        counted = named ^ away[:, None, None]
        return outputs.logsumexp(2) - outputs.masked_fill(~counted, -torch.inf).logsumexp(2)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the softmax of the logits [N, K]."""
        return outputs.softmax(1)

    def margin(self, outputs: Tensor, goal: int) -> Tensor:
        """Return the logit of `goal` minus the largest other one: [N].

        >>> SINGLE_LABEL.margin(torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 5.0]]), 0)
        tensor([ 2., -5.])
        """
        return outputs[:, goal] - self.without(outputs, goal).amax(1)

    def without(self, outputs: Tensor, *goals: int) -> Tensor:
        """Return the outputs with the logits of `goals` set to `LOWEST`."""
        columns = torch.arange(outputs.shape[1], device=outputs.device)
        for goal in goals:
            outputs = outputs.masked_fill(columns == goal, LOWEST)
        return outputs

    def certainty(self, outputs: Tensor) -> Tensor:
        """Return the highest logit minus the second highest: [N]."""
        highest = outputs.topk(2).values
        return highest[:, 0] - highest[:, 1]

    def drawn_lead(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return the highest logit minus that of another class, drawn at random: [N]."""
        classes = outputs.shape[1]
        top = self.predictions(outputs)
        step = torch.randint(1, classes, (len(outputs),), generator=generator, device=CPU)
        other = (top + on(top.device, step)) % classes
        return (outputs.gather(1, top[:, None]) - outputs.gather(1, other[:, None]))[:, 0]

    def spread(self, outputs: Tensor) -> float:
        """Return the median over inputs of the standard deviation over classes.

        Gaps to the highest logit are clipped, so that one class with a logit of -1e6 does not hide
        the others. A constant added to all logits of an input changes nothing.

        >>> logits = torch.tensor([[4.0, 0.0], [-2.0, 2.0]])
        >>> spread = SINGLE_LABEL.spread(logits)
        >>> spread, round(SINGLE_LABEL.spread(1e-6 * logits + 1) / spread, 7)
        (2.0, 1e-06)
        """
        z = precise(outputs)
        gaps = z.amax(1, keepdim=True) - z
        # Without the highest logit itself, whose gap is 0.
        median = gaps.sort(1).values[:, 1:].quantile(0.5, 1, keepdim=True)
        spread = gaps.minimum(MAX_GAP * median).std(1, correction=0)
        scale = float(spread.median()) or float(spread.mean())
        return scale if math.isfinite(scale) else 0.0


SINGLE_LABEL = SingleLabel()
