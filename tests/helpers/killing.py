"""Commands in processes of their own, killed at random moments and begun again."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from safetensors.torch import save_file

from helpers import forked
from helpers.tiny import SIDE, clean_images, toy_network
from undoor import journal

CLASSES, PER_CLASS = 5, 8
NETS = """
import sys
sys.path.insert(0, {tests!r})
from helpers.tiny import toy_network

def net():
    return toy_network(backdoored=True, norm=True, classes={classes})
"""
# Drafts of searches are kept oftener than every few seconds, since these scans take as long.
DRAFT_EVERY = 0.1
KEPT = ".undoor-run"


@dataclass(frozen=True)
class Kill:
    """after : seconds of processor time. at_work : whether it was still running.
    steps, drafts : what was kept then. identical : whether the next run ended in the same files."""

    after: float
    at_work: bool
    steps: int
    drafts: int
    identical: bool


def prepared(folder: Path, command: str) -> list[str]:
    """A small backdoored model and images on disk, and the `command` that scans or repairs it."""
    clean = clean_images(PER_CLASS, classes=CLASSES)
    network = toy_network(backdoored=True, norm=True, classes=CLASSES)
    save_file(network.state_dict(), folder / "m.safetensors")
    nets = NETS.format(tests=str(Path(__file__).parents[1]), classes=CLASSES)
    (folder / "nets.py").write_text(nets)
    np.savez(folder / "clean.npz", x=clean.images.numpy(), y=clean.labels.numpy())
    model = [str(folder / "m.safetensors"), "--architecture", f"{folder / 'nets.py'}:net"]
    data = ["--data", str(folder / "clean.npz"), "--input-shape", f"1,{SIDE},{SIDE}"]
    return [command, *model, *data]


# On a page: seconds, date, and the hash of the report that holds both.
VARYING = re.compile(
    r"Time of the scan</th><td>[\d.]+ s|Date</th><td>[^<]*|scanned [\d-]+T[\d:]+Z"
    r"|Scan report \(scan\.json\)</th><td>\w+"
)


def result(command: Sequence[str], out: Path) -> dict[str, object]:
    """Run to the end: all files of the result, by name; seconds and dates, which differ, left
    out."""
    run = forked.undoor(*command, "--out", out)
    assert run.returncode in (0, 1), run.stderr
    left = [file.name for file in out.iterdir() if file.name.startswith(".")]
    assert left == [], left
    files: dict[str, object] = {file.name: file.read_bytes() for file in out.iterdir()}
    for name in {"scan.json", "repair.json"} & files.keys():
        files[name] = json.loads((out / name).read_text()) | {"seconds": 0, "date": None}
    page = (out / "report.html").read_text()
    files["report.html"] = VARYING.sub("", page)
    return files


def kill(command: Sequence[str], out: Path, after: float) -> bool:
    """Start a run and kill it after so many seconds; whether it was still at work."""
    with Path(os.devnull).open("wb") as quiet:
        run = forked.start(*command, "--out", out, stdout=quiet.fileno(), stderr=quiet.fileno())
    started = time.perf_counter()
    while not os.waitpid(run, os.WNOHANG)[0]:
        if computed(run, started) >= after:
            os.kill(run, signal.SIGKILL)
            os.waitpid(run, 0)
            return True
        time.sleep(0.003)
    return False


def computed(pid: int, started: float) -> float:
    """Seconds of processor time, which other work on the machine does not change; where the system
    does not tell, since `started`."""
    try:
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return time.perf_counter() - started
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def killed(folder: Path, count: int, seed: int, name: str = "scan") -> list[Kill]:
    """`count` runs of the command, each killed once at a random moment and run again to its end."""
    with mock.patch.object(journal, "DRAFT_EVERY", DRAFT_EVERY):
        return _killed(folder, count, seed, prepared(folder, name))


def _killed(folder: Path, count: int, seed: int, command: Sequence[str]) -> list[Kill]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    expected = result(command, folder / "whole")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    draw = random.Random(seed)
    kills = []
    for index in range(count):
        out, after = folder / f"out{index}", draw.uniform(0, whole)
        at_work = kill(command, out, after)
        steps, drafts = (len([*(out / KEPT).glob(kind)]) for kind in ("*.npz", "*.draft"))
        identical = result(command, out) == expected
        kills.append(Kill(round(after, 2), at_work, steps, drafts, identical))
    return kills
