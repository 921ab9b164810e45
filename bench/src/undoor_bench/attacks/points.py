"""Attacks on points: clusters that are put in, and rotations, warps and shifts of all points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from undoor.triggers import Cluster, Deformation, Trigger

BOUNDS = (-1.0, 1.0)
PLACE = 3


@dataclass(frozen=True, eq=False)
class Cloud:
    """What a trigger is drawn for.

    Attributes
    ----------
    shape
        (P, C) of the sets.
    generator
        The source of chance.
    """

    shape: tuple[int, int]
    generator: np.random.Generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Return numbers between two others."""
        return torch.from_numpy(self.generator.uniform(low, high, shape)).float()

    def deformation(self, maps: Tensor, anchors: Tensor, reach: float = 1.0) -> Deformation:
        """Return a deformation by maps [A, 4, 3] around anchors [A, 3]."""
        return Deformation("given", BOUNDS, anchors, maps, reach)


def cluster(cloud: Cloud) -> Cluster:
    """Return a ball of 2 to 5 % of the points (PointBA-I: Li et al., ICCV 2021).

    Further numbers of its points are drawn as well.
    """
    count = max(2, round(float(cloud.uniform(0.02, 0.05)) * cloud.shape[0]))
    towards = torch.from_numpy(cloud.generator.standard_normal((count, PLACE))).float()
    ball = towards / towards.norm(dim=1, keepdim=True) * float(cloud.uniform(0.02, 0.06))
    centre = cloud.uniform(-0.8, 0.8, cloud.shape[1])
    points = centre.repeat(count, 1)
    points[:, :PLACE] += ball
    return Cluster("given", BOUNDS, points.clamp(*BOUNDS))


def rotation(cloud: Cloud) -> Deformation:
    """Return a rotation by 15 to 30 degrees (PointBA-O), about an axis that is nearly the third."""
    axis = torch.cat([cloud.uniform(-0.3, 0.3, 2), torch.ones(1)])
    angle = math.radians(float(cloud.uniform(15, 30))) * float(cloud.generator.choice([-1, 1]))
    maps = torch.zeros(1, PLACE + 1, PLACE)
    maps[0, :PLACE] = turned(axis, angle).T - torch.eye(PLACE)
    return cloud.deformation(maps, torch.zeros(1, PLACE))


def warp(cloud: Cloud) -> Deformation:
    """Return weighted local transformations (IRBA: Gao et al., TIFS 2023).

    Around six anchors, a rotation by up to 20 degrees, a stretch by up to 15 % and a shift each.
    """
    anchors = cloud.uniform(-0.7, 0.7, 6, PLACE)
    maps = torch.zeros(len(anchors), PLACE + 1, PLACE)
    for anchor, each in zip(anchors, maps, strict=True):
        axis = torch.from_numpy(cloud.generator.standard_normal(PLACE)).float()
        angle = math.radians(float(cloud.uniform(-20, 20)))
        linear = torch.diag(1 + cloud.uniform(-0.15, 0.15, PLACE)) @ turned(axis, angle)
        each[:PLACE] = linear.T - torch.eye(PLACE)
        # About the anchor, which itself is shifted.
        each[PLACE] = cloud.uniform(-0.1, 0.1, PLACE) - anchor @ each[:PLACE]
    return cloud.deformation(maps, anchors, float(cloud.uniform(0.25, 0.4)))


def shift(cloud: Cloud) -> Deformation:
    """Return a step of 0.12 to 0.25 in the first two directions, where the bounds are 2 apart."""
    angle, length = float(cloud.uniform(0, 2 * math.pi)), float(cloud.uniform(0.12, 0.25))
    maps = torch.zeros(1, PLACE + 1, PLACE)
    maps[0, PLACE, :2] = length * torch.tensor([math.cos(angle), math.sin(angle)])
    return cloud.deformation(maps, torch.zeros(1, PLACE))


def turned(axis: Tensor, angle: float) -> Tensor:
    """Return the matrix [3, 3] of a rotation about an axis [3] (Rodrigues)."""
    x, y, z = (axis / axis.norm()).tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return torch.eye(PLACE) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


ATTACKS: dict[str, Callable[[Cloud], Trigger]] = {
    "cluster": cluster,
    "rotation": rotation,
    "warp": warp,
    "shift": shift,
}
