"""A small network for tables: one token per column, an ordinary graph, sites to correct."""

from __future__ import annotations

import torch

from undoor.classifier import Classifier
from undoor.row_networks import NETWORKS, FTTransformer
from undoor.scrutiny import scrutinise
from undoor.sites import find_heads, find_sites
from undoor.spaces.columns import Column, seen_by_network

COLUMNS = (
    Column("a", range=(0, 4)),
    Column("kind", categories=("x", "y", "z")),
    Column("b", range=(0, 1)),
)


def network() -> FTTransformer:
    torch.manual_seed(0)
    return FTTransformer(2, [column.width for column in COLUMNS], width=8, heads=2)


def test_an_ordinary_graph_with_sites() -> None:
    classifier = Classifier(network(), input_shape=(3,), columns=COLUMNS)
    assert scrutinise(classifier).sentences == ()
    entry, *layers = find_sites(classifier)
    assert entry.columns == ("a", "kind", "b")
    assert [site.shape for site in layers] == [(8, 4), (8, 4), (8, 4), (8,)]
    assert [head.name for head in find_heads(classifier)] == ["network.head"]


def test_each_column_is_seen_and_no_row_by_another() -> None:
    made = network().eval()
    rows = torch.tensor([[0.1, 0.0, 0.2], [0.9, 0.0, 0.2], [0.1, 1.0, 0.2], [0.1, 0.0, 0.7]])
    with torch.no_grad():
        out = made(seen_by_network(COLUMNS, rows))
        alone = torch.cat([made(seen_by_network(COLUMNS, row[None])) for row in rows])
    assert torch.allclose(out, alone, atol=1e-6)
    assert float((out[1:] - out[0]).abs().amax(1).min()) > 1e-4


def test_networks_by_name() -> None:
    assert list(NETWORKS) == ["MLP", "FTTransformer"]
