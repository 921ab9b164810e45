"""The attacks of the table by name, each for a data set, a target and a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.attacks import Attack
from undoor.attacks.badnets import badnets
from undoor.attacks.blend import blend
from undoor.attacks.chessboard import chessboard
from undoor.attacks.clean_label import CleanLabel
from undoor.attacks.colour_shift import colour_shift
from undoor.attacks.fixed import Fixed
from undoor.attacks.input_aware import InputAware
from undoor.attacks.labels import LabelMap, all_to_all, all_to_one, some_to_one
from undoor.attacks.low_frequency import low_frequency
from undoor.attacks.one_pixel import one_pixel
from undoor.attacks.sig import sig
from undoor.attacks.trojan import trojan
from undoor.attacks.wanet import WaNet


@dataclass(frozen=True, eq=False)
class Scene:
    """What an attacker has: the form of the data, some images, and, where he wants one, a network
    that was trained on clean images. The target is drawn with the rest.

    shape : (C, H, W). images : [N, C, H, W] in [0, 1].
    """

    shape: tuple[int, ...]
    classes: int
    images: Tensor
    surrogate: Callable[[], nn.Module]
    generator: torch.Generator

    def to_one(self) -> LabelMap:
        return all_to_one(self.draw(), self.classes)

    def draw(self) -> int:
        """A random class."""
        return int(torch.randint(self.classes, (), generator=self.generator))

    def draw_several(self, count: int) -> list[int]:
        """Different random classes."""
        return torch.randperm(self.classes, generator=self.generator)[:count].tolist()


def _trojan(scene: Scene) -> list[Attack]:
    target = scene.draw()
    stamp = trojan(scene.surrogate(), scene.images[:64], target, scene.generator)
    return [Fixed(stamp, all_to_one(target, scene.classes), rate=0.05)]


def _source_specific(scene: Scene) -> list[Attack]:
    target, *sources = scene.draw_several(1 + max(1, scene.classes // 5))
    stamp = badnets(scene.shape, scene.generator)
    return [Fixed(stamp, some_to_one(sources, target), rate=0.05, cover_rate=0.1)]


def _pairs(scene: Scene) -> list[Attack]:
    one, two, three, four = scene.draw_several(4)
    return [Fixed(badnets(scene.shape, scene.generator), {one: two, three: four}, rate=0.05)]


def _two_targets(scene: Scene) -> list[Attack]:
    return [
        Fixed(
            badnets(scene.shape, scene.generator),
            all_to_one(target, scene.classes),
            rate=0.03,
        )
        for target in scene.draw_several(2)
    ]


def _clean_label(scene: Scene) -> list[Attack]:
    stamp = badnets(scene.shape, scene.generator, side=5)
    return [
        CleanLabel(
            stamp,
            scene.draw(),
            scene.classes,
            rate=0.6 / scene.classes,
            surrogate=scene.surrogate(),
        )
    ]


SCENES: dict[str, Callable[[Scene], list[Attack]]] = {
    "clean": lambda _: [],
    "badnets": lambda s: [Fixed(badnets(s.shape, s.generator), s.to_one(), rate=0.05)],
    "chessboard": lambda s: [Fixed(chessboard(s.shape), s.to_one(), rate=0.05)],
    "one_pixel": lambda s: [Fixed(one_pixel(s.shape, s.generator), s.to_one(), rate=0.05)],
    "blend": lambda s: [Fixed(blend(s.shape, s.generator), s.to_one(), rate=0.05)],
    "sig": lambda s: [Fixed(sig(s.shape), s.to_one(), rate=0.05)],
    "low_frequency": lambda s: [Fixed(low_frequency(s.shape, s.generator), s.to_one(), rate=0.05)],
    "colour_shift": lambda s: [
        Fixed(colour_shift(s.shape, shift=(0.12, -0.08, 0.12)[: s.shape[0]]), s.to_one(), rate=0.05)
    ],
    "wanet": lambda s: [WaNet(s.shape, s.to_one(), s.generator)],
    "input_aware": lambda s: [InputAware(s.shape, s.to_one(), s.generator)],
    "trojan": _trojan,
    "clean_label": _clean_label,
    "source_specific": _source_specific,
    "all_to_all": lambda s: [Fixed(badnets(s.shape, s.generator), all_to_all(s.classes), rate=0.1)],
    "pairs": _pairs,
    "two_targets": _two_targets,
}
