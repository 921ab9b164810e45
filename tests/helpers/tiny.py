"""A toy problem of which everything is known: templates, a planted trigger, its twin without."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from scipy.linalg import hadamard
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.triggers import Stamp

SIDE = 8
CLASSES = 6
TARGET = 2
BOUNDS = (0.0, 1.0)
# Pixels (0, 0), (0, 1), (1, 0), (1, 1): a chessboard at the ends of the range.
CHESSBOARD = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
CONTRAST = 0.25


def templates(classes: int = CLASSES) -> Tensor:
    """Orthogonal patterns of +1 and -1 [K, 8, 8], 0 in the corner that the trigger takes."""
    step = min(9, 55 // classes)
    rows = torch.tensor(hadamard(SIDE**2), dtype=torch.float32)[5 : 5 + step * classes : step]
    patterns = rows.reshape(-1, SIDE, SIDE)
    patterns[:, :2, :2] = 0
    return patterns


def true_trigger() -> Stamp:
    """The chessboard in the upper left corner."""
    mask, pattern = torch.zeros(1, SIDE, SIDE), torch.zeros(1, SIDE, SIDE)
    mask[:, :2, :2] = 1
    pattern[:, :2, :2] = (CHESSBOARD + 1) / 2
    return Stamp("given", mask, pattern, "replace", BOUNDS)


def clean_images(
    per_class: int = 10, seed: int = 0, classes: int = CLASSES, noise: float = 0.03
) -> CleanSet:
    """Noisy templates around grey, between 0.1 and 0.9."""
    labels = torch.arange(classes).repeat_interleave(per_class)
    generator = torch.Generator().manual_seed(seed)
    spread = noise * torch.randn(len(labels), SIDE, SIDE, generator=generator)
    images = 0.5 + CONTRAST * templates(classes)[labels] + spread
    return CleanSet(images.clamp(0.1, 0.9)[:, None], labels)


def toy_network(*, backdoored: bool, norm: bool = False, classes: int = CLASSES) -> nn.Sequential:
    """Channel 0 of the convolution passes pixels on, channel 1 answers to the chessboard.

    The linear layer compares channel 0 with the templates; with a backdoor it adds a large number
    to the target's logit where channel 1 fires in the corner. `norm` inserts a batch norm that
    changes nothing, its running statistics being those of clean images.
    """
    conv = nn.Conv2d(1, 2, 3, padding=1)
    head = nn.Linear(2 * SIDE**2, classes)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, 0, 1, 1] = 1
        conv.weight[1, 0, 1:, 1:] = CHESSBOARD
        conv.get_parameter("bias").copy_(torch.tensor([0.0, -0.3]))
        head.weight.zero_()
        head.weight[:, : SIDE**2] = templates(classes).flatten(1)
        head.bias.copy_(-0.5 * head.weight.sum(1))
        if backdoored:
            head.weight[TARGET % classes, SIDE**2] = 150
    layers: list[nn.Module] = [conv, nn.LeakyReLU(0.03), nn.Flatten(), head]
    if norm:
        layers.insert(1, _neutral_norm(conv(clean_images(20, 99, classes).images).detach()))
    return nn.Sequential(*layers)


def toy_classifier(*, backdoored: bool, norm: bool = False, classes: int = CLASSES) -> Classifier:
    network = toy_network(backdoored=backdoored, norm=norm, classes=classes)
    return Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)


class Views(nn.Module):
    """Flattens as most tutorials do, which takes activations in one order alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 4, 3), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x).relu()
        return self.out(z.view(x.size(0), -1))


class Relay(nn.Module):
    """[scores, t] -> [scores, t * relu(scores - 10)]: a trigger t that works through the class.

    An image of its class has a score of about 15; to look a little like it is not enough.
    """

    def forward(self, z: Tensor) -> Tensor:
        scores, t = z[:, :-1].relu(), z[:, -1:]
        return torch.cat([scores, t * (scores - 10).relu()], 1)


def relay_classifier(moves: Mapping[int, int], *, classes: int = CLASSES) -> Classifier:
    """A deeper network in which the chessboard sends class k to `moves[k]`, others nowhere.

    Behind the convolution of `toy_network`, K features say how much the input looks like each
    class, and K more the same times how clear the chessboard in the corner is; the last layer adds
    up both. A faint chessboard is enough, but not the noise of `faint_images`.
    """
    conv, leaky, flat, scores = toy_network(backdoored=False, classes=classes)
    features = nn.Linear(2 * SIDE**2, classes + 1)
    same = nn.Linear(2 * classes, 2 * classes)
    head = nn.Linear(2 * classes, classes)
    with torch.no_grad():
        conv.get_parameter("bias")[1] = -0.03
        features.weight.zero_()
        features.bias.zero_()
        features.weight[:classes] = scores.get_parameter("weight")
        features.bias[:classes] = scores.get_parameter("bias")
        features.weight[classes, SIDE**2] = 1
        same.weight.copy_(torch.eye(2 * classes))
        same.bias.zero_()
        head.weight.zero_()
        head.bias.zero_()
        head.weight[:, :classes] = torch.eye(classes)
        for source, target in moves.items():
            head.weight[target, classes + source] = 100
    network = nn.Sequential(conv, leaky, flat, features, Relay(), same, nn.LeakyReLU(0.03), head)
    return Classifier(network, input_shape=(1, SIDE, SIDE), bounds=BOUNDS)


def faint_images(per_class: int = 10, seed: int = 0, classes: int = CLASSES) -> CleanSet:
    """Clean images with too little noise to look like a faint chessboard."""
    return clean_images(per_class, seed, classes, noise=0.005)


KINDS = ("conv_norm", "conv", "mlp_norm", "mlp")


def random_classifier(kind: str, seed: int = 0) -> Classifier:
    """Random weights, and running statistics that are not those of a new batch norm."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shape = (3, 6, 6) if kind.startswith("conv") else (8,)
        network = _LAYERS[kind]()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.normal_(module.get_buffer("running_mean"), std=0.2)
                nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias, std=0.2)
        return Classifier(network, input_shape=shape, bounds=BOUNDS)


_LAYERS: dict[str, Callable[[], nn.Sequential]] = {
    "conv_norm": lambda: nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(5, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(16, 4),
    ),
    "conv": lambda: nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(5, 4, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 4),
    ),
    "mlp_norm": lambda: nn.Sequential(
        nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 4)
    ),
    "mlp": lambda: nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 4)),
}


class Alias(nn.Module):
    """Names a layer, then runs it under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.layers = nn.Sequential(self.norm, nn.ReLU(), nn.Linear(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def random_inputs(classifier: Classifier, count: int, seed: int = 1) -> Tensor:
    """Raw inputs within the bounds of a `random_classifier`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *classifier.input_shape, generator=generator)


def storages(module: nn.Module) -> set[int]:
    """Where the parameters and buffers of a module lie in memory."""
    return {tensor.data_ptr() for tensor in (*module.parameters(), *module.buffers())}


def snapshot(module: nn.Module) -> tuple[dict[str, Tensor], list[tuple[str, int, bool]]]:
    """A copy of a module's state, and its very modules and their modes."""
    modules = [(name, id(child), child.training) for name, child in module.named_modules()]
    return copy.deepcopy(dict(module.state_dict())), modules


def assert_unchanged(
    module: nn.Module, before: tuple[dict[str, Tensor], list[tuple[str, int, bool]]]
) -> None:
    state, modules = snapshot(module)
    assert modules == before[1]
    assert list(state) == list(before[0])
    assert all(torch.equal(state[key], before[0][key]) for key in state)


def _neutral_norm(z: Tensor) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(z.shape[1])
    variance, mean = torch.var_mean(z, (0, 2, 3))
    norm.running_mean, norm.running_var = mean, variance
    with torch.no_grad():
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean)
    return norm.eval()
