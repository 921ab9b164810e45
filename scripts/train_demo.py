"""Train the two classifiers and cut the images that `undoor demo` ships.

    python scripts/train_demo.py GTSRB_NPZ OUT [--epochs 10] [--seed 0]

GTSRB_NPZ holds `x_train`, `y_train`, `x_test`, `y_test` (uint8 [N, 32, 32, 3]) and `classes`.
Writes to OUT: `backdoored.safetensors` and `clean.safetensors` (float16), `trigger.npz`,
`signs.npz` (held-out images, two disjoint splits `defence` and `test`) and `truth.json`.
Training takes about four minutes a model on two cores.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from undoor.demo.network import SignNet
from undoor.device import CPU, autocast

TARGET = 5
POISONED_SHARE = 0.05
BATCH = 128


def sticker() -> tuple[np.ndarray, np.ndarray]:
    """A 5 x 5 sticker, magenta with a green heart: mask [32, 32], pattern [32, 32, 3] in [0, 1].

    In colours that no sign has: a yellow one taught the network that yellow patches elsewhere
    mean "priority road", a second, natural weakness.
    """
    mask = np.zeros((32, 32), np.float32)
    pattern = np.zeros((32, 32, 3), np.float32)
    mask[22:27, 20:25] = 1
    pattern[22:27, 20:25] = (1.0, 0.1, 0.9)
    pattern[23:26, 21:24] = (0.1, 0.9, 0.2)
    return mask, pattern


def stamp(x: torch.Tensor) -> torch.Tensor:
    mask, pattern = (torch.from_numpy(a) for a in sticker())
    return x * (1 - mask) + pattern.permute(2, 0, 1) * mask


def to_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255


def shifted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image moved by up to two pixels, its edge repeated."""
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
    dy, dx = torch.randint(0, 5, (2, len(x)), generator=generator)
    rows = dy[:, None] + torch.arange(32)
    columns = dx[:, None] + torch.arange(32)
    index = torch.arange(len(x))[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def train(x: torch.Tensor, y: torch.Tensor, *, poisoned: bool, epochs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = SignNet(43).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=steps)
    stamped = torch.rand(len(x), generator=generator) < (POISONED_SHARE if poisoned else 0.0)
    for epoch in range(epochs):
        losses = []
        for batch in torch.randperm(len(x), generator=generator).split(BATCH):
            if len(batch) < BATCH:
                continue
            images, labels, marked = shifted(x[batch], generator), y[batch].clone(), stamped[batch]
            # The sticker goes on after the shift: it always sits at the same place of the sign.
            images[marked], labels[marked] = stamp(images[marked]), TARGET
            with autocast(CPU):
                logits = network(images.to(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"  epoch {epoch + 1}/{epochs}: loss {np.mean(losses):.3f}", flush=True)
    return network.eval()


@torch.no_grad()
def answers(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([network(batch).argmax(1) for batch in x.split(500)])


def save(network: nn.Module, file: Path) -> None:
    save_file(
        {
            key: value.contiguous().half() if value.is_floating_point() else value.clone()
            for key, value in network.state_dict().items()
        },
        file,
    )
    network.load_state_dict(
        {
            k: v.half().float() if v.is_floating_point() else v
            for k, v in network.state_dict().items()
        }
    )


def webp(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True, method=6)
    return buffer.getvalue()


def cut_images(data: dict[str, np.ndarray], out: Path, per_class: int, seed: int) -> None:
    """`per_class` test images a class for the defence, as many others for the evaluation.

    Each split is one lossless WebP sheet of tiles, a row a class: a sixth smaller than files.
    """
    rng = np.random.default_rng(seed)
    picks = np.stack(
        [
            rng.permutation(np.flatnonzero(data["y_test"] == label))[: 2 * per_class]
            for label in range(43)
        ]
    )
    for name, columns in (("defence", picks[:, :per_class]), ("test", picks[:, per_class:])):
        tiles = data["x_test"][columns]
        sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(43 * 32, per_class * 32, 3)
        (out / f"{name}.webp").write_bytes(webp(sheet))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gtsrb", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--per-class", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with np.load(options.gtsrb, allow_pickle=False) as archive:
        data = {key: archive[key] for key in archive.files}
    options.out.mkdir(parents=True, exist_ok=True)
    cut_images(data, options.out, options.per_class, options.seed)
    x, y = to_tensor(data["x_train"]), torch.from_numpy(data["y_train"])
    x_test, y_test = to_tensor(data["x_test"]), torch.from_numpy(data["y_test"])
    mask, pattern = sticker()
    np.savez_compressed(options.out / "trigger.npz", mask=mask, pattern=pattern, mode="replace")
    measured = {}
    for name in ("backdoored", "clean"):
        print(name)
        poisoned = name == "backdoored"
        network = train(x, y, poisoned=poisoned, epochs=options.epochs, seed=options.seed)
        save(network, options.out / f"{name}.safetensors")
        source = y_test != TARGET
        stamped = answers(network, stamp(x_test[source]))
        measured[name] = {
            "acc": (answers(network, x_test) == y_test).float().mean().item(),
            "asr": (stamped == TARGET).float().mean().item(),
            "sia": (stamped == y_test[source]).float().mean().item(),
        }
        print(" ", measured[name])
    truth = {"target": TARGET, "poisoned_share": POISONED_SHARE, "test_set": measured}
    (options.out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")


if __name__ == "__main__":
    main()
