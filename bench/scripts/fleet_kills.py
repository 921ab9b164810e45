"""Kill processes of a fleet at random moments, then its driver, and compare what comes out.

python bench/scripts/fleet_kills.py MODELS DATA OUT.json WORKERS_KILLED DRIVERS_KILLED \
    [OPTIONS OF undoor fleet scan ...]
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import fleet_files, machine

from undoor.files import write_json

UNDOOR = [sys.executable, "-c", "from undoor.cli import main; main()", "fleet", "scan"]
# Seconds between two kills: long enough that a model comes further, short enough to hurt.
PAUSE = (2.0, 15.0)


def parents() -> dict[int, int]:
    """The parent of every process, as Linux tells."""
    out = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            out[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return out


def workers_of(driver: int) -> list[int]:
    """The processes that examine models: children of the one that they are copies of."""
    known = parents()
    servers = [child for child, parent in known.items() if parent == driver]
    return [child for child, parent in known.items() if parent in servers]


def killed(command: list[str], workers: int, drivers: int, seed: int) -> dict[str, int]:
    """Run a fleet to its end, killing on the way; how many kills met a process at work."""
    draw, done = random.Random(seed), {"workers": 0, "drivers": 0}
    while True:
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while driver.poll() is None:
            time.sleep(draw.uniform(*PAUSE))
            at_work = workers_of(driver.pid)
            if done["workers"] < workers and at_work:
                os.kill(draw.choice(at_work), signal.SIGKILL)
                done["workers"] += 1
            elif done["drivers"] < drivers and at_work:
                driver.kill()
                done["drivers"] += 1
        if driver.wait() != -signal.SIGKILL:
            return done


def main(
    models: str, data: str, out: str, workers: str, drivers: str, *options: str, seed: int = 0
) -> None:
    with tempfile.TemporaryDirectory() as place:
        whole, hurt = Path(place, "whole"), Path(place, "hurt")
        command = [*UNDOOR, models, "--data", data, "--exit-zero", *options, "--out"]
        subprocess.run([*command, str(whole)], check=True, capture_output=True)
        done = killed([*command, str(hurt)], int(workers), int(drivers), seed)
        same = fleet_files(whole) == fleet_files(hurt)
        count = len(json.loads((whole / "fleet.json").read_text())["models"])
    given = ["python bench/scripts/fleet_kills.py", models, data, out, workers, drivers, *options]
    summary = {
        "command": " ".join(given),
        "machine": machine(),
        "models": count,
        "killed": done,
        "identical": same,
    }
    write_json(Path(out), summary)
    print(summary)


if __name__ == "__main__":
    main(*sys.argv[1:])
