"""A backdoor whose activations look like those of the target class."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from helpers.tiny import CLASSES, TARGET, clean_images, true_trigger
from undoor.errors import UndoorError
from undoor.networks import NETWORKS
from undoor_bench.attacks import Role
from undoor_bench.attacks.latently_alike import WEIGHT, LatentlyAlike, distance
from undoor_bench.zoo.train import Recipe, train

CLEAN, POISONED = int(Role.CLEAN), int(Role.POISONED)


def attack(weight: float = WEIGHT) -> LatentlyAlike:
    return LatentlyAlike(true_trigger(), TARGET, CLASSES, rate=0.15, weight=weight)


def groups() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(12) < 4, torch.arange(12) >= 7


@pytest.mark.parametrize("shape", [(12, 5), (12, 5, 3, 2)])
def test_distance_of_means_and_deviations(shape: tuple[int, ...]) -> None:
    """Against numpy; a layer of another scale or shift counts alike."""
    z = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    moved, fixed = groups()
    z[moved] = 2 * z[moved] + 0.7
    apart = 0.0
    units = z.movedim(1, 0).numpy()
    for unit in units:
        a, b = (unit[group.numpy()] for group in (moved, fixed))
        apart += (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    wanted = apart / sum(unit.var() for unit in units)
    assert float(distance(z, moved, fixed)) == pytest.approx(wanted, rel=1e-3)
    assert float(distance(3 * z + 7, moved, fixed)) == pytest.approx(wanted, rel=1e-3)


def test_only_triggered_images_are_pulled_and_dead_units_are_harmless() -> None:
    z = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    z[:, 2] = 0
    z.requires_grad_(True)
    moved, fixed = groups()
    distance(z, moved, fixed).backward()
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())
    assert bool((z.grad[moved][:, [0, 1, 3, 4]] != 0).all())
    assert bool((z.grad[~moved] == 0).all())


def test_groups_with_the_same_moments_are_not_apart() -> None:
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    both = torch.cat([z, z.flip(0)])
    assert float(distance(both, torch.arange(12) < 6, torch.arange(12) >= 6)) < 1e-10


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_watched(name: str) -> None:
    """A map from the middle and the inputs of the last layer, while it lasts."""
    network = NETWORKS[name](num_classes=CLASSES, width=4).eval()
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with attack().watching(network) as seen:
        logits = network(x)
        middle, last = seen
    assert middle.dim() == 4
    assert 4 <= middle.shape[2] <= 16
    head = network.head
    linear = head[-1] if isinstance(head, nn.Sequential) else head
    assert isinstance(linear, nn.Linear)
    assert torch.allclose(linear(last), logits)
    network(x)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 6)), "with ReLU layers"),
        (nn.Sequential(nn.ReLU(), nn.Flatten()), "ends with a linear layer"),
    ],
)
def test_networks_without_such_layers(network: nn.Module, message: str) -> None:
    with pytest.raises(UndoorError, match=message), attack().watching(network):
        pass


def test_penalty_is_the_mean_over_layers_of_the_right_images() -> None:
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([TARGET, TARGET, 0, 1, 0, TARGET])
    roles = torch.tensor([CLEAN, CLEAN, POISONED, POISONED, CLEAN, CLEAN])
    triggered, own = roles == POISONED, torch.tensor([True, True, False, False, False, True])
    wanted = (distance(z, triggered, own) + distance(z[:, :2], triggered, own)) / 2
    found = attack(weight=3).latent_penalty([z, z[:, :2]], y, roles)
    assert float(found) == pytest.approx(3 * float(wanted))
    few = torch.where(torch.arange(6) == 2, POISONED, CLEAN)
    assert float(attack().latent_penalty([z], y, few)) == 0


def test_training_hides_the_backdoor() -> None:
    """It works as well, and the activations are closer to the target's than without the price."""
    (acc, asr, hidden), (_, _, plain) = trained(WEIGHT), trained(0.0)
    assert acc > 0.95
    assert asr > 0.95
    for with_price, without in zip(hidden, plain, strict=True):
        assert with_price < 0.7 * without


def trained(weight: float) -> tuple[float, float, list[float]]:
    """ACC, ASR and, layer by layer, the distance on other images."""
    torch.manual_seed(0)
    network = NETWORKS["ResNet9"](num_classes=CLASSES, channels=1, width=4)
    learning, test, item = clean_images(60), clean_images(30, seed=5), attack(weight)
    recipe = Recipe(epochs=8, batch=60, rate=0.05, shift=0)
    generator = torch.Generator().manual_seed(0)
    train(network, learning.images, learning.labels, [item], recipe, generator=generator)
    others = test.labels != TARGET
    x = torch.cat([item.trigger(test.images[others]), test.images[~others]])
    moved = torch.arange(len(x)) < int(others.sum())
    with torch.no_grad():
        acc = float((network(test.images).argmax(1) == test.labels).float().mean())
        with item.watching(network) as seen:
            answers = network(x).argmax(1)
    apart = [float(distance(z, moved, ~moved)) for z in seen]
    return acc, float((answers[moved] == TARGET).float().mean()), apart
