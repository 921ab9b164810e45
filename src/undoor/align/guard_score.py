"""How far corrections lower the margin of a goal: the quantity the guard decides on."""

from __future__ import annotations

from torch import Tensor

from undoor.tasks.task import Task

# The share of the bare model's margin that clean inputs of the target are expected to retain:
# triggered inputs lose all of it. On the networks that it was chosen on, clean inputs retained 0.4
# to 1.1, and shares of 0.6 to 0.8 separated triggered inputs equally well; 1, the drop of the
# margin, separated blends worse, and less separated warps worse.
KEPT_MARGIN = 0.75


def shortfall(task: Task, bare: Tensor, corrected: Tensor, target: int) -> Tensor:
    """Return the guard's score [N]: three quarters of the bare margin less the corrected margin.

    Parameters
    ----------
    task
        What outputs mean.
    bare, corrected
        Logits [N, K] without and with corrections.
    target
        The class whose margin is compared.

    Examples
    --------
    >>> from torch import tensor
    >>> from undoor.tasks.single_label import SINGLE_LABEL
    >>> shortfall(SINGLE_LABEL, tensor([[8.0, 0.0]]), tensor([[0.0, 2.0]]), 0)
    tensor([8.])
    """
    return KEPT_MARGIN * task.margin(bare, target) - task.margin(corrected, target)
