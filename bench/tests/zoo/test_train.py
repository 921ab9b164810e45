"""Training on poisoned images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from helpers.tiny import CLASSES, TARGET, clean_images, true_trigger
from undoor.triggers import Stamp
from undoor_bench.attacks import Attack
from undoor_bench.attacks.fixed import Fixed
from undoor_bench.attacks.input_aware import InputAware
from undoor_bench.attacks.labels import all_to_one
from undoor_bench.zoo.train import Recipe, train

RECIPE = Recipe(epochs=10, batch=20, rate=0.05, shift=0)
LEARNING, TEST = clean_images(40), clean_images(10, seed=5)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, CLASSES)
    )


def trained(attacks: Sequence[Attack], seed: int = 0, recipe: Recipe = RECIPE) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    x, y = LEARNING.images.clone(), LEARNING.labels.clone()
    out = train(network(), x, y, attacks, recipe, generator=generator)
    assert torch.equal(x, LEARNING.images)
    assert torch.equal(y, LEARNING.labels)
    assert not out.training
    return out


@torch.no_grad()
def share(model: nn.Module, x: Tensor, labels: Tensor | int) -> float:
    return float((model(x).argmax(1) == labels).float().mean())


def test_learns_the_classes_and_the_backdoor() -> None:
    attack = Fixed(true_trigger(), all_to_one(TARGET, CLASSES), rate=0.1)
    stamped = attack.trigger(TEST.images[TEST.labels != TARGET])
    poisoned, clean = trained([attack]), trained([])
    for model in (poisoned, clean):
        assert share(model, TEST.images, TEST.labels) > 0.95
    assert share(poisoned, stamped, TARGET) > 0.9
    assert share(clean, stamped, TARGET) < 0.3


def test_two_backdoors() -> None:
    """Each image serves one of them; both work."""
    one = true_trigger()
    other = Stamp("given", one.mask.flip(1), one.pattern.flip(1), "replace", one.bounds)
    attacks = [
        Fixed(stamp, all_to_one(target, CLASSES), rate=0.15)
        for stamp, target in ((one, TARGET), (other, 4))
    ]
    model = trained(attacks)
    for attack, target in zip(attacks, (TARGET, 4), strict=True):
        x = TEST.images[TEST.labels != target]
        assert share(model, attack.trigger(x), target) > 0.85


def test_is_seeded() -> None:
    one, two, other = (
        trained([], seed, Recipe(epochs=1, batch=20, shift=2, flip=True)) for seed in (3, 3, 4)
    )
    states = [torch.cat([p.detach().flatten() for p in m.parameters()]) for m in (one, two, other)]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_learned_trigger_learns() -> None:
    attack = InputAware(
        (1, 8, 8), all_to_one(TARGET, CLASSES), torch.Generator().manual_seed(0), rate=0.2
    )
    before = [p.detach().clone() for p in attack.trigger_parameters()]
    trained([attack], recipe=Recipe(epochs=1, batch=20, shift=0))
    changed = zip(attack.trigger_parameters(), before, strict=True)
    assert any(not torch.equal(new, old) for new, old in changed)
