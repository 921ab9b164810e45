"""The form of a task: all that the rest of undoor knows of what an output means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

# The lowest finite float32, in the place of -inf, which JSON, CSV and many runtimes cannot hold.
LOWEST = torch.finfo(torch.float32).min


class Task(ABC):
    """What the outputs of a network say. It holds no state: one instance serves all models.

    A backdoor leads inputs to a *goal*, and goals have numbers, 0 to G - 1: a class, a label that
    is switched on, an interval of values. `outputs` are what `Classifier` returns [N, K]: logits,
    also where the network gives probabilities; K need not be G.

    Attributes
    ----------
    name
        Under which files and messages speak of it.
    calibrated
        Whether the families' nulls were learned on models with this task. For others only the other
        goals of the same model say how small a trigger is.
    """

    name: ClassVar[str]
    calibrated: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    @abstractmethod
    def require(self, raw: object) -> Tensor:
        """Return what a network returned for some inputs, if it can be outputs of this task.

        Raises
        ------
        UndoorError
            It cannot; the message says what was expected.
        """

    @abstractmethod
    def goals(self, outputs: int) -> int:
        """G, of a network with so many outputs K."""

    @abstractmethod
    def answers(self, outputs: Tensor) -> Tensor:
        """Return what is answered [...] with outputs [..., K].

        In the form in which labels are given.
        """

    def reached(self, answers: Tensor, goal: int | Tensor) -> Tensor:
        """Return whether answers [...] (or labels) are a goal, one for all or one each.

        The share of triggered inputs for which they are is the ASR.
        """
        return answers == goal

    def correct(self, answers: Tensor, labels: Tensor) -> Tensor:
        """Return whether answers [N] are the inputs' own labels [N].

        The share is the accuracy, and of triggered inputs the SIA.
        """
        return answers == labels

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor, away: Tensor) -> Tensor:
        """Return what a search for triggers makes small [M, n], at least 0.

        Parameters
        ----------
        outputs
            [M, n, K], of n inputs under each of M candidates.
        labels
            [M, n]: the goal that each is to reach, or.
        away
            [M]: where this is true, the label that each is to leave, wherever it goes.
        """

    @abstractmethod
    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return how likely each goal is [N, G] by outputs [N, K], in a new tensor."""

    @abstractmethod
    def margin(self, outputs: Tensor, goal: int) -> Tensor:
        """Return how clearly a goal is the answer [N]; negative where it is not."""

    @abstractmethod
    def without(self, outputs: Tensor, *goals: int) -> Tensor:
        """Outputs [N, K], in a new tensor, whose answer is none of `goals`: the likeliest else.

        It is part of exported graphs: nothing is written in place, all numbers stay finite.
        """

    @abstractmethod
    def certainty(self, outputs: Tensor) -> Tensor:
        """Return how far outputs are from another answer [N]; 0 where two are equally good."""

    @abstractmethod
    def drawn_lead(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return how far each answer leads another one [N], drawn at random; differentiable."""

    @abstractmethod
    def spread(self, outputs: Tensor) -> float:
        """Return how far the outputs of clean inputs lie apart as a rule, by which networks of
        different temperature are made alike.

        Returns
        -------
        float
            It grows in proportion with the outputs; 0.0 where they do not differ.
        """
