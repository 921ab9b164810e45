"""Whether a network is what a scan takes it for: read its graph, and ask it twice.

A supplier who wraps a backdoored network in a switch can have scans see a clean one. Such switches
are not made of ordinary layers, or they make predictions depend on how the network is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import beside, on
from undoor.scrutiny.asking import MAX_INPUTS, Asked, ask_briefly, rare_differences
from undoor.scrutiny.doubt import Disagreement, GraphFinding, first_line, merged
from undoor.scrutiny.exported import read_exported
from undoor.scrutiny.gradients import ask_gradients
from undoor.scrutiny.probes import probes, saturated
from undoor.scrutiny.python_code import read_code
from undoor.scrutiny.reading import read, read_gradients
from undoor.scrutiny.rows import read_rows
from undoor.scrutiny.scripts import read_script
from undoor.scrutiny.sizes import REFERENCE, read_modes, read_sizes
from undoor.scrutiny.trace import trace
from undoor.scrutiny.unread import unread

__all__ = [
    "Disagreement",
    "GraphFinding",
    "GraphWarning",
    "Scrutiny",
    "depends_on_batch_or_chance",
    "read_graph",
    "scrutinise",
]

MAX_TRIGGERS = 3
RANDOM_INPUTS = 16


class GraphWarning(UserWarning):
    """What a network's graph holds that ordinary layers do not have."""


@dataclass(frozen=True)
class Scrutiny:
    """What speaks against taking a network at its word.

    Attributes
    ----------
    graph
        Between input and class scores, what ordinary layers do not have.
    disagreements
        Predictions or gradients that depend on how the network is run.
    """

    graph: tuple[GraphFinding, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        graph = (item.sentence for item in self.graph)
        return (*graph, *(item.sentence for item in self.disagreements))

    def to_json(self) -> dict[str, Any]:
        return {
            "graph": [item.to_json() for item in self.graph],
            "disagreements": [item.to_json() for item in self.disagreements],
        }


def scrutinise(
    classifier: Classifier,
    x: Tensor | None = None,
    *,
    triggered: Sequence[Tensor] = (),
    later: Classifier | None = None,
) -> Scrutiny:
    """Read the graph of a classifier, and ask it twice.

    Parameters
    ----------
    x
        Clean inputs [N, ...], of which a few are used; random ones where None.
    triggered
        The same with triggers that a scan found, one tensor per trigger.
    later
        The same network after many passes, where there is one.
    It takes fewer than 1,500 sample passes.
    """
    x = _random_inputs(classifier) if x is None else on(classifier.device, _spread(x, MAX_INPUTS))
    # First, while nothing has been counted.
    try:
        asked = Asked(classifier, x)
    except MemoryError:
        raise
    except Exception as error:
        return Scrutiny(read_graph(classifier, x), (_failure(error),))
    differences = _gathered(asked.differences())
    graph = read_graph(classifier, x)
    odd = probes(classifier, x)
    noise = _random_inputs(classifier)
    shown = (_spread(t, len(odd)) for t in triggered[:MAX_TRIGGERS])
    likely = (odd, *beside(x, *shown))
    for inputs in (*likely, noise[: len(odd)], saturated(noise, classifier.bounds)):
        differences += _gathered(rare_differences(classifier, inputs))
    codes = {item.code for item in differences}
    if "repeat" not in codes:
        differences += _gathered(asked.afterwards(later))
    # Of scores that other inputs or chance have a part in, no slope of one input can be right.
    if not {"repeat", "batch", "order"} & codes:
        for inputs in (x, *likely):
            differences += _gathered(ask_gradients(classifier, inputs))
    return Scrutiny(graph, _first_of_each(differences))


def depends_on_batch_or_chance(classifier: Classifier) -> tuple[Disagreement, ...]:
    """Return what a few passes of random inputs show of predictions that are no function of one
    input.
    """
    return tuple(_gathered(ask_briefly(classifier, _random_inputs(classifier))))


def read_graph(classifier: Classifier, x: Tensor | None = None) -> tuple[GraphFinding, ...]:
    """Return what lies between input and class scores that ordinary layers do not have.

    Parameters
    ----------
    classifier, x
        As of `scrutinise`.
    """
    x = _random_inputs(classifier) if x is None else on(classifier.device, x)
    return merged(_read(classifier, x))


def _read(classifier: Classifier, x: Tensor) -> Iterator[GraphFinding]:
    network = classifier.network
    yield from read_exported(network)
    yield from read_script(network)
    yield from read_code(network)
    few = x[torch.arange(REFERENCE, device=x.device) % len(x)]
    before = _plain_state(classifier)
    try:
        plain, wanted = trace(classifier, few), trace(classifier, few, gradients=True)
    except Exception as error:
        yield unread(classifier, few, error, f"batches of {len(few)}")
        return
    if before != _plain_state(classifier):
        yield GraphFinding("state", "its attributes", "an attribute that a pass changes")
    first = list(read(plain, maps=classifier.space.maps))
    yield from first
    yield from read_gradients(wanted)
    yield from read_sizes(classifier, x, plain)
    # What differs by chance differs between batches, too.
    if not any(finding.code == "random" for finding in first):
        yield from read_rows(classifier, x)
    yield from read_modes(plain, wanted)


def _plain_state(classifier: Classifier) -> list[dict[str, Any]]:
    """Return the numbers and texts that modules hold beside their tensors."""
    return [
        {k: v for k, v in vars(module).items() if isinstance(v, int | float | str | bool)}
        for module in classifier.network.modules()
        if not isinstance(module, torch.jit.ScriptModule)
    ]


def _random_inputs(classifier: Classifier) -> Tensor:
    return classifier.examples(RANDOM_INPUTS)


def _spread(x: Tensor, count: int) -> Tensor:
    """At most `count` inputs from all over the set."""
    return x[:: max(1, len(x) // count)][:count]


def _gathered(differences: Iterator[Disagreement]) -> list[Disagreement]:
    """Return all of them; an error that the network raises meanwhile is the last."""
    found: list[Disagreement] = []
    try:
        for item in differences:
            found.append(item)
    except MemoryError:
        raise
    except Exception as error:
        found.append(_failure(error))
    return found


def _failure(error: Exception) -> Disagreement:
    text = f"the network raises an error where it should predict ({first_line(error)})"
    return Disagreement("fails", text)


def _first_of_each(differences: Sequence[Disagreement]) -> tuple[Disagreement, ...]:
    kinds: dict[str, Disagreement] = {}
    for item in differences:
        kinds.setdefault(item.code, item)
    return tuple(kinds.values())
