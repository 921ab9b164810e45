"""The base class of tasks, which defines all that undoor needs to know about outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

# The lowest finite float32, instead of -inf, which JSON, CSV and many runtimes cannot hold.
LOWEST = torch.finfo(torch.float32).min


class Task(ABC):
    """The meaning of a network's outputs. It holds no state: one instance serves all models.

    A backdoor leads inputs to a *goal*: a class, a label that is switched on, an interval of
    values. Goals are numbered from 0 to G - 1. `outputs` are what `Classifier` returns, [N, K]:
    logits, even if the network returns probabilities; K need not equal G.

    Attributes
    ----------
    name
        The name of the task in files and messages.
    """

    name: ClassVar[str]

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

    def correct(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """Return whether predictions [N] equal the labels [N] of the inputs.

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
