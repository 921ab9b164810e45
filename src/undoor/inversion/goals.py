"""The classes that triggers are searched towards, where those are not all of a model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from undoor.device import CPU, shuffled

# Of more classes than this, only those are searched that cheap statistics put first
# (`undoor.inversion.ranking`), with so many others, drawn at random, beside them.
MAX_TRIED = 200
FRONT = 12
RANKED_CONTROL = 12
# Beside the classes that are asked for, so many others, drawn at random, to compare with.
CONTROL = 6


@dataclass(frozen=True)
class Goals:
    """Some classes of a model.

    Attributes
    ----------
    asked
        Those that are searched for the sake of the verdict, in class order.
    control
        Others, drawn at random: what a trigger of those that are asked for is compared with. They
        are searched in the same way, so that a trigger towards one of them is reported, too.
    ranked
        Whether cheap statistics ask for them, in the place of a user.
    """

    asked: tuple[int, ...]
    control: tuple[int, ...] = ()
    ranked: bool = False

    @property
    def searched(self) -> tuple[int, ...]:
        """All of them, in class order."""
        return tuple(sorted({*self.asked, *self.control}))


def number_searched(classes: int) -> int:
    """Return how many of so many classes are searched where none are asked for.

    >>> number_searched(172), number_searched(1000)
    (172, 24)
    """
    return classes if classes <= MAX_TRIED else FRONT + RANKED_CONTROL


def with_control(
    asked: Sequence[int], classes: int, generator: torch.Generator, count: int = CONTROL
) -> Goals:
    """Return the classes that are asked for, with `count` others to compare with.

    Parameters
    ----------
    asked
        Numbers of classes.
    classes
        How many the model has.
    generator
        The source of chance, on the CPU.
    count
        How many others are drawn; all of them where there are no more.

    Examples
    --------
    >>> goals = with_control([2, 0], 5, torch.Generator().manual_seed(0), count=2)
    >>> goals.asked, len(goals.control), set(goals.control) <= {1, 3, 4}
    ((0, 2), 2, True)
    """
    others = [each for each in range(classes) if each not in set(asked)]
    drawn = shuffled(len(others), generator, CPU)[:count].tolist()
    return Goals(tuple(sorted(set(asked))), tuple(sorted(others[each] for each in drawn)))
