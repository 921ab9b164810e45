"""Scan clean models whose heads were cut to two or three classes.

    python few_classes.py ZOO DATA OUT

Every clean model of ZOO (`truth.json` says so) that ends in a linear layer keeps some rows of it,
and is scanned with clean images of those classes alone. No such model has a backdoor, so each one
that is called backdoored is a false alarm. Below five classes no verdict is given; what would have
been called without that rule is counted as well, by the p-values of the evidence.

Writes OUT/few_classes.json, a record per model as it comes (what is there is not scanned again),
and OUT/few_classes.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

import undoor
from undoor.clean_set import CleanSet
from undoor.families.calibration import agreement_null, lowest_null
from undoor.families.registry import nulls
from undoor.files import write_json, write_text
from undoor.render.reasons import reason_texts
from undoor.scan.combination import overall
from undoor.sites import exchange, head
from undoor_bench.amount import Amount, clean_images
from undoor_bench.nulls.fitting import class_p_values
from undoor_bench.tables import markdown

PER_CLASS = 30
ALPHA = 0.02
HEADER = ("model", "classes kept", "verdict", "lowest p-value")
# Pairs that look alike and pairs that do not, and triples.
CUTS = {
    "mnist": ((0, 1), (3, 8), (4, 9), (0, 1, 2), (3, 5, 8)),
    "cifar10": ((1, 7), (3, 5), (0, 8), (0, 1, 8), (3, 5, 7)),
    "gtsrb": ((1, 2), (14, 17), (3, 5), (1, 2, 14), (12, 13, 17)),
}
MODELS = {"mnist": 2, "cifar10": 2, "gtsrb": 1}


def cut(classifier: undoor.Classifier, classes: Sequence[int]) -> undoor.Classifier:
    """The classifier with the rows of these classes alone in its last layer."""
    name = head(classifier)
    assert name is not None

    def fewer(layer: nn.Module) -> nn.Module:
        assert isinstance(layer, nn.Linear)
        rows = nn.Linear(layer.in_features, len(classes))
        rows.weight.data = layer.weight.data[list(classes)].clone()
        rows.bias.data = layer.bias.data[list(classes)].clone()
        return rows

    return undoor.Classifier(
        exchange(classifier, name, fewer),
        input_shape=classifier.input_shape,
        bounds=classifier.bounds,
    )


def of_classes(clean: CleanSet, classes: Sequence[int]) -> CleanSet:
    """The images of these classes, numbered anew."""
    keep = torch.isin(clean.labels, torch.tensor(classes))
    labels = torch.tensor([classes.index(int(label)) for label in clean.labels[keep]])
    return CleanSet(clean.images[keep], labels)


def record_of(folder: Path, data: Path, classes: Sequence[int]) -> dict[str, Any]:
    truth = json.loads((folder / "truth.json").read_text())
    whole = undoor.load(folder, trust_code=True)
    clean = clean_images(data / f"{truth['data']}.npz", Amount(PER_CLASS), 0)
    report = undoor.scan(
        cut(whole, classes), of_classes(clean.for_classifier(whole), list(classes)), seed=0
    )
    scan = report.to_json()
    record = {"scan": scan, "input_shape": list(whole.input_shape), "targets": []}
    p = overall(class_p_values(record, nulls()), nulls(), agreement_null(), lowest_null())
    return {
        "model": folder.name,
        "classes": list(classes),
        "verdict": report.verdict,
        "reasons": list(reason_texts(report)),
        "lowest_p": float(p.min()),
        "passes": report.passes,
    }


def cases(zoo: Path) -> list[tuple[Path, tuple[int, ...]]]:
    out: list[tuple[Path, tuple[int, ...]]] = []
    for data, count in MODELS.items():
        folders = sorted(f for f in zoo.glob(f"{data}_*_clean_*") if (f / "truth.json").is_file())
        out += [(folder, classes) for folder in folders[:count] for classes in CUTS[data]]
    return out


def save(records: Sequence[dict[str, Any]], out: Path) -> None:
    """The records, and the table of them."""
    write_json(out / "few_classes.json", records)
    called = sum(record["verdict"] == "backdoored" for record in records)
    low = sum(record["lowest_p"] <= ALPHA for record in records)
    text = (
        f"Called backdoored: {called} of {len(records)}. Lowest p-value at most {ALPHA}, which "
        f"would be called backdoored without the rule: {low} of {len(records)}.\n\n"
    )
    rows = [
        [r["model"], ", ".join(map(str, r["classes"])), r["verdict"], f"{r['lowest_p']:.2g}"]
        for r in records
    ]
    write_text(out / "few_classes.md", text + markdown(HEADER, rows))


def main(zoo: Path, data: Path, out: Path) -> None:
    file = out / "few_classes.json"
    records = json.loads(file.read_text()) if file.is_file() else []
    done = {(record["model"], tuple(record["classes"])) for record in records}
    for folder, classes in cases(zoo):
        if (folder.name, classes) in done:
            continue
        records.append(record_of(folder, data, classes))
        save(records, out)
        print(folder.name, classes, records[-1]["verdict"], f"{records[-1]['lowest_p']:.3g}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
