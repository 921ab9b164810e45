"""The base class of tasks, which defines all that undoor needs to know about outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from undoor.device import indices
from undoor.output_forms.output_form import OutputForm
from undoor.vocabulary import REJECTED

# The lowest finite float32, instead of -inf, which JSON, CSV and many runtimes cannot hold.
LOWEST = torch.finfo(torch.float32).min
# The margin of a natural trigger that may not use the natural direction of its class.
NATURAL_BARRED = -1.0


class Task(ABC):
    """The meaning of a network's outputs.

    One instance serves all models, except where goals follow from the clean inputs (`fitted`).

    A backdoor leads inputs to a *goal*: a class, a label that is switched on, an interval of
    values. Goals are numbered from 0 to G - 1. `outputs` are what `Classifier` returns, [N, K]:
    logits, even if the network returns probabilities; K need not equal G. Labels are [N, ...], in
    the form of predictions; an input may be at several goals at once.

    Attributes
    ----------
    name
        The name of the task in files and messages.
    numbered
        Whether labels are numbers of goals. They are numbers or rows of numbers otherwise, and no
        class names are matched.
    scores
        Whether outputs are scores, of which it is checked that they are logits or probabilities as
        promised.
    at_one_size
        Whether triggers of one size alone are searched for, and no smallest ones.
    directed
        Whether each goal has a direction among the features of clean inputs
        (`undoor.inversion.class_directions`).
    bars_all
        Whether the natural directions of all goals are barred where a margin is measured, and not
        that of the goal alone.
    compares
        Whether margins compare outputs with those of the same inputs without a trigger.
    collapses
        Whether a margin says by itself that a trigger leads all inputs to one place, so that it
        counts as it is, and not by how much it rises.
    absolute
        Whether the other goals of a model do not count beside the margin of one
        (`undoor.families.null.Null`).
    in_code
        A line of Python that makes predictions of ``logits``, an array of NumPy or torch.
    """

    name: ClassVar[str]
    numbered: ClassVar[bool] = True
    scores: ClassVar[bool] = True
    at_one_size: ClassVar[bool] = False
    directed: ClassVar[bool] = True
    bars_all: ClassVar[bool] = False
    compares: ClassVar[bool] = False
    collapses: ClassVar[bool] = False
    absolute: ClassVar[bool] = False
    in_code: ClassVar[str] = "labels = logits.argmax(1)"

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    @abstractmethod
    def require(self, raw: object) -> Tensor:
        """Return what a network returned, if it can be outputs of this task.

        Raises
        ------
        UndoorError
            It cannot be; the message says what was expected.
        """

    @abstractmethod
    def goals(self, outputs: int) -> int:
        """Return the number of goals G of a network with K outputs."""

    @abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the predictions [...] of outputs [..., K], in the form of labels."""

    def reached(self, predicted: Tensor, goal: int | Tensor) -> Tensor:
        """Return whether predictions (or labels) [...] equal a goal, one for all or one for each.

        The share of triggered inputs for which they do is the attack success rate (ASR).
        """
        return predicted == goal

    def among(self, labels: Tensor, goals: Sequence[int]) -> Tensor:
        """Return whether labels (or predictions) [N, ...] equal one of the goals: [N]."""
        return torch.isin(labels, indices(goals, labels.device))

    def overlap(self, goal: int, other: int) -> bool:
        """Return whether a prediction can be at both goals, which one trigger then leads to."""
        return goal == other

    def groups(self, labels: Tensor) -> Tensor:
        """Return the group [N] of each of labels [N, ...], from 0: samples are drawn from each."""
        return labels

    def chance(self, labels: Tensor, goals: int) -> float:
        """Return the accuracy on labels [N, ...] of what does not look at its input, in [0, 1]."""
        return 1 / goals

    def error(self, predicted: Tensor, labels: Tensor) -> Tensor | None:
        """Return how far predictions are from labels [N], NaN without a prediction.

        None where predictions are right or wrong and nothing between.
        """
        return None

    def outcome(self, predicted: Tensor) -> tuple[float, float] | None:
        """Return what predictions [N] of triggered inputs have in common.

        Of numbers, their median and the distance from it within which nine in ten lie; None where
        a goal says all there is.
        """
        return None

    def withheld(self, predicted: Tensor, has_prediction: Tensor) -> Tensor:
        """Return predictions [N, ...] with a mark in the place of those that there are not."""
        return predicted.masked_fill(~has_prediction, REJECTED)

    def is_withheld(self, prediction: Any) -> bool:
        """Return whether a plain number, or a list of some, is the mark of `withheld`."""
        return bool(prediction == REJECTED)

    def shown(self, prediction: Any, goal_names: Sequence[str]) -> str:
        """Return a prediction, a plain number or a list of some, as people read it.

        Parameters
        ----------
        prediction
            Of one input, and not withheld.
        goal_names
            The names of all goals.
        """
        return goal_names[prediction]

    def goal_names(self, names: Sequence[str] | None, outputs: int) -> Sequence[str] | None:
        """Return the name of each goal, from the names that the user gave; None for numbers."""
        return names

    def output_form(self, names: Sequence[str] | None, outputs: int) -> OutputForm | None:
        """Return what the outputs mean to servers, which work without torch.

        None, as here, where they are in no form that servers know: such models are not served.

        Parameters
        ----------
        names
            Those that the user gave, as for `goal_names`.
        outputs
            The number K of outputs.
        """
        return None

    def fitted(self, outputs: Tensor, labels: Tensor) -> Self:
        """Return the task with what follows from clean inputs: their outputs [N, K] and labels."""
        return self

    def restored(self, settings: Mapping[str, float]) -> Self:
        """Return the task with what another one, `fitted`, has as `settings`."""
        return self

    @property
    def settings(self) -> dict[str, float]:
        """What followed from clean inputs, by name; empty where nothing does."""
        return {}

    @property
    def unit(self) -> float:
        """A change of an output that counts: 1 for logits."""
        return 1.0

    def required_labels(self, labels: Tensor, outputs: int) -> Tensor:
        """Return labels that are not numbers of goals in the form of predictions.

        Parameters
        ----------
        labels
            Numbers [N] or [N, L] as they were given.
        outputs
            The number K of outputs of the network.

        Raises
        ------
        UndoorError
            They cannot be labels; the message says what was expected.
        """
        return labels

    def correct(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """Return whether predictions [N, ...] are the labels of the inputs: [N].

        The share is the accuracy; of triggered inputs, the robust accuracy (the paper's SIA).
        """
        return predicted == labels

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor, away: Tensor) -> Tensor:
        """Return the loss [M, n] that a search for triggers minimises, at least 0.

        Parameters
        ----------
        outputs
            [M, n, K], of n inputs with each of M candidate triggers.
        labels
            [M, n], the goal that each input is to reach, or the label that it is to leave.
        away
            [M], whether inputs are to leave their labels, for any other goal.
        """

    @abstractmethod
    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each goal [N, G] for outputs [N, K], in a new tensor."""

    @abstractmethod
    def margin(self, outputs: Tensor, goal: int) -> Tensor:
        """Return how clearly a goal is predicted [N]; negative where it is not."""

    def margins(self, outputs: Tensor, goals: Sequence[int], clean: Tensor | None = None) -> Tensor:
        """Return how clearly n inputs under each of M triggers go to its goal: [M, n].

        Parameters
        ----------
        outputs
            [M, n, K].
        goals
            One for each trigger.
        clean
            [M, n, K], of the same inputs without a trigger; of tasks that compare.
        """
        if len(set(goals)) == 1:  # All at once.
            return self.margin(outputs.flatten(0, 1), goals[0]).view(outputs.shape[:2])
        pairs = zip(outputs, goals, strict=True)
        return torch.stack([self.margin(each, goal) for each, goal in pairs])

    def clearness(
        self,
        outputs: Tensor,
        barred: Tensor | None,
        goals: Sequence[int],
        *,
        unit: float,
        clean: Tensor | None = None,
    ) -> Tensor:
        """Return how clearly each of M triggers leads to its goal, beside natural ones: [M].

        The mean margin, twice: as the network is, and with the goal's natural direction barred.

        Parameters
        ----------
        outputs
            [M, n, K].
        barred
            The same where directions are barred; None where they are not known, which natural
            triggers would not do better than.
        goals, clean
            As of `margins`.
        unit
            What margins are measured in.
        """
        found = self.margins(outputs, goals, clean).mean(1) / unit
        if barred is None:
            return found + NATURAL_BARRED
        return found + self.margins(barred, goals, clean).mean(1) / unit

    def own_margins(self, outputs: Tensor) -> Tensor:
        """Return the margins of what inputs are predicted as, in one dimension."""
        return self.certainty(outputs)

    def training_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of outputs [N, K] that are to predict labels [N, ...]."""
        return self.loss(outputs[None], labels[None], labels.new_zeros(1, dtype=torch.bool)).mean()

    @abstractmethod
    def without(self, outputs: Tensor, *goals: int) -> Tensor:
        """Return outputs [N, K] whose prediction is the likeliest goal that is not in `goals`.

        The tensor is new. The method is part of exported graphs: it writes nothing in place, and
        all numbers stay finite.
        """

    @abstractmethod
    def certainty(self, outputs: Tensor) -> Tensor:
        """Return how far outputs are from another prediction [N]; 0 for a tie."""

    @abstractmethod
    def drawn_lead(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return by how much each prediction leads another goal, drawn at random: [N].

        The lead is differentiable.
        """

    @abstractmethod
    def spread(self, outputs: Tensor) -> float:
        """Return the typical spread of the outputs [N, K] of clean inputs.

        Networks of different temperature are made comparable by it.

        Returns
        -------
        float
            Proportional to the scale of the outputs; 0.0 if they do not differ.
        """
