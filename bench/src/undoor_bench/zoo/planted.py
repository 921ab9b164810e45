"""The backdoors of a zoo's models, from what was stored when they were planted."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.spaces.images import IMAGES
from undoor.triggers import Trigger, load_trigger
from undoor.triggers.trigger import Arrays
from undoor_bench.attacks import Attack
from undoor_bench.attacks.clean_label import CleanLabel
from undoor_bench.attacks.fixed import Fixed
from undoor_bench.zoo.scenes import SCENES, Scene
from undoor_bench.zoo.subjects import Subject
from undoor_bench.zoo.variant import Variant

BATCH = 500


def read_attacks(folder: Path) -> list[Attack]:
    """Return the attacks on a model that `undoor-bench zoo` trained, as they stood at its end.

    The scene is set again from what ``truth.json`` says: the seed, which draws targets and
    sources, and any rate, strength and number of backdoors other than usual. Triggers are those of
    ``attack_N.safetensors``. Not stored are the networks that an attacker trained for himself:
    clean-label images cannot be perturbed for a training again.

    Raises
    ------
    UndoorError
        No such files, another model's, or labels other than this code draws.
    """
    try:
        truth = json.loads((folder / "truth.json").read_text())
        attacks = SCENES[truth["attack"]](_scene(folder, truth["seed"], Variant.of(truth)))
        labels = [_labels(backdoor["labels"]) for backdoor in truth["backdoors"]]
        files = [folder / f"attack_{number}.safetensors" for number in range(len(labels))]
        states = [load_file(file) for file in files]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise UndoorError(
            f"{folder}: expected truth.json, model.toml and attack_N.safetensors as `undoor-bench "
            f"zoo` writes them ({error!r}); train the model again"
        ) from error
    if [attack.labels for attack in attacks] != labels:
        raise UndoorError(
            f"{folder}: truth.json has other sources and targets than the seed {truth['seed']} "
            "draws; train the model again with this version"
        )
    for attack, state in zip(attacks, states, strict=True):
        attack.restore(state)
        if isinstance(attack, CleanLabel) and attack.surrogate is not None:
            attack.surrogate = _Lost()
    return attacks


def _scene(folder: Path, seed: int, variant: Variant) -> Scene:
    """Return a scene that draws as the one did that the model was trained in.

    It does so up to a surrogate's training; what it draws from there on are triggers, which are
    replaced. So the smallest surrogate and picture will do.
    """
    model = tomllib.loads((folder / "model.toml").read_text())
    shape, classes = tuple(model["input"]["shape"]), model["model"]["arguments"]["num_classes"]
    generator = torch.Generator().manual_seed(seed)

    def surrogate() -> nn.Module:
        last = nn.utils.skip_init(nn.Linear, math.prod(shape), classes)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return nn.Sequential(nn.Flatten(), last)

    return Scene(shape, classes, torch.zeros(1, *shape), surrogate, generator, variant)


def _labels(stored: dict[str, int]) -> dict[int, int]:
    return {int(source): target for source, target in stored.items()}


class _Lost(nn.Module):
    """Stand-in for a network that was not stored."""

    def forward(self, x: Tensor) -> Tensor:
        raise UndoorError(
            "the attacker's own network was not stored, and its images cannot be perturbed again; "
            "train the model anew to poison images as it was"
        )


@dataclass(frozen=True, eq=False)
class Planted:
    """A true backdoor: images of `sources` with `trigger` are to be predicted as `target`."""

    target: int
    sources: tuple[int, ...]
    trigger: Trigger

    @torch.no_grad()
    def triggered(self, clean: CleanSet) -> CleanSet:
        """Return the images of the sources with the trigger, under their true labels.

        They are rounded to 8 bits, as in a file. There may be none.
        """
        keep = torch.isin(clean.labels, torch.tensor(self.sources))
        images = clean.images[keep]
        parts = [
            IMAGES.quantised(self.trigger(x), self.trigger.bounds) for x in images.split(BATCH)
        ]
        return replace(clean, images=torch.cat([images[:0], *parts]), labels=clean.labels[keep])


def planted(subject: Subject, classifier: Classifier) -> tuple[Planted, ...]:
    """Return the true backdoors of a model of any zoo; one for each attack and target of it.

    Of a public model: the first trigger that its truth.json names.

    Raises
    ------
    UndoorError
        Files are missing or damaged, or the trigger does not fit the model.
    """
    if not subject.targets:
        return ()
    if not subject.public:
        return tuple(item for attack in read_attacks(subject.folder) for item in _moves(attack))
    file = subject.folder / "truth.json"
    try:
        name = json.loads(file.read_text())["triggers"][0]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UndoorError(f"{file}: expected triggers, files beside it ({error!r})") from error
    shape, bounds = classifier.input_shape, classifier.bounds
    trigger = load_trigger(subject.folder / name, shape=shape, bounds=bounds)
    ((target,), (sources,)) = subject.targets, subject.sources
    others = tuple(label for label in range(classifier.num_classes) if label != target)
    return (Planted(target, sources or others, trigger),)


def _moves(attack: Attack) -> Iterator[Planted]:
    """Yield the backdoor of each target, in order."""
    trigger = attack.stamp if isinstance(attack, Fixed) else Applied(attack)
    for target in sorted(set(attack.labels.values())):
        sources = tuple(source for source, to in attack.labels.items() if to == target)
        yield Planted(target, sources, trigger)


@dataclass(frozen=True, eq=False)
class Applied(Trigger):
    """An attack that no trigger file can hold (a warp, a generator) as a trigger."""

    attack: Attack
    family: str = "given"
    bounds: tuple[float, float] = (0.0, 1.0)

    kind = "attack"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Return inputs [N, ...] with the trigger of the attack."""
        return self.attack.trigger(x)

    def arrays(self) -> Arrays:
        """Return the state of the attack as arrays."""
        return {name: value.detach().numpy() for name, value in self.attack.state().items()}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Applied:
        """Refuse: the arrays alone do not determine the attack.

        Raises
        ------
        UndoorError
            Always; a model's folder says which attack it is.
        """
        raise UndoorError(
            f"arrays ({', '.join(arrays)}) do not say which attack they are of; read the model's "
            "folder with `read_attacks`"
        )
