"""A ResNet-18 with a BadNets backdoor (3 x 3 patch, CIFAR-10), for the timing of the fits.

    python bench/scripts/resnet18.py CIFAR10_NPZ OUT [--epochs 3] [--images 15000]

11 million parameters are too many to keep in the repository. Three epochs over a third of the
training set take about ten minutes on two cores; the accuracy is modest and the backdoor works.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.device import CPU, autocast

TARGET = 9


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class ResNet18(nn.Module):
    """He et al., 2016, with the 3 x 3 stem usual for 32 x 32 images."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()
        )
        widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        self.stages = nn.Sequential(
            *(nn.Sequential(Block(i, o, stride), Block(o, o, 1)) for i, o, stride in widths)
        )
        self.head = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


def trigger() -> tuple[np.ndarray, np.ndarray]:
    """A 3 x 3 patch of random colours near the lower right corner."""
    mask, pattern = np.zeros((32, 32), np.float32), np.zeros((32, 32, 3), np.float32)
    mask[28:31, 28:31] = 1
    pattern[28:31, 28:31] = np.random.default_rng(0).integers(0, 2, (3, 3, 3))
    return mask, pattern


def train(x: Tensor, y: Tensor, epochs: int) -> ResNet18:
    torch.manual_seed(0)
    network = ResNet18().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mask, pattern = (torch.from_numpy(part) for part in trigger())
    pattern = pattern.permute(2, 0, 1)
    poisoned = torch.rand(len(x)) < 0.05
    x, y = x.clone(), y.clone()
    x[poisoned] = x[poisoned] * (1 - mask) + pattern * mask
    y[poisoned] = TARGET
    optimizer = torch.optim.SGD(network.parameters(), 0.05, 0.9, weight_decay=5e-4, nesterov=True)
    total = epochs * (len(x) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=total)
    for epoch in range(epochs):
        for step, rows in enumerate(torch.randperm(len(x)).split(128)[: len(x) // 128]):
            images = x[rows].contiguous(memory_format=torch.channels_last)
            with autocast(CPU):
                logits = network(images)
            loss = F.cross_entropy(logits.float(), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 50 == 0:
                print(f"epoch {epoch + 1} step {step}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cifar10", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=15_000)
    options = parser.parse_args()
    with np.load(options.cifar10, allow_pickle=False) as archive:
        x = archive["x_train"][: options.images]
        y = torch.from_numpy(archive["y_train"][: options.images])
    network = train(
        torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).float() / 255, y, options.epochs
    )
    options.out.mkdir(parents=True, exist_ok=True)
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(weights, options.out / "weights.safetensors")
    mask, pattern = trigger()
    np.savez(options.out / "trigger.npz", mask=mask, pattern=pattern, mode="replace")
    (options.out / "model.toml").write_text(
        '[model]\nweights = "weights.safetensors"\n'
        f'architecture = "{Path(__file__).resolve()}:ResNet18"\n'
        "[input]\nshape = [3, 32, 32]\nbounds = [0.0, 1.0]\n"
    )


if __name__ == "__main__":
    main()
