"""Multi-label classification: each of L labels is on or off, whatever the others are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.device import CPU, on, precise
from undoor.distinct_names import names_of_classes
from undoor.errors import UndoorError
from undoor.output_forms.label_sets import MIN_LOGIT, NO_LABEL, LabelSets
from undoor.tasks.task import NATURAL_BARRED, Task
from undoor.vocabulary import REJECTED

# An answer that is turned over is a finite number.
MAX_LOGIT = 1e30
# How the names of goals begin.
OFF, ON = "without", "with"
# A margin counts up to so many times the usual logit, so that a search goes on where it is low.
ENOUGH = 1.5
# Another label is disturbed where less than this share of its logit is left.
LEFT = 0.5
# How much it counts that other labels are disturbed, and the parts of a usual logit that triggers
# are told apart by. Chosen on the models that nulls are learned from.
DISTURBED, PARTS = 0.5, 10.0


class MultiLabel(Task):
    """Goal 2 l is label l off, goal 2 l + 1 is label l on, where its logit is positive."""

    name = "multi-label"
    numbered = False
    at_one_size = True
    bars_all = True
    compares = True
    absolute = True
    in_code: ClassVar[str] = "labels = logits > 0  # of each label, whether it is on"

    def require(self, raw: object) -> Tensor:
        """Return outputs [N, L] with at least one label; refuse anything else."""
        if isinstance(raw, Tensor) and raw.dim() == 2 and raw.shape[1] >= 1:
            return raw
        got = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
        raise UndoorError(
            f"expected the network to return [N, labels], one logit per label, got {got}; wrap it "
            "in a module that returns these, and set output = 'sigmoid' where they are "
            "probabilities"
        )

    def goals(self, outputs: int) -> int:
        """Return two goals for each label."""
        return 2 * outputs

    def goal_names(self, names: Sequence[str] | None, outputs: int) -> Sequence[str]:
        """Return the names of the goals, from those of the labels.

        >>> MULTI_LABEL.goal_names(["cat", "dog"], 2)
        ['without cat', 'with cat', 'without dog', 'with dog']
        """
        labels = names_of_classes(names, outputs)
        return [f"{whether} {label}" for label in labels for whether in (OFF, ON)]

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return 1 for each label that is on, 0 for the others: [..., L]."""
        return (outputs > 0).long()

    def reached(self, predicted: Tensor, goal: int | Tensor) -> Tensor:
        """Return whether the label of the goal is on (or off) in predictions [..., L]: [...]."""
        goals = torch.as_tensor(goal, device=predicted.device).expand(predicted.shape[:-1])
        return predicted.gather(-1, (goals // 2)[..., None])[..., 0] == goals % 2

    def among(self, labels: Tensor, goals: Sequence[int]) -> Tensor:
        """Return whether labels [N, L] are at one of the goals: [N]."""
        wanted = torch.zeros(2 * labels.shape[1], dtype=torch.bool, device=labels.device)
        wanted[list(goals)] = True
        return ((labels == 1) & wanted[1::2] | (labels == 0) & wanted[::2]).any(1)

    def groups(self, labels: Tensor) -> Tensor:
        """Return the rarest label that is on, or L where none is: [N]."""
        count = labels.sum(0)
        rare = torch.where(labels == 1, count, len(labels) + 1)
        return torch.where(labels.sum(1) > 0, rare.argmin(1), labels.shape[1])

    def chance(self, labels: Tensor, goals: int) -> float:
        """Return the share of the commonest combination of labels."""
        return float(labels.unique(dim=0, return_counts=True)[1].max()) / len(labels)

    def correct(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """Return whether all labels [N, L] of an input are predicted: [N]."""
        return (predicted == labels).all(1)

    def withheld(self, predicted: Tensor, has_prediction: Tensor) -> Tensor:
        """Return predictions [N, L] with a mark in the place of those that there are not."""
        return super().withheld(predicted, has_prediction[:, None])

    def is_withheld(self, prediction: Any) -> bool:
        """Return whether a list of labels is that of `withheld`."""
        return bool(prediction[0] == REJECTED)

    def shown(self, prediction: Any, goal_names: Sequence[str]) -> str:
        """Return the labels that are on by their names.

        >>> names = MULTI_LABEL.goal_names(["cat", "dog", "cow"], 3)
        >>> MULTI_LABEL.shown([1, 0, 1], names), MULTI_LABEL.shown([0, 0, 0], names)
        ('cat, cow', 'no label')
        """
        on_names = goal_names[1::2]
        found = [name for name, is_on in zip(on_names, prediction, strict=True) if is_on]
        return ", ".join(name.removeprefix(f"{ON} ") for name in found) or NO_LABEL

    def output_form(self, names: Sequence[str] | None, outputs: int) -> LabelSets:
        """Return sets of labels with their names."""
        return LabelSets(names_of_classes(names, outputs))

    def required_labels(self, labels: Tensor, outputs: int) -> Tensor:
        """Return labels of 0 and 1 as int64 [N, L]."""
        found = labels if labels.dim() == 2 else labels[:, None]
        if found.shape[1] == outputs and bool(((found == 0) | (found == 1)).all()):
            return found.long()
        raise UndoorError(
            f"expected {outputs} labels of 0 or 1 for each input, [N, {outputs}], got labels of "
            f"shape {tuple(labels.shape)} from {float(labels.min()):g} to {float(labels.max()):g}; "
            "give a 1 for each label that is on, in the order of the model's outputs"
        )

    def loss(self, outputs: Tensor, labels: Tensor, away: Tensor) -> Tensor:
        """Return the binary cross-entropy of the label of each goal."""
        sign = _sign(labels) * (1 - 2 * away[:, None].long())
        return F.softplus(-sign * _logit(outputs, labels))

    def training_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean binary cross-entropy of all labels."""
        return F.binary_cross_entropy_with_logits(outputs, labels.to(outputs.dtype))

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each label to be off and to be on: [N, 2 L]."""
        return torch.stack([(-outputs).sigmoid(), outputs.sigmoid()], 2).flatten(1)

    def margin(self, outputs: Tensor, goal: int) -> Tensor:
        """Return the logit of the goal's label, or of a label off its negative: [N].

        >>> MULTI_LABEL.margin(torch.tensor([[3.0, -1.0]]), 2)
        tensor([1.])
        """
        return (2 * (goal % 2) - 1) * outputs[:, goal // 2]

    def margins(self, outputs: Tensor, goals: Sequence[int], clean: Tensor | None = None) -> Tensor:
        """Return how clearly n inputs under each trigger go to its goal and nothing else: [M, n].

        The logit, up to a bound, less what other labels lose of theirs: natural triggers make an
        input look like something else, a planted one turns a label over and leaves the others.
        """
        numbers = torch.tensor(goals, device=CPU)
        numbers = on(outputs.device, numbers)[:, None].expand(outputs.shape[:2])
        margin = _sign(numbers) * _logit(outputs, numbers)
        if clean is None:
            return margin
        return margin.clamp(max=ENOUGH * float(_usual(clean))) - _disturbed(outputs, clean, numbers)

    def clearness(
        self,
        outputs: Tensor,
        barred: Tensor | None,
        goals: Sequence[int],
        *,
        unit: float,
        clean: Tensor | None = None,
    ) -> Tensor:
        """Return how far triggers move a label where no clean input's labels lie, and no other.

        How far the logit rises without the part of the features' change in which clean inputs
        differ by any of their labels, less a part of what other labels lose as the network is.
        """
        assert clean is not None
        if barred is None:
            return torch.full((len(goals),), NATURAL_BARRED, device=outputs.device)
        numbers = on(outputs.device, torch.tensor(goals, device=CPU))[:, None]
        numbers = numbers.expand(outputs.shape[:2])
        moved = _sign(numbers) * (_logit(barred, numbers) - _logit(clean, numbers))
        lost = _disturbed(outputs, clean, numbers)
        return PARTS * (moved - DISTURBED * lost).mean(1) / unit

    def own_margins(self, outputs: Tensor) -> Tensor:
        """Return how clearly each label is predicted: [N L]."""
        return outputs.abs().flatten()

    def without(self, outputs: Tensor, *goals: int) -> Tensor:
        """Return the outputs with the label of each goal turned over where it is at the goal."""
        columns = torch.arange(outputs.shape[1], device=outputs.device)
        for goal in goals:
            turned = (1 - 2 * (goal % 2)) * outputs.abs().clamp(MIN_LOGIT, MAX_LOGIT)
            outputs = torch.where(columns == goal // 2, turned, outputs)
        return outputs

    def certainty(self, outputs: Tensor) -> Tensor:
        """Return how far the label is from being turned over that is the nearest to it: [N]."""
        return outputs.abs().amin(1)

    def drawn_lead(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return how far a label, drawn at random, is from being turned over: [N]."""
        count = outputs.shape[1]
        drawn = torch.randint(0, count, (len(outputs), 1), generator=generator, device=CPU)
        return outputs.abs().gather(1, on(outputs.device, drawn))[:, 0]

    def spread(self, outputs: Tensor) -> float:
        """Return the median of the logits without their signs."""
        scale = float(precise(outputs).abs().median())
        return scale if math.isfinite(scale) else 0.0


def _sign(goals: Tensor) -> Tensor:
    return 2 * (goals % 2) - 1


def _usual(clean: Tensor) -> Tensor:
    """Return the median of logits without their signs, above 0."""
    return clean.abs().median().clamp_min(MIN_LOGIT)


def _disturbed(outputs: Tensor, clean: Tensor, goals: Tensor) -> Tensor:
    """Return what labels other than that of the goals [M, n] lose of their logits [M, n, L]."""
    lost = (LEFT * clean.abs() - clean.sign() * outputs).clamp_min(0)
    return lost.scatter(-1, (goals // 2)[..., None], 0.0).sum(-1)


def _logit(outputs: Tensor, goals: Tensor) -> Tensor:
    """Return the logits [...] of the labels of goals [...] in outputs [..., L]."""
    return outputs.gather(-1, (goals // 2)[..., None])[..., 0]


MULTI_LABEL = MultiLabel()
