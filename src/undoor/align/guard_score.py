"""How far corrections lower the margin of a goal: the quantity the guard decides on."""

from __future__ import annotations

from torch import Tensor

from undoor.tasks.task import Task

# Of the bare model's margin, what clean inputs of the target are thought to keep: they lose a part
# of a large margin more than of a small one, triggered ones all of it. On the networks that it was
# chosen on, clean inputs kept 0.4 to 1.1, and 0.6 to 0.8 told triggered inputs apart equally well;
# 1, how far the margin drops, told blends worse, and less told warps worse.
KEPT_MARGIN = 0.75


def shortfall(task: Task, bare: Tensor, corrected: Tensor, target: int) -> Tensor:
    """Return how far corrections leave less of the margin of `target` than three quarters of it
    [N].

    Parameters
    ----------
    task
        What outputs mean.
    bare, corrected
        Logits [N, K] without and with corrections.

    Examples
    --------
    >>> from torch import tensor
    >>> from undoor.tasks.single_label import SINGLE_LABEL
    >>> shortfall(SINGLE_LABEL, tensor([[8.0, 0.0]]), tensor([[0.0, 2.0]]), 0)
    tensor([8.])
    """
    return KEPT_MARGIN * task.margin(bare, target) - task.margin(corrected, target)
