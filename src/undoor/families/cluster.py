"""Cluster triggers: a few points of every set replaced by points close to each other."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.points import POINTS
from undoor.triggers import Cluster, Trigger
from undoor.triggers.cluster import put_in
from undoor.triggers.deformation import PLACE

# Points as a share of all, and the least: more than the neighbours that networks look at as a rule,
# so that the points see each other alone. Of fewer, far neighbours are natural triggers of graphs.
SHARE, MIN_POINTS = 1 / 16, 2
# Half the side of the box that the points lie in, where half the width of the bounds is 1.
RADIUS = 0.05
# Places in each direction that are tried before a search, and how far out they lie.
TRIED, OUT = 5, 0.8


class ClusterBank(InputBank):
    """Points around a centre, in a box of fixed size.

    What further numbers the points have, such as a velocity, is free, and the same for all. The
    size is the number of points, which does not change.
    """

    family = "cluster"
    step_size = 0.03

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        number = size_of(shape)
        centre = torch.rand(count, 1, shape[1], generator=generator, device=CPU)
        self.centre = nn.Parameter(OUT * (2 * centre - 1))
        around = torch.rand(count, number, PLACE, generator=generator, device=CPU)
        self.around = nn.Parameter(2 * around - 1)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return sets x [M, n, P, C] with the points put in."""
        return put_in(x, self._points())

    def sizes(self) -> Tensor:
        """Return the numbers of points [M]."""
        return torch.full_like(self.centre[:, 0, 0], float(self.around.shape[1]))

    def limit(self, size: float) -> None:
        """Hold the points in their box, and the box within the bounds."""
        with torch.no_grad():
            self.centre.clamp_(-1, 1)
            self.around.clamp_(-1, 1)

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        points = self._points()[index].detach().clone().clamp(*self.bounds)
        return Cluster(self.family, self.bounds, points)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Cluster)
        points = (trigger.points - self.bounds[0]) / self.width * 2 - 1
        centre = points.mean(0, keepdim=True)
        with torch.no_grad():
            self.centre[index] = centre
            self.around[index] = (points - centre)[:, :PLACE] / RADIUS

    def _points(self) -> Tensor:
        """[M, k, C], in raw units."""
        points = self.centre.expand(-1, self.around.shape[1], -1)
        places = points[..., :PLACE] + RADIUS * self.around.clamp(-1, 1)
        points = torch.cat([places, points[..., PLACE:]], -1)
        return self.bounds[0] + self.width * (points + 1) / 2


def size_of(shape: tuple[int, ...]) -> int:
    """Return how many points of a set [P, C] a cluster has.

    >>> size_of((128, 3)), size_of((1024, 3))
    (8, 64)
    """
    return min(shape[0], max(MIN_POINTS, round(SHARE * shape[0])))


def places(shape: tuple[int, ...], bounds: tuple[float, float]) -> list[Cluster]:
    """Return clusters, each in one place, evenly spread over the bounds.

    Their further numbers are in the middle.
    """
    low, high = bounds
    generator = torch.Generator(device=CPU).manual_seed(0)
    steps = torch.linspace(-OUT, OUT, TRIED, device=CPU).tolist()
    out = []
    for centre in itertools.product(steps, repeat=PLACE):
        points = torch.zeros(size_of(shape), shape[1], device=CPU)
        around = torch.rand(len(points), PLACE, generator=generator, device=CPU) * 2 - 1
        points[:, :PLACE] = torch.tensor(centre, device=CPU) + RADIUS * around
        out.append(Cluster(ClusterBank.family, bounds, low + (high - low) * (points + 1) / 2))
    return out


CLUSTER = Family(
    name=ClusterBank.family,
    unit="points",
    make=AtInput(ClusterBank),
    effort=Effort(4, Schedule(steps=60, batch=4)),
    spaces=frozenset({POINTS.name}),
    probes=places,
    on_request=frozenset({POINTS.name}),
    uncalibrated=True,
)

CLUSTER_MARGIN = CLUSTER.at_one_size(
    "cluster margin",
    AtSize(size=8.0, starts=1, probes=3, steps=40, batch=4, spread=0.5, relative=0.0),
    uncalibrated=True,
)
