"""The base class of output forms: what servers need to know of a task, without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from undoor.vocabulary import FLAG, REJECTED

Array: TypeAlias = NDArray[Any]
# A prediction as JSON has it: the number of a class, a number, or for each label 0 or 1.
Plain: TypeAlias = int | float | list[int]
NONE = -1


class OutputForm(ABC):
    """What outputs [N, K] of a guarded model mean, for those who answer requests with them.

    A task (`undoor.tasks.task.Task.output_form`) says which form its outputs have; exported files
    carry it as JSON. Labels are predictions [N, ...], each with a mark in the place of those that
    there are not; goals are those of the task.

    Attributes
    ----------
    kind
        The name of the form in files and answers.
    datatype
        Of labels, as the Open Inference Protocol names it.
    unit
        What a predicted number is; None for all else.
    """

    kind: ClassVar[str]
    datatype: ClassVar[str] = "INT64"
    unit: str | None
    # In the place of a label that there is not.
    no_label: ClassVar[int | None] = None

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """The number K of outputs."""

    @property
    @abstractmethod
    def num_goals(self) -> int:
        """The number of goals."""

    @property
    def label_shape(self) -> tuple[int, ...]:
        """The shape of one label; () for a number."""
        return ()

    @abstractmethod
    def predictions(self, outputs: Array) -> Array:
        """Return the labels [N, ...] of outputs [N, K]."""

    @abstractmethod
    def reached(self, labels: Array, goal: int) -> Array:
        """Return which labels [N, ...] are at a goal: [N]. Those withheld are at none."""

    def among(self, labels: Array, goals: Sequence[int]) -> Array:
        """Return which labels [N, ...] are at one of the goals: [N]."""
        return np.asarray(self.first_of(labels, goals) != NONE)

    def first_of(self, labels: Array, goals: Sequence[int]) -> Array:
        """Return the first of the goals that each of labels [N, ...] is at: [N], `NONE` for none.

        In the order of the goals, as the guard asks one after the other.
        """
        found = np.full(len(labels), NONE, np.int64)
        for goal in reversed(goals):
            found[self.reached(labels, goal)] = goal
        return found

    def withheld(self, labels: Array, rows: Array) -> Array:
        """Return labels [N, ...] with the mark in those `rows` [N] that have no prediction."""
        labels = labels.copy()
        labels[rows] = REJECTED
        return labels

    @abstractmethod
    def blank(self, goals: Sequence[int]) -> Array:
        """Return the outputs [K], float32, of an input without a prediction that exclude goals.

        They are those of `undoor.decision.blank_logits`.
        """

    @abstractmethod
    def are_blank(self, outputs: Array, score: Array, goals: Sequence[int]) -> Array:
        """Return which outputs [N, K] of flagged inputs, with their scores [N], are no prediction.

        Parameters
        ----------
        goals
            Those that are guarded.
        """

    @abstractmethod
    def at(self, goal: int) -> Array:
        """Return outputs [K], float32, that are at a goal."""

    def shows_blank(self, goal: int) -> bool:
        """Return whether outputs that exclude a goal differ from those that are no prediction."""
        del goal
        return True

    def excluded(self, blank: Array) -> str:
        """Return which goals outputs [K] of no prediction exclude, for a message."""
        return f"others, whose outputs are {blank.tolist()} without a prediction"

    def flagged_by(
        self, outputs: Array, model_labels: Array | None, targets: Sequence[int], policy: str
    ) -> Array:
        """Return the target whose guard flagged each input [N], `NONE` where that is not known.

        Parameters
        ----------
        outputs
            [N, K], guarded, of inputs that are flagged.
        model_labels
            [N, ...], those of the model alone; None where they are not known.
        targets
            That are guarded, in the order of the guard.
        """
        if model_labels is None and policy == FLAG:
            model_labels = self.predictions(outputs)
        if model_labels is not None:
            return self.first_of(model_labels, targets)
        return np.full(len(outputs), targets[0] if len(targets) == 1 else NONE, np.int64)

    def alone(
        self, labels: Array, model_labels: Array | None, flagged: Array, targets: Array
    ) -> Array:
        """Return what the model alone predicts [N, ...], withheld where that is not known.

        Parameters
        ----------
        labels
            [N, ...], guarded.
        model_labels
            As for `flagged_by`.
        flagged
            [N], whether an input is flagged.
        targets
            [N], what `flagged_by` returned of those that are, `NONE` of the others.
        """
        return self.withheld(labels, flagged) if model_labels is None else model_labels

    @abstractmethod
    def plain(self, label: Any) -> Plain | None:
        """Return one label as JSON; None where it is withheld."""

    @abstractmethod
    def shown(self, plain: object) -> str | None:
        """Return what `plain` returned as people read it; None where it is no such label."""

    def details(self, outputs: Array, label: Any) -> dict[str, Any]:
        """Return what more is said of one prediction, as JSON; nothing of a class.

        Parameters
        ----------
        outputs
            [K], guarded.
        label
            One label, or the mark.
        """
        del outputs, label
        return {}

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the form as exported files hold it, without its kind."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
