"""What modules inside a network deliver, while one looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from undoor.classifier import Classifier


@contextmanager
def watched(classifier: Classifier, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Yield the latest outputs of the named modules; the hooks are removed at the end.

    >>> import torch
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> classifier = Classifier(net, input_shape=(1, 2, 2))
    >>> with watched(classifier, ["network.0"]) as seen:
    ...     _ = classifier(torch.zeros(3, 1, 2, 2))
    >>> seen["network.0"].shape
    torch.Size([3, 4])
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> RemovableHandle:
        def record(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            outputs[name] = output

        return classifier.get_submodule(name).register_forward_hook(record)

    handles = [keep(name) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
