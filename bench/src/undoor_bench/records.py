"""The record of one scan of a model whose backdoors are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import undoor
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.files import write_atomically
from undoor.progress import Progress, silent
from undoor.scan import Budget, Thresholds
from undoor_bench.amount import Amount, clean_images
from undoor_bench.zoo.subjects import Subject

Record = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What the defender has, and how chance comes in.

    The seed that draws the clean images, and that of the scan.
    """

    amount: Amount
    image_seed: int
    scan_seed: int

    @property
    def folder(self) -> Path:
        """Where records of this setting go, apart from those of any other.

        >>> Setting(Amount(30), 2, 2).folder.as_posix()
        '30_a_class/seed_2'
        >>> Setting(Amount(30), 0, 2).folder.as_posix()
        '30_a_class/seed_2_images_0'
        """
        same = self.image_seed == self.scan_seed
        drawn = "" if same else f"_images_{self.image_seed}"
        return Path(self.amount.folder) / f"seed_{self.scan_seed}{drawn}"

    def to_json(self) -> dict[str, Any]:
        """Return the setting as it stands in a record."""
        return {
            "amount": self.amount.text,
            "image_seed": self.image_seed,
            "scan_seed": self.scan_seed,
        }


def recorded_scan(
    subject: Subject,
    data: Path,
    file: Path,
    setting: Setting,
    *,
    thresholds: Thresholds | None = None,
    budget: Budget | None = None,
    progress: Progress = silent,
) -> Record:
    """Scan and write the record to `file`; read the record instead where it exists.

    Parameters
    ----------
    data
        A folder with DATA.npz.

    Raises
    ------
    UndoorError
        `file` holds something else, such as a scan with other images.
    """
    if file.is_file():
        return _read(file, subject, setting)
    classifier = subject.load()
    clean = clean_images(data / f"{subject.data}.npz", setting.amount, setting.image_seed)
    report = undoor.scan(
        classifier,
        clean,
        seed=setting.scan_seed,
        thresholds=thresholds,
        budget=budget,
        progress=progress,
    )
    record = {
        **subject.facts(),
        "input_shape": list(classifier.input_shape),
        "asr": subject.asr,
        "took": subject.took,
        "setting": setting.to_json(),
        "drawn": images_drawn(clean),
        "scan": report.to_json(),
    }
    text = json.dumps(record, indent=1) + "\n"
    write_atomically(file, lambda path: path.write_text(text))
    return dict(json.loads(text))


def images_drawn(clean: CleanSet) -> dict[str, int]:
    """Return the numbers of images: in all, and per class the fewest and the most.

    Classes without images do not count.

    >>> import torch
    >>> images_drawn(CleanSet(torch.zeros(3, 1, 2, 2), torch.tensor([0, 2, 2])))
    {'images': 3, 'least': 1, 'most': 2}
    """
    counts = clean.labels.unique(return_counts=True)[1]
    return {"images": len(clean), "least": int(counts.min()), "most": int(counts.max())}


def recorded_scans(
    models: Sequence[Subject],
    settings: Sequence[Setting],
    data: Path,
    out: Path,
    *,
    progress: Progress = silent,
) -> list[Record]:
    """Return every model in every setting, model by model; `out` gets one folder per setting."""
    records: list[Record] = []
    total = len(models) * len(settings)
    for subject, setting in product(models, settings):
        progress("scans", len(records), total)
        file = out / setting.folder / f"{subject.name}.json"
        records.append(recorded_scan(subject, data, file, setting, progress=progress))
    progress("scans", total, total)
    return records


def _read(file: Path, subject: Subject, setting: Setting) -> Record:
    asked = {"model": subject.name, **setting.to_json()}
    try:
        record = dict(json.loads(file.read_text()))
        found = {"model": record["model"], **_setting(record)}
    except (ValueError, KeyError, TypeError) as error:
        raise UndoorError(
            f"{file}: not a record of a scan ({error!r}); remove it to scan again"
        ) from error
    if found != asked:
        differs = ", ".join(
            f"{key} {found.get(key)!r} instead of {value!r}"
            for key, value in asked.items()
            if found.get(key) != value
        )
        raise UndoorError(f"{file}: a record with {differs}; give another --out")
    return record


def _setting(record: Record) -> dict[str, Any]:
    if "setting" in record:
        return dict(record["setting"])
    # Older records: one seed for both.
    seed = record["scan"]["seed"]
    amount = Amount(record["per_class"])
    return Setting(amount, image_seed=seed, scan_seed=seed).to_json()


def called(record: Record) -> bool:
    """Return whether the model was called backdoored."""
    return bool(record["scan"]["verdict"] == "backdoored")


def named(record: Record) -> list[int]:
    """Return the targets that the scan named."""
    return sorted(target["target"] for target in record["scan"]["targets"])


def right(record: Record) -> bool:
    """Return whether all true targets were named, and no other."""
    return named(record) == sorted(record["targets"])


def source_precision(record: Record) -> float | None:
    """Return the share of true sources among those named for true targets.

    None where none is named, or nothing is known of the sources.
    """
    known = dict(zip(record["targets"], record["sources"], strict=True))
    hits = [
        source in known[target["target"]]
        for target in record["scan"]["targets"]
        if known.get(target["target"])
        for source in target["sources"]
    ]
    return sum(hits) / len(hits) if hits else None


def flat(record: Record) -> dict[str, object]:
    """Return the line of a table for programs."""
    scan = record["scan"]
    found: Sequence[dict[str, Any]] = scan["targets"]
    precision = source_precision(record)
    return {
        **{name: record[name] for name in ("model", "attack", "data", "network")},
        "asr": "" if record["asr"] is None else f"{record['asr']:.4f}",
        "took": record["took"],
        "targets": " ".join(map(str, record["targets"])),
        "verdict": scan["verdict"],
        "named": " ".join(str(target["target"]) for target in found),
        "families": " ".join(target["family"].replace(" ", "_") for target in found),
        "p_values": " ".join(f"{target['p_value']:.3g}" for target in found),
        "source_precision": "" if precision is None else f"{precision:.3f}",
        "seconds": f"{scan['seconds']:.1f}",
        "passes": scan["passes"],
    }


def flat_with_setting(record: Record) -> dict[str, object]:
    """Return the same, after what the defender had and the seeds."""
    return {**record["setting"], **record["drawn"], **flat(record)}
