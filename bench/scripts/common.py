"""What the scripts share."""

from __future__ import annotations

import datetime
import json
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

import undoor
from undoor.align.cross_validation import CrossValidation
from undoor.evaluate import Evaluation
from undoor.files import write_json
from undoor.rate import Rate
from undoor.sites import find_sites
from undoor.target_repair import cross_validation_of, max_inputs
from undoor.triggers import Trigger
from undoor_bench.zoo.data_sets import read_arrays
from undoor_bench.zoo.subjects import drawn

MAX_TESTED = 3000
# What differs from one scan to the same scan again, wherever it stands in a document: the texts of
# reasons, which are made of their codes and facts, name seconds.
VARYING = ("seconds", "date", "text")
# The command line of undoor, and then what the process took.
COMMAND = """
import time
from undoor.cli import main
try:
    main()
finally:
    print("cpu", time.process_time(), open("/proc/self/status").read())
"""


def copy_models(zoo: Path, demo: Path, backdoored: str, clean: str) -> None:
    """Put two models of a zoo, by name, into the folder of a demo, in place of those there."""
    for name, model in (("backdoored", backdoored), ("clean", clean)):
        shutil.rmtree(demo / name, ignore_errors=True)
        shutil.copytree(zoo / model, demo / name)


def machine() -> str:
    """Where and when something was measured."""
    today = datetime.datetime.now(datetime.UTC).date()
    threads = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    return f"{platform.machine()}, {threads}, {today}"


def measured_command(arguments: list[str], record: Path) -> dict[str, float]:
    """What a command of undoor took in a process of its own, which is run once."""
    if not record.is_file():
        started = time.perf_counter()
        command = [sys.executable, "-c", COMMAND, *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        cpu = re.findall(r"^cpu ([\d.]+)", done.stdout, re.MULTILINE)[-1]
        peak = re.findall(r"VmHWM:\s*(\d+) kB", done.stdout)[-1]
        seconds = time.perf_counter() - started
        write_json(
            record,
            {
                "exit_code": done.returncode,
                "seconds": round(seconds),
                "cpu_seconds": round(float(cpu)),
                "peak_mb": round(int(peak) / 1024),
            },
        )
    return dict(json.loads(record.read_text()))


def before_and_after(found: Evaluation) -> dict[str, dict[str, float | None]]:
    """The rates of a model without and with its guard."""
    return {
        name: {key: rate.value for key, rate in rates.items() if isinstance(rate, Rate)}
        for name, rates in (("before", found.before), ("after", found.after))
    }


def split(file: Path, per_class: int, seed: int) -> tuple[undoor.CleanSet, undoor.CleanSet]:
    """`per_class` test images a class for the defence; up to 3,000 others for the evaluation.

    file : an .npz with x_test and y_test.
    """
    x, y = read_arrays(file, "test")
    defence, others = drawn(y, per_class, seed)
    rest = others[:MAX_TESTED]
    return (
        undoor.CleanSet.from_arrays(x[defence], y[defence]),
        undoor.CleanSet.from_arrays(x[rest], y[rest]),
    )


def oracle_bench(
    classifier: undoor.Classifier,
    clean: undoor.CleanSet,
    trigger: Trigger,
    target: int,
    fpr: float,
) -> CrossValidation:
    """What plans are tried on when the true trigger is known, all other classes being sources.

    fpr : the share of clean inputs answered with the target that may be flagged.
    """
    clean = clean.for_classifier(classifier)
    network, generator = classifier.fast_copy(), torch.Generator().manual_seed(0)
    most, sources = max_inputs(find_sites(network)), clean.labels != target
    return cross_validation_of(network, clean, target, sources, [trigger], fpr, most, generator)


def fleet_files(out: Path) -> dict[str, Any]:
    """The results of a fleet; seconds and dates, which differ, left out."""
    found: dict[str, Any] = {"fleet.json": (out / "fleet.json").read_text()}
    for file in sorted(out.glob("results/*/*")):
        if file.name == "scan.json":
            found[str(file.relative_to(out))] = _fixed(json.loads(file.read_text()))
        elif file.suffix in (".npz", ".safetensors"):
            found[str(file.relative_to(out))] = file.read_bytes()
    return found


def _fixed(document: Any) -> Any:
    """A document without the values that vary."""
    if isinstance(document, dict):
        return {key: _fixed(value) for key, value in document.items() if key not in VARYING}
    return [*map(_fixed, document)] if isinstance(document, list) else document
