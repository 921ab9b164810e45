"""What a scan costs beside mask inversion: the same model, images and process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import undoor
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.files import write_json
from undoor.identity.tensors import weights_sha256
from undoor.progress import Progress, silent
from undoor.scan import Budget
from undoor_bench.cost.extrapolate import total
from undoor_bench.cost.mask_inversion import Inversion, Settings, invert_class
from undoor_bench.records import Record
from undoor_bench.zoo.subjects import Subject, defence_images


def measure_cost(
    subject: Subject,
    data: Path,
    out: Path,
    *,
    per_class: int,
    seed: int = 0,
    classes: int | None = None,
    cap: Budget | None = None,
    settings: Settings | None = None,
    progress: Progress = silent,
) -> Record:
    """Return the record of one model, ``OUT/NAME.json``: a default scan, then the masks.

    Written after the scan and after each class; what it holds is not measured again, except classes
    that another cap cut off.

    data : a folder with DATA.npz. per_class : clean images per class that both methods get.
    classes : masks are inverted for so many classes, drawn by `seed`; None for all. A larger number
        adds to those of a smaller one. cap : of each class.

    Raises
    ------
    UndoorError
        The record is of another model or of other images, seed or settings.
    """
    settings, cap = settings or Settings(), cap or Budget()
    file = out / f"{subject.name}.json"
    classifier = subject.load()
    clean = defence_images(data / f"{subject.data}.npz", per_class, seed)
    record = _facts(subject, classifier, settings, per_class, seed)
    if file.is_file():
        record = _stored(file, record)
    else:
        record["scan"] = undoor.scan(classifier, clean, seed=seed, progress=progress).to_json()
        _save(file, record, settings)
    images, search = clean.for_classifier(classifier).images, classifier.fast_copy()
    for target in _missing(record, classes, cap):
        _add(record, _invert(search, images, target, seed, settings, cap, progress))
        _save(file, record, settings)
    return record


def read_records(out: Path) -> list[Record]:
    """Return the records of a folder by name: those with a mask inverted for at least one class."""
    records = [_read(file) for file in sorted(out.glob("*.json"))]
    return [record for record in records if record["mask_inversion"]["runs"]]


def _read(file: Path) -> Record:
    try:
        record: Record = json.loads(file.read_text())
        _ = record["model"], record["scan"]["passes"], record["mask_inversion"]["runs"]
    except (ValueError, KeyError, TypeError) as error:
        raise UndoorError(f"{file}: not a record of what a scan costs ({error!r})") from error
    return record


def _facts(
    subject: Subject, classifier: Classifier, settings: Settings, per_class: int, seed: int
) -> Record:
    """Return a record without scan and masks."""
    return {
        "model": subject.name,
        "model_sha256": weights_sha256(classifier),
        "attack": subject.attack,
        "data": subject.data,
        "network": subject.network,
        "classes": classifier.num_classes,
        "targets": list(subject.targets),
        "took": subject.took,
        "per_class": per_class,
        "seed": seed,
        "threads": torch.get_num_threads(),
        "mask_inversion": {"settings": _plain(settings), "runs": []},
    }


def _stored(file: Path, facts: Record) -> Record:
    """Return the record in the file; refuse it unless the `facts` that measurements need agree."""
    record = _read(file)
    theirs, wanted = (r | {"settings": r["mask_inversion"]["settings"]} for r in (record, facts))
    for key in ("model_sha256", "data", "per_class", "seed", "threads", "settings"):
        if theirs.get(key) != wanted[key]:
            raise UndoorError(
                f"{file}: made with {key} {theirs.get(key)!r}, now it is {wanted[key]!r}; "
                "give another --out or delete the file"
            )
    return record


def _missing(record: Record, classes: int | None, cap: Budget) -> Iterator[int]:
    """Yield the requested classes whose masks are still to be inverted."""
    generator = torch.Generator().manual_seed(record["seed"])
    order = torch.randperm(record["classes"], generator=generator).tolist()
    done = {
        run["target"]
        for run in record["mask_inversion"]["runs"]
        if run["stopped"] != "cut off" or run["cap"] == asdict(cap)
    }
    return (target for target in order[:classes] if target not in done)


def _invert(
    classifier: Classifier,
    images: Tensor,
    target: int,
    seed: int,
    settings: Settings,
    cap: Budget,
    progress: Progress,
) -> Record:
    """Return one run, by a generator of its own: the same whichever classes came before."""
    generator = torch.Generator().manual_seed(seed * classifier.num_classes + target)
    run = invert_class(
        classifier,
        images,
        target,
        generator=generator,
        settings=settings,
        cap=cap,
        progress=progress,
    )
    return asdict(run) | {"cap": asdict(cap)}


def _add(record: Record, run: Record) -> None:
    """Add a run in the place of an earlier one of that class."""
    masks = record["mask_inversion"]
    masks["runs"] = [r for r in masks["runs"] if r["target"] != run["target"]] + [run]


def _save(file: Path, record: Record, settings: Settings) -> None:
    masks = record["mask_inversion"]
    runs = [Inversion(**{k: v for k, v in run.items() if k != "cap"}) for run in masks["runs"]]
    if runs:
        masks["total"] = _plain(total(runs, record["classes"], settings.most_passes))
    write_json(file, record)


def _plain(value: Any) -> Any:
    """Return a dataclass as JSON gives it back."""
    return json.loads(json.dumps(asdict(value)))
