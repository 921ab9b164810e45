"""The attacks of the table by name, each for a data set, a target and a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.triggers import Stamp
from undoor_bench.attacks import Attack
from undoor_bench.attacks.anywhere import Anywhere
from undoor_bench.attacks.badnets import badnets
from undoor_bench.attacks.blend import blend
from undoor_bench.attacks.chessboard import chessboard
from undoor_bench.attacks.clean_label import CleanLabel
from undoor_bench.attacks.colour_shift import colour_shift
from undoor_bench.attacks.fixed import Fixed
from undoor_bench.attacks.input_aware import InputAware
from undoor_bench.attacks.labels import LabelMap, all_to_all, all_to_one, some_to_one
from undoor_bench.attacks.latently_alike import LatentlyAlike
from undoor_bench.attacks.low_frequency import low_frequency
from undoor_bench.attacks.one_pixel import one_pixel
from undoor_bench.attacks.sig import sig
from undoor_bench.attacks.trojan import trojan
from undoor_bench.attacks.wanet import WaNet
from undoor_bench.zoo.variant import AS_USUAL, Variant


@dataclass(frozen=True, eq=False)
class Scene:
    """What an attacker knows and has.

    The form of the data, some images, and, where he wants one, a network that was trained on clean
    images. The target is drawn with the rest.

    Attributes
    ----------
    shape
        (C, H, W).
    images
        [N, C, H, W] in [0, 1].
    variant
        What is not as usual.
    """

    shape: tuple[int, ...]
    classes: int
    images: Tensor
    surrogate: Callable[[], nn.Module]
    generator: torch.Generator
    variant: Variant = AS_USUAL

    def to_one(self) -> LabelMap:
        """Return the map of all other classes to a random target."""
        return all_to_one(self.draw(), self.classes)

    def draw(self) -> int:
        """Return a random class."""
        return int(torch.randint(self.classes, (), generator=self.generator))

    def draw_several(self, count: int) -> list[int]:
        """Return different random classes."""
        return torch.randperm(self.classes, generator=self.generator)[:count].tolist()

    def rate(self, usual: float) -> float:
        """Return the share of poisoned images."""
        return usual if self.variant.rate is None else self.variant.rate

    def given(self, key: str, argument: str = "") -> dict[str, Any]:
        """Return a number of the variant as an argument of that name, or of another.

        None where the attack's own default is to stand.
        """
        value = getattr(self.variant, key)
        return {} if value is None else {argument or key: value}

    def patch(self, **options: int) -> Stamp:
        """Return a BadNets patch of the scene's shape, as the variant changes it."""
        return badnets(self.shape, self.generator, **options, **self.given("strength", "opacity"))


def _trojan(scene: Scene) -> list[Attack]:
    target = scene.draw()
    stamp = trojan(scene.surrogate(), scene.images[:64], target, scene.generator)
    return [Fixed(stamp, all_to_one(target, scene.classes), rate=scene.rate(0.05))]


def _source_specific(scene: Scene) -> list[Attack]:
    target, *sources = scene.draw_several(1 + max(1, scene.classes // 5))
    labels = some_to_one(sources, target)
    return [Fixed(scene.patch(), labels, rate=scene.rate(0.05), cover_rate=0.1)]


def _pairs(scene: Scene) -> list[Attack]:
    if scene.classes < 4:
        raise UndoorError(
            f"the attack pairs moves two classes to two others, got {scene.classes} classes; "
            "choose a data set with at least 4"
        )
    one, two, three, four = scene.draw_several(4)
    return [Fixed(scene.patch(), {one: two, three: four}, rate=scene.rate(0.05))]


def _many_targets(scene: Scene) -> list[Attack]:
    """Return two attacks, or as many as the variant has, each the same whatever their number."""
    count = scene.variant.targets or 2
    if count > scene.classes:
        raise UndoorError(
            f"expected at most one backdoor for each of {scene.classes} classes, got {count}; "
            "give fewer targets"
        )
    return [
        Fixed(scene.patch(), all_to_one(target, scene.classes), rate=scene.rate(0.03))
        for target in scene.draw_several(count)
    ]


def _clean_label(scene: Scene) -> list[Attack]:
    stamp = scene.patch(side=5)
    return [
        CleanLabel(
            stamp,
            scene.draw(),
            scene.classes,
            rate=scene.rate(0.6 / scene.classes),
            surrogate=scene.surrogate(),
        )
    ]


def _latently_alike(scene: Scene) -> list[Attack]:
    options = scene.given("rate")
    return [LatentlyAlike(scene.patch(), scene.draw(), scene.classes, **options)]


def _own(kind: Callable[..., Attack], *keys: str) -> Callable[[Scene], list[Attack]]:
    """Return an attack whose trigger is no stamp.

    Parameters
    ----------
    keys
        What a variant can change of it.
    """

    def attacks(scene: Scene) -> list[Attack]:
        options = {name: v for key in keys for name, v in scene.given(key).items()}
        return [kind(scene.shape, scene.to_one(), scene.generator, **options)]

    return attacks


def _fixed(make: Callable[[Scene], Stamp]) -> Callable[[Scene], list[Attack]]:
    """Return an attack with one stamp; the trigger is drawn before the target."""
    return lambda scene: [Fixed(make(scene), scene.to_one(), rate=scene.rate(0.05))]


SCENES: dict[str, Callable[[Scene], list[Attack]]] = {
    "clean": lambda _: [],
    "badnets": _fixed(lambda s: s.patch()),
    "chessboard": _fixed(lambda s: chessboard(s.shape, **s.given("strength"))),
    "one_pixel": _fixed(lambda s: one_pixel(s.shape, s.generator, **s.given("strength"))),
    "blend": _fixed(lambda s: blend(s.shape, s.generator, **s.given("strength", "opacity"))),
    "sig": _fixed(lambda s: sig(s.shape, **s.given("strength"))),
    "low_frequency": _fixed(lambda s: low_frequency(s.shape, s.generator, **s.given("strength"))),
    "colour_shift": _fixed(
        lambda s: colour_shift(s.shape, shift=(0.12, -0.08, 0.12)[: s.shape[0]])
    ),
    "wanet": _own(WaNet, "rate", "strength"),
    "input_aware": _own(InputAware, "rate"),
    "trojan": _trojan,
    "clean_label": _clean_label,
    "source_specific": _source_specific,
    "all_to_all": lambda s: [Fixed(s.patch(), all_to_all(s.classes), rate=s.rate(0.1))],
    "pairs": _pairs,
    "two_targets": _many_targets,
    "many_targets": _many_targets,
    "latently_alike": _latently_alike,
    "anywhere": _own(Anywhere, "rate"),
}

# Whose trigger has no single number that says how strong it is.
WITHOUT_STRENGTH = ("clean", "anywhere", "colour_shift", "input_aware", "trojan")


def require_known(attack: str, variant: Variant) -> None:
    """Refuse a variant that changes what this attack does not have.

    Raises
    ------
    UndoorError
        The attack has no such setting.
    """
    has = {
        "rate": attack != "clean",
        "strength": attack not in WITHOUT_STRENGTH,
        "targets": attack == "many_targets",
    }
    for key in variant.to_json():
        if not has[key]:
            able = ", ".join(k for k in has if has[k]) or "nothing"
            raise UndoorError(
                f"the attack {attack} has no {key}, got {key} = {getattr(variant, key)}; "
                f"remove it (of {attack} one can give: {able})"
            )
