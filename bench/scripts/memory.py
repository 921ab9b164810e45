"""The most resident memory of a scan and of a repair, beside what `--memory` allows them.

    python bench/scripts/memory.py ZOO DATA OUT.json [--sides 32,64,128,224] [--memory 1GB,2GB]

The network is a ResNet-9 of the zoo with a new readout, fitted to the enlarged images, so that it
knows them. The scan ends after 12,000 sample passes, when the families that need most are done; the
repair is of the class that stands out most. On Linux.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import machine, split
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

import undoor
from undoor.cli.runs import size
from undoor.files import write_json

NETWORK = "cifar10_ResNet9_clean_0"
PER_CLASS = 10
PASSES = 12_000
RIDGE = 1e-3
# Of the process itself: what the system tells its parent counts what the parent held, too.
PEAK = "peak"
COMMAND = f"""
import re
from undoor.cli import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    open("{PEAK}", "w").write(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1])
"""
UNBOUNDED = "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sides", default="32,64,128,224")
    parser.add_argument("--memory", default=f"{UNBOUNDED},2GB,1GB")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for side in map(int, options.sides.split(",")):
        for memory in options.memory.split(","):
            with tempfile.TemporaryDirectory() as folder:
                rows += measured(options.zoo, options.data, Path(folder), side, memory)
            written = {"machine": machine(), "network": NETWORK, "per_class": PER_CLASS}
            write_json(options.out, {**written, "passes": PASSES, "rows": rows})
            print(rows[-2:])


def measured(zoo: Path, data: Path, folder: Path, side: int, memory: str) -> list[dict[str, Any]]:
    """A line for the scan and one for the repair of images of this side."""
    enlarge(zoo, data, folder, side)
    given = [] if memory == UNBOUNDED else ["--memory", memory]
    common = ["m", "--data", "images.npz", *given]
    commands = {
        "scan": ["scan", *common, "--out", "s", "--max-passes", str(PASSES), "--exit-zero"],
        "repair": ["repair", *common, "--out", "r", "--scan", "s", "--suspects", "1"],
    }
    rows = []
    for name, arguments in commands.items():
        code, peak, seconds, said = run(arguments, folder)
        rows.append(
            {
                "side": side,
                "memory": None if memory == UNBOUNDED else size(memory),
                "command": name,
                "exit_code": code,
                "peak": peak,
                "seconds": seconds,
                "refused": said if "--memory: expected" in said else None,
            }
        )
    return rows


def enlarge(zoo: Path, data: Path, folder: Path, side: int) -> None:
    """m/ and images.npz in `folder`: images of this side and a network that knows them."""
    clean, _ = split(data / "cifar10.npz", PER_CLASS, 0)
    classifier = undoor.load(zoo / NETWORK)
    small = clean.for_classifier(classifier).images
    large = nn.functional.interpolate(small, size=(side, side), mode="bicubic").clamp(0, 1)
    network = classifier.network
    with torch.no_grad():
        head = network.get_submodule("head")
        assert isinstance(head, nn.Linear)
        head.weight[:], head.bias[:] = readout(features(network, large), clean.labels)
    model = folder / "m"
    model.mkdir()
    save_file(network.state_dict(), model / "weights.safetensors")
    told = (zoo / NETWORK / "model.toml").read_text().replace("[3, 32, 32]", f"[3, {side}, {side}]")
    (model / "model.toml").write_text(told)
    np.savez(folder / "images.npz", x=pixels(large), y=clean.labels.numpy())


def features(network: nn.Module, x: Tensor) -> Tensor:
    """What the readout gets, [N, D]."""
    seen: list[Tensor] = []
    head = network.get_submodule("head")
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for part in x.split(16):
        network(part)
    hook.remove()
    return torch.cat(seen)


def readout(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [K, D] and bias [K] of the ridge regression on 10 times the indicators of classes."""
    ones = torch.cat([z, torch.ones(len(z), 1)], 1).double()
    wanted = 10 * nn.functional.one_hot(labels).double()
    gram = ones.T @ ones + RIDGE * len(z) * torch.eye(ones.shape[1], dtype=torch.double)
    both = torch.linalg.solve(gram, ones.T @ wanted).float().T
    return both[:, :-1], both[:, -1]


def pixels(x: Tensor) -> NDArray[np.uint8]:
    """[N, H, W, C]."""
    return (255 * x).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def run(arguments: list[str], folder: Path) -> tuple[int, int, float, str]:
    """Exit code, largest resident set in bytes, seconds, and what was said on stderr."""
    started = time.perf_counter()
    command = [sys.executable, "-c", COMMAND, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    peak = int((folder / PEAK).read_text()) * 1024
    return done.returncode, peak, seconds, " ".join(done.stderr.split())[-300:]


if __name__ == "__main__":
    main()
