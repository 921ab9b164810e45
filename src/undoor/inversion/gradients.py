"""Whether a network passes gradients to its input: without them no trigger can be searched for."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.black_boxes import black_box_in
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.inversion.embedded_tokens import changed_embeddings, token_embedding

MAX_IMAGES = 16


def require_gradients(classifier: Classifier, images: Tensor) -> None:
    """Refuse a network that would pass for clean because nothing can be found in it.

    Not a black box (`undoor.black_boxes`), whose triggers are searched for by trying.

    Parameters
    ----------
    classifier
        The network.
    images
        Clean inputs [N, ...], of which some are looked at.

    Raises
    ------
    UndoorError
        Its scores have no gradient with respect to the input, or one of 0 everywhere, as behind
        `torch.no_grad`, `detach` or rounding.
    """
    if black_box_in(classifier) is not None:  # It is asked alone.
        return
    x = images[:: max(1, len(images) // MAX_IMAGES)].clone()
    try:
        why = (
            _wrong_behind_tokens(classifier, x)
            if classifier.space.discrete
            else _wrong(x, classifier)
        )
    except RuntimeError as error:
        why = str(error).strip().splitlines()[0]
    if why is not None:
        raise UndoorError(
            "expected a network that passes a gradient to its input, without which no trigger can "
            f"be searched for; got one that does not ({why}): export it in floating point, without "
            "torch.no_grad, detach, rounding or a saturated output"
        )


def _wrong(x: Tensor, classifier: Classifier) -> str | None:
    x.requires_grad_()
    return _what_is_wrong(classifier(x), x)


def _wrong_behind_tokens(classifier: Classifier, x: Tensor) -> str | None:
    """Return what is wrong with the gradient at the embedding of tokens; None where nothing is."""
    layer, seen = token_embedding(classifier), list[Tensor]()
    if layer is None:
        return "no nn.Embedding takes the token ids"

    def leaf(z: Tensor) -> Tensor:
        seen.append(z.detach().requires_grad_())
        return seen[-1]

    with changed_embeddings(layer, leaf):
        return _what_is_wrong(classifier(x), seen[-1])


def _what_is_wrong(logits: Tensor, x: Tensor) -> str | None:
    if not logits.requires_grad:
        return "its scores have none"
    # Classes count differently, since probabilities sum to 1 whatever the input is.
    weighted = (logits * torch.linspace(1, 2, logits.shape[1], device=logits.device)).sum()
    (gradient,) = torch.autograd.grad(weighted, x, allow_unused=True)
    if gradient is None:
        return "its scores have none"
    return None if bool((gradient != 0).any()) else "it is 0 everywhere"
