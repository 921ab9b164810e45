"""Small models on disk, for fleets."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from helpers.tiny import SIDE, clean_images, toy_network
from undoor.fleet.job import Job

CLASSES, PER_CLASS = 5, 8
# So little that a scan takes less than a second; its verdict is inconclusive.
LITTLE = ("--max-passes", "300")
CODE = """
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.LeakyReLU(0.03), nn.Flatten(),
        nn.Linear({inputs}, {classes}),
    )
"""


def data_file(folder: Path, seed: int = 0) -> Path:
    """Clean images of the toy problem."""
    clean = clean_images(PER_CLASS, seed, classes=CLASSES)
    np.savez(folder / "clean.npz", x=clean.images.numpy(), y=clean.labels.numpy())
    return folder / "clean.npz"


def model_folder(folder: Path, *, backdoored: bool = False, shift: float = 0.0) -> Path:
    """A model.toml of the toy network with its code; `shift` makes it another model."""
    folder.mkdir(parents=True)
    state = toy_network(backdoored=backdoored, norm=True, classes=CLASSES).state_dict()
    state["4.bias"] = state["4.bias"] + shift
    save_file(state, folder / "w.safetensors")
    (folder / "net.py").write_text(CODE.format(inputs=2 * SIDE**2, classes=CLASSES))
    (folder / "model.toml").write_text(
        "[model]\nweights = 'w.safetensors'\narchitecture = 'net.py:net'\n"
        f"[input]\nshape = [1, {SIDE}, {SIDE}]\n"
    )
    return folder


def pretended() -> None:
    """Stands for the command line: does what the file of the model says.

    A verdict: writes and prints such a scan. "crash": dies as an interpreter does. "lost": is
    killed once for each byte that its file `left` holds. "refuse": fails as undoor does. "rubbish":
    ends with 1 and no result. "slow": takes a minute, or less once there is a file `now`.
    "rewritten": becomes another model.
    """
    arguments = sys.argv[1:]
    model, out = Path(arguments[1]), Path(arguments[arguments.index("--out") + 1])
    word = model.read_text()
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "lost":
        _be_killed(model.with_name("left"), out)
    if word == "refuse":
        error = {"schema": "undoor/error/2", "message": "no such class", "what_to_do": "name one"}
        sys.stdout.write(json.dumps(error))
        raise SystemExit(4)
    if word == "rubbish":
        raise SystemExit(1)
    if word == "slow" and not model.with_name("now").exists():
        time.sleep(60)
    if word == "rewritten":
        model.write_text("another model")
    verdict = word if word in ("clean", "backdoored", "inconclusive") else "clean"
    scan = scan_document(verdict)
    out.mkdir(parents=True, exist_ok=True)
    (out / "scan.json").write_text(json.dumps(scan))
    sys.stdout.write(json.dumps(scan))
    with model.with_name("calls").open("a") as calls:
        calls.write(f"{model.name}\n")
    raise SystemExit({"clean": 0, "backdoored": 1, "inconclusive": 2}[verdict])


def _be_killed(left: Path, out: Path) -> None:
    """Die as often as there are bytes left, each time one finished step further."""
    count = left.stat().st_size
    if count:
        left.write_bytes(b"x" * (count - 1))
        steps = out / ".undoor-run"
        steps.mkdir(parents=True, exist_ok=True)
        (steps / f"search-{count}.npz").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def scan_document(verdict: str) -> dict[str, Any]:
    """What a fleet reads of a scan.json."""
    target = {"target": 1, "family": "patch", "p_value": 0.001, "asr_on_clean_set": 0.9}
    return {
        "verdict": verdict,
        "class_names": ["stop", "yield"],
        "targets": [target] if verdict == "backdoored" else [],
        "reasons": [{"text": f"because of {verdict}"}],
        "causes": ["budget"] if verdict == "inconclusive" else [],
        "model_sha256": "0" * 64,
        "seconds": 1.5,
        "passes": 100,
        "date": "2026-01-01T00:00:00Z",
    }


def pretended_jobs(folder: Path, **words: str) -> list[Job]:
    """Jobs whose models are files that say what `pretended` does."""
    (folder / "clean.npz").write_bytes(b"data")
    for name, word in words.items():
        (folder / f"{name}.pt").write_text(word)
    data = str(folder / "clean.npz")
    return [Job(name, str(folder / f"{name}.pt"), data) for name in words]


def calls(folder: Path) -> list[str]:
    """The models that `pretended` has examined, in order."""
    file = folder / "calls"
    return file.read_text().split() if file.exists() else []
