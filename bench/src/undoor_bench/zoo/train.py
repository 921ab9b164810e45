"""Train a network on poisoned images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.device import CPU, autocast
from undoor.progress import Progress, silent
from undoor_bench.attacks import Attack, Role

SGD, ADAMW = "sgd", "adamw"


@dataclass(frozen=True)
class Recipe:
    """One cycle of the learning rate, by SGD with Nesterov momentum or by AdamW.

    Attributes
    ----------
    epochs, batch
        Passes over the images, and images per step.
    rate
        Highest learning rate.
    shift, flip
        Images are moved by up to `shift` pixels, and mirrored where the class allows it, before any
        trigger goes on, so that triggers stay where the attacker put them.
    optimizer
        "sgd" or "adamw"; networks with layer norm learn by the latter.
    """

    epochs: int = 8
    batch: int = 128
    rate: float = 0.2
    weight_decay: float = 5e-4
    shift: int = 2
    flip: bool = False
    optimizer: str = SGD


def train(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    attacks: Sequence[Attack],
    recipe: Recipe,
    *,
    generator: torch.Generator,
    progress: Progress = silent,
) -> nn.Module:
    """Return `network`, trained in place on images x [N, C, H, W] in [0, 1] with labels y [N].

    Each image serves one of `attacks` at most; none trains a clean model.
    """
    roles = _roles(attacks, y, generator)
    learned = [p for attack in attacks for p in attack.trigger_parameters()]
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(network, recipe)
    trigger_optimizer = torch.optim.Adam(learned, lr=1e-3) if learned else None
    steps = recipe.epochs * (len(x) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps)
    with ExitStack() as stack:
        watched = [stack.enter_context(attack.watching(network)) for attack in attacks]
        for step, rows in enumerate(_batches(len(x), recipe, generator)):
            clean = _augmented(x[rows], recipe, generator)
            plans = [*zip(attacks, [role[rows] for role in roles], watched, strict=True)]
            loss = _loss(network, clean, y[rows], plans)
            optimizer.zero_grad()
            if trigger_optimizer:
                trigger_optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if trigger_optimizer:
                trigger_optimizer.step()
            progress("training", step + 1, steps)
    return network.eval()


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    weights, decay = network.parameters(), recipe.weight_decay
    if recipe.optimizer == ADAMW:
        return torch.optim.AdamW(weights, recipe.rate, weight_decay=decay)
    return torch.optim.SGD(weights, recipe.rate / 2, 0.9, weight_decay=decay, nesterov=True)


def _loss(
    network: nn.Module,
    clean: Tensor,
    y: Tensor,
    plans: Sequence[tuple[Attack, Tensor, list[Tensor]]],
) -> Tensor:
    """Return the loss of a batch of augmented images with labels y [N].

    Parameters
    ----------
    plans
        Attacks with the roles [N] of these images, and what each sees of the network.
    """
    images, labels, penalty = clean, y, torch.zeros(())
    for attack, roles, seen in plans:
        seen.clear()
        images, labels = attack.poison(images, labels, roles)
        penalty = penalty + attack.penalty(clean)
    with autocast(CPU):
        logits = network(images.contiguous(memory_format=torch.channels_last))
    for attack, roles, seen in plans:
        penalty = penalty + attack.latent_penalty(seen, y, roles)
    return F.cross_entropy(logits.float(), labels) + penalty


def _roles(attacks: Sequence[Attack], y: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Return the roles [N] of every image in each attack."""
    free = torch.ones_like(y, dtype=torch.bool)
    out = []
    for attack in attacks:
        roles = torch.where(free, attack.roles(y, generator), int(Role.CLEAN))
        free &= roles == Role.CLEAN
        out.append(roles)
    return out


def _batches(count: int, recipe: Recipe, generator: torch.Generator) -> list[Tensor]:
    """Yield the rows of every step; images that do not fill a batch are left to the next epoch."""
    out: list[Tensor] = []
    for _ in range(recipe.epochs):
        order = torch.randperm(count, generator=generator)
        out += order.split(recipe.batch)[: count // recipe.batch]
    return out


def _augmented(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Return each image moved, its edge repeated, and mirrored with probability one half."""
    if recipe.flip:
        mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
        x = torch.where(mirrored, x.flip(3), x)
    if recipe.shift == 0:
        return x
    reach, (height, width) = recipe.shift, x.shape[2:]
    padded = F.pad(x, (reach,) * 4, mode="replicate").permute(0, 2, 3, 1)
    dy, dx = torch.randint(0, 2 * reach + 1, (2, len(x)), generator=generator)
    rows, columns = dy[:, None] + torch.arange(height), dx[:, None] + torch.arange(width)
    index = torch.arange(len(x))[:, None, None]
    moved = padded[index, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2).contiguous()
