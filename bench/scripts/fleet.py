"""What a fleet costs: each part of one task, and more workers, or Ray, against one worker.

python bench/scripts/fleet.py MODELS DATA OUT.json [OPTIONS OF undoor fleet scan ...]

MODELS : a folder of models, or a pattern. DATA : their clean data. Options, such as --per-class 10
or --max-passes 20000, hold for every model.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import fleet_files, machine

import undoor
from undoor.clean_set import read_clean_set
from undoor.cli import main
from undoor.files import write_json
from undoor.fleet.sources import distinct, find_models
from undoor.fleet.worker import Call, run

# Options of each run, by name. A Ray cluster on this machine takes as many processes as there are
# cores.
RUNS = {
    "1": ("--workers", "1"),
    "2": ("--workers", "2"),
    "4": ("--workers", "4"),
    "ray": ("--ray", "local"),
}
UNDOOR = [sys.executable, "-c", "from undoor.cli import main; main()"]


def seconds(work: Any) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 3)


def starts(folder: Path) -> dict[str, float]:
    """The first process of a fleet imports everything; the others are copies of it."""
    call = Call(("--version",), folder / "out", folder / "log")
    return {"first": seconds(lambda: run(main, call)), "further": seconds(lambda: run(main, call))}


def fleet(models: str, data: str, out: Path, options: list[str]) -> float:
    """The seconds of a fleet in a process of its own."""
    command = [*UNDOOR, "fleet", "scan", models, "--data", data, "--out", str(out)]
    command += ["--exit-zero", *options]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def tasks(models: str, data: str, out: Path, options: list[str]) -> list[dict[str, Any]]:
    """What each model of a fleet has cost: its load is measured again, alone."""
    given = dict(pairwise(options))
    per_class = int(given["--per-class"]) if "--per-class" in given else None
    found = find_models([models], out / "downloads")
    names = distinct([item.parts for item in found])
    paths = {item.path: name for item, name in zip(found, names, strict=True)}
    rows = []
    for entry in json.loads((out / "fleet.json").read_text())["models"]:
        folder = out / entry["folder"]
        scan = json.loads((folder / "scan.json").read_text())

        def load(path: str = entry["model"]) -> None:
            classifier = undoor.load(path, trust_code="--trust-code" in options)
            read_clean_set(
                data, split=given.get("--split"), classifier=classifier, per_class=per_class
            )

        load()
        rows.append(
            {
                "name": paths[entry["model"]],
                "verdict": entry["verdict"],
                "load": seconds(load),
                "scan": round(scan["seconds"], 2),
                "passes": scan["passes"],
                "bytes": sum(f.stat().st_size for f in folder.iterdir() if f.is_file()),
                "ended": max(f.stat().st_mtime for f in folder.iterdir()),
            }
        )
    return sorted(rows, key=lambda row: row["ended"])


def with_rest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One worker does one task after the other: what is neither load nor scan starts and writes."""
    out = []
    for before, row in zip([None, *rows[:-1]], rows, strict=True):
        whole = None if before is None else row["ended"] - before["ended"]
        rest = None if whole is None else round(whole - row["load"] - row["scan"], 2)
        out.append({key: value for key, value in row.items() if key != "ended"} | {"rest": rest})
    return out


def measured(models: str, data: str, out: str, *options: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        started = starts(folder)
        whole = {
            run: fleet(models, data, folder / run, [*more, *options]) for run, more in RUNS.items()
        }
        first, *others = (fleet_files(folder / run) for run in RUNS)
        summary = {
            "command": " ".join(["python bench/scripts/fleet.py", models, data, out, *options]),
            "machine": machine(),
            "start": started,
            "seconds": whole,
            "speed_of_two": round(whole["1"] / whole["2"], 2),
            "models": len(json.loads(first["fleet.json"])["models"]),
            "same_files": {
                run: files == first for run, files in zip([*RUNS][1:], others, strict=True)
            },
            "tasks": with_rest(tasks(models, data, folder / "1", list(options))),
        }
    write_json(Path(out), summary)
    print({key: summary[key] for key in ("start", "seconds", "speed_of_two", "same_files")})


if __name__ == "__main__":
    measured(*sys.argv[1:])
