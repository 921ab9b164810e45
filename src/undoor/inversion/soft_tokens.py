"""Soft tokens: mixtures of all words that gradients move, and first-order scores of words."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.device import CPU, on
from undoor.errors import UndoorError
from undoor.inversion.embedded_tokens import changed_embeddings, token_embedding
from undoor.inversion.moved_texts import MovedTexts

STEPS, RATE = 30, 0.5
# From soft to hard: the temperature of the mixtures, at the first step and at the last.
HOT, COLD = 2.0, 0.2
# Texts per step, in turn, and the margin beyond which a text counts no more.
TEXTS, ENOUGH = 4, 3.0
# What the logits of the mixtures are drawn with.
SPREAD = 0.5


def first_order(moved: MovedTexts, tokens: Tensor, index: int) -> Tensor:
    """Return by how much the mean margin would rise with each token in the place of one: [tokens].

    By its gradient at the embedding, as if the network were linear (HotFlip: Ebrahimi et al., ACL
    2018).

    Parameters
    ----------
    moved
        The texts, and the class that they are moved to.
    tokens
        [k], as they are put in.
    index
        Which of them is exchanged.

    Raises
    ------
    UndoorError
        The network has no embedding of the tokens.
    """
    layer = _embedding(moved)
    texts = moved.put(tokens[None], moved.x)[0]
    where = _places(moved, len(tokens), moved.x)[:, :, index].nonzero(as_tuple=True)
    seen: list[Tensor] = []

    def leaf(z: Tensor) -> Tensor:
        seen.append(z.detach().requires_grad_())
        return seen[-1]

    with changed_embeddings(layer, leaf), torch.enable_grad():
        logits = moved.classifier(texts)
        margin = moved.classifier.task.margin(logits, moved.goal).mean() / moved.unit
        (gradient,) = torch.autograd.grad(margin, seen[-1])
    slope = gradient[where].sum(0).float()
    weight = layer.weight.detach().float()
    return ((weight - weight[int(tokens[index])]) @ slope)[: moved.tokenizer.size]


def soft_starts(
    moved: MovedTexts,
    words: Tensor,
    size: int,
    count: int,
    generator: torch.Generator,
) -> Tensor:
    """Return tokens [count, size] that mixtures of words came down to.

    The mixtures are moved so that margins rise, and hardened from step to step (Shen et al., "DBS",
    ICML 2022, with a fixed schedule).

    Parameters
    ----------
    moved
        As of `first_order`.
    words
        [W], the tokens that are mixed.
    size, count
        How many tokens there are together, and how many starts.
    generator
        The source of chance, on the CPU.

    Raises
    ------
    UndoorError
        The network has no embedding of the tokens.
    """
    layer, device = _embedding(moved), moved.x.device
    weight = layer.weight.detach().float()[words]
    drawn = torch.randn(count, size, len(words), generator=generator, device=CPU)
    mixture = on(device, SPREAD * drawn).requires_grad_()
    optimizer = torch.optim.Adam([mixture], RATE)
    for step in range(STEPS):
        rows = torch.arange(TEXTS, device=device) + step * TEXTS
        texts = moved.x[rows % len(moved.x)]
        heat = HOT * (COLD / HOT) ** (step / (STEPS - 1))
        with torch.enable_grad():
            shares = (mixture / heat).softmax(2)
            margins = _soft_margins(moved, layer, texts, words[:1].expand(size), shares @ weight)
            loss = -margins.clamp(max=ENOUGH).mean(1).sum()
            (mixture.grad,) = torch.autograd.grad(loss, mixture)
        optimizer.step()
    return words[mixture.detach().argmax(2)]


def _soft_margins(
    moved: MovedTexts, layer: nn.Embedding, texts: Tensor, held: Tensor, soft: Tensor
) -> Tensor:
    """Return the margins [M, n] of texts with soft tokens [M, k, D] put in.

    Parameters
    ----------
    held
        [k], tokens that stand at their places; anything but padding.
    """
    ids = moved.put(held[None], texts)[0]
    where = _places(moved, len(held), texts).to(soft.dtype)
    put = torch.einsum("ntk,mkd->mntd", where, soft).flatten(0, 1)
    inside = where.sum(2)[:, :, None].repeat(len(soft), 1, 1)
    with changed_embeddings(layer, lambda z: z * (1 - inside) + put):
        logits = moved.classifier(ids.repeat(len(soft), 1)).float()
    margins = moved.classifier.task.margin(logits, moved.goal) / moved.unit
    return margins.view(len(soft), len(texts))


def _places(moved: MovedTexts, count: int, texts: Tensor) -> Tensor:
    """Return where each of so many tokens stands in the texts: [n, T, k]."""
    # Numbers that no token has mark the places.
    marks = -1.0 - torch.arange(count, device=texts.device, dtype=texts.dtype)
    return moved.put(marks[None], texts)[0][:, :, None] == marks


def _embedding(moved: MovedTexts) -> nn.Embedding:
    layer = token_embedding(moved.classifier)
    if layer is None:
        raise UndoorError(
            "expected a network whose first layer is an nn.Embedding of the token ids, got another "
            "one, in which tokens cannot be searched for; load it with its own embedding"
        )
    return layer
