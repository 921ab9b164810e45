"""What reading a network's graph and asking it twice say of known models, and what they cost.

    python bench/scripts/scrutiny.py ZOO... --out DIR [--data DATA]

Every folder with a model.toml below a ZOO is looked at; none of these models is wrapped, so that
each reason is a false one. DATA holds <name>.npz (x_test, y_test) for the data sets that the models
name; of models of other data, random inputs are used. The seconds are given in forward passes of
one image, and the passes as a share of the 80,000 of the shortest scans.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import tomllib
from pathlib import Path
from typing import Any

import torch
from common import machine
from torch import Tensor

import undoor
from undoor.files import write_json
from undoor.inversion.meter import Meter
from undoor.scrutiny import scrutinise
from undoor_bench.zoo.data_sets import read_arrays

INPUTS = 64
SHORTEST_SCAN = 80_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoos", type=Path, nargs="+", metavar="ZOO")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    folders = sorted(file.parent for zoo in options.zoos for file in zoo.glob("*/model.toml"))
    options.out.mkdir(parents=True, exist_ok=True)
    # A run that was killed goes on where it was.
    journal = options.out / "records.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    records = [json.loads(line) for line in lines]
    known = {record["model"] for record in records}
    with journal.open("a") as stream:
        for folder in folders:
            if folder.name not in known:
                records.append(record_of(folder, options.data))
                stream.write(f"{json.dumps(records[-1])}\n")
                stream.flush()
    false = [record["model"] for record in records if record["reasons"]]
    seconds = sorted(record["seconds"] for record in records)
    summary = {
        "command": "python bench/scripts/scrutiny.py ZOO PUBLIC_ZOO --data DATA --out OUT",
        "machine": f"{machine()}, {processor()}",
        "models": len(records),
        "with_clean_images": sum(record["clean_images"] for record in records),
        "false_reasons": len(false),
        "named": false,
        "median_seconds": seconds[len(seconds) // 2],
        "largest_seconds": seconds[-1],
        "most_passes": max(record["passes"] for record in records),
        "largest_share_of_shortest_scan": max(r["passes"] for r in records) / SHORTEST_SCAN,
        "records": records,
    }
    write_json(options.out / "scrutiny.json", summary)
    print(json.dumps({k: v for k, v in summary.items() if k != "records"}, indent=1))


def record_of(folder: Path, data: Path | None) -> dict[str, Any]:
    """Of one model: the reasons, which are false, passes and seconds."""
    classifier = undoor.load(folder, trust_code=True)
    x = clean_inputs(folder, classifier, data)
    meter = Meter()
    started = time.perf_counter()
    found = scrutinise(classifier.counted(meter), x)
    seconds = time.perf_counter() - started
    return {
        "model": folder.name,
        "clean_images": x is not None,
        "reasons": list(found.sentences),
        "passes": round(meter.passes),
        "seconds": round(seconds, 2),
        "forward_passes": round(seconds / seconds_per_image(classifier)),
    }


def clean_inputs(folder: Path, classifier: undoor.Classifier, data: Path | None) -> Tensor | None:
    """Some test images of the model's data set, or None."""
    name = data_set_of(folder)
    if data is None or not (data / f"{name}.npz").exists():
        return None
    x, y = read_arrays(data / f"{name}.npz", "test")
    clean = undoor.CleanSet.from_arrays(x[:INPUTS], y[:INPUTS])
    return clean.for_classifier(classifier, require_several_classes=False).images


def data_set_of(folder: Path) -> str:
    """As truth.json or model.toml names it; turned signs are those of GTSRB."""
    truth = folder / "truth.json"
    if truth.exists():
        return str(json.loads(truth.read_text()).get("data", "")).removesuffix("_turned")
    tables = tomllib.loads((folder / "model.toml").read_text())
    return str(tables.get("data", {}).get("name", ""))


@torch.no_grad()
def seconds_per_image(classifier: undoor.Classifier) -> float:
    """Of a forward pass, in a batch."""
    x = torch.zeros(INPUTS, *classifier.input_shape)
    classifier(x)
    started = time.perf_counter()
    classifier(x)
    return (time.perf_counter() - started) / INPUTS


def processor() -> str:
    """The name of the CPU, where the system says it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
