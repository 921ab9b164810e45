"""Networks of points: what they depend on, and what they do not."""

from __future__ import annotations

import pytest
import torch

from undoor.point_networks import NETWORKS, EdgeConv

SHAPE = (32, 4)


def drawn() -> torch.Tensor:
    return torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_order_of_points_does_not_matter(name: str) -> None:
    network = NETWORKS[name](num_classes=5, channels=SHAPE[1]).eval()
    order = torch.randperm(SHAPE[0], generator=torch.Generator().manual_seed(1))
    logits = network(drawn())
    assert logits.shape == (3, 5)
    torch.testing.assert_close(logits, network(drawn()[:, order]), atol=1e-5, rtol=0)
    assert not torch.allclose(logits[0], logits[1])


def test_an_edge_is_a_map_of_both_points() -> None:
    edge = EdgeConv(4, 7).eval()
    z, near = drawn().transpose(1, 2), torch.arange(6).expand(3, SHAPE[0], 6)
    each = [
        edge.centre(z) + edge.difference(z[:, :, [other]] - z) for other in range(near.shape[2])
    ]
    expected = edge.normed(torch.stack(each).amax(0)).relu()
    torch.testing.assert_close(edge(z, near), expected, atol=1e-5, rtol=0)
    assert not torch.allclose(edge(z, near + 6), expected)
