"""What clean texts say about single words without the model: the reference of token searches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.tasks.task import Task

# Of the squares of the weights, beside the mean cross-entropy.
RIDGE = 0.002
STEPS = 100


def word_evidence(x: Tensor, y: Tensor, tokens: int, classes: int, pad: int, task: Task) -> Tensor:
    """Return by how much each token speaks for each class: [tokens, K].

    By a logistic regression on the words of clean texts and their true labels, which no backdoor
    has touched. A token that no text has says nothing. In units of the median margin of the texts.

    Parameters
    ----------
    x
        Token ids [N, T].
    y
        Labels [N].
    tokens
        How many token ids there are.
    classes
        How many classes.
    pad
        The id of padding.
    task
        Whose margin is taken.

    Examples
    --------
    >>> from undoor.tasks.single_label import SINGLE_LABEL
    >>> x = torch.tensor([[1.0, 2], [1, 3], [1, 2], [1, 3]])
    >>> found = word_evidence(x, torch.tensor([0, 1, 0, 1]), 5, 2, 0, SINGLE_LABEL)
    >>> bool(found[2, 0] > 0.3), found[4].tolist()
    (True, [0.0, 0.0])
    """
    ids = x.round().long()
    present = torch.zeros(len(x), tokens, dtype=torch.double, device=x.device)
    present.scatter_(1, ids, 1.0)
    present[:, pad] = 0
    seen = present.any(0).nonzero()[:, 0]
    features = torch.cat([present[:, seen], torch.ones_like(present[:, :1])], 1)
    shape = (features.shape[1], classes)
    weights = torch.zeros(shape, dtype=torch.double, device=x.device, requires_grad=True)
    fit = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        fit.zero_grad()
        out = F.cross_entropy(features @ weights, y) + RIDGE * weights[:-1].square().sum()
        out.backward()
        return out

    with torch.enable_grad():
        fit.step(loss)
    learned = weights.detach()
    unit = task.certainty(features @ learned).median().clamp_min(1e-6)
    found = torch.zeros(tokens, classes, dtype=torch.double, device=x.device)
    found[seen] = (learned[:-1] - learned[:-1].mean(1, keepdim=True)) / unit
    return found
