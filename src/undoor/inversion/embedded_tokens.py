"""The embedding of the tokens of a text, where a text model has its gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier

Change = Callable[[Tensor], Tensor]


def token_embedding(classifier: Classifier) -> nn.Embedding | None:
    """Return the layer that embeds the token ids of a text model; None where there is none.

    It is found by trial: the first embedding that is given the ids themselves.
    """
    found: list[nn.Embedding] = []
    ids = classifier.normalised(classifier.examples(2))

    def look(module: nn.Module, args: tuple[object, ...], _output: object) -> None:
        given = args[0] if args else None
        if isinstance(given, Tensor) and given.shape == ids.shape and torch.equal(given, ids):
            assert isinstance(module, nn.Embedding)
            found.append(module)

    layers = [m for m in classifier.network.modules() if isinstance(m, nn.Embedding)]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    try:
        with torch.no_grad():
            classifier.network(ids)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


@contextmanager
def changed_embeddings(layer: nn.Embedding, change: Change) -> Iterator[None]:
    """Let a layer return changed embeddings [N, T, D] while the context lasts."""
    hook = layer.register_forward_hook(lambda _module, _args, output: change(output))
    try:
        yield
    finally:
        hook.remove()
