"""Scrutiny of a network: whether a scan can rely on what it shows.

A supplier who wraps a backdoored network in a switch can show scans a clean one. Such a switch is
not made of ordinary layers, or it makes predictions depend on how the network is run. So the graph
is read, and the network is run in several ways that must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from undoor.black_boxes import black_box_in
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
    """A warning about operations in a network's graph that ordinary layers do not have."""


@dataclass(frozen=True)
class Scrutiny:
    """The reasons not to rely on what a network shows.

    Attributes
    ----------
    graph
        Operations between input and class scores that ordinary layers do not have.
    disagreements
        Predictions or gradients that depend on how the network is run.
    """

    graph: tuple[GraphFinding, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """Each reason in a sentence."""
        graph = (item.sentence for item in self.graph)
        return (*graph, *(item.sentence for item in self.disagreements))

    def to_json(self) -> dict[str, Any]:
        """Return the findings in the graph and the disagreements, as lists of objects."""
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
    """Read the graph of a classifier, and run it in several ways that must agree.

    It takes fewer than 1,500 sample passes.

    Parameters
    ----------
    classifier
        The network as it was opened, before any other pass.
    x
        Clean inputs [N, ...], of which a few are used; None for random ones.
    triggered
        Inputs [N, ...] with triggers that a scan found, one tensor per trigger.
    later
        The same network after many passes, if there is one.
    """
    x = _random_inputs(classifier) if x is None else on(classifier.device, _spread(x, MAX_INPUTS))
    # First, before the network has counted any passes.
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
    without_gradients = classifier.space.discrete or black_box_in(classifier) is not None
    # If scores depend on other inputs or on chance, gradients cannot match them.
    if not {"repeat", "batch", "order"} & codes and not without_gradients:
        for inputs in (x, *likely):
            differences += _gathered(ask_gradients(classifier, inputs))
    return Scrutiny(graph, _first_of_each(differences))


def depends_on_batch_or_chance(classifier: Classifier) -> tuple[Disagreement, ...]:
    """Return whether a few passes show predictions that depend on the batch or on chance.

    The inputs are random. The result is empty if the predictions depend on neither.
    """
    return tuple(_gathered(ask_briefly(classifier, _random_inputs(classifier))))


def read_graph(classifier: Classifier, x: Tensor | None = None) -> tuple[GraphFinding, ...]:
    """Return the operations between input and class scores that ordinary layers do not have.

    Parameters
    ----------
    classifier, x
        As for `scrutinise`.
    """
    x = _random_inputs(classifier) if x is None else on(classifier.device, x)
    return merged(_read(classifier, x))


def _read(classifier: Classifier, x: Tensor) -> Iterator[GraphFinding]:
    network = classifier.network
    if black_box_in(network) is not None:  # Comparisons are all that trees are made of.
        return
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
    if not classifier.space.discrete:  # Token ids have no gradient.
        yield from read_gradients(wanted)
    yield from read_sizes(classifier, x, plain)
    # Random values differ between batches, too.
    if not any(finding.code == "random" for finding in first):
        yield from read_rows(classifier, x)
    yield from read_modes(plain, wanted)


def _plain_state(classifier: Classifier) -> list[dict[str, Any]]:
    """Return the numbers and texts that modules hold besides their tensors."""
    return [
        {k: v for k, v in vars(module).items() if isinstance(v, int | float | str | bool)}
        for module in classifier.network.modules()
        if not isinstance(module, torch.jit.ScriptModule)
    ]


def _random_inputs(classifier: Classifier) -> Tensor:
    return classifier.examples(RANDOM_INPUTS)


def _spread(x: Tensor, count: int) -> Tensor:
    """Return at most `count` inputs, evenly spread over the set."""
    return x[:: max(1, len(x) // count)][:count]


def _gathered(differences: Iterator[Disagreement]) -> list[Disagreement]:
    """Return all disagreements; if the network raises an error meanwhile, that is the last."""
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
