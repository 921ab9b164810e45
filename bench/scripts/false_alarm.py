"""What a false alarm costs: models without a backdoor, repaired for targets that nobody planted.

    python bench/scripts/false_alarm.py ZOO DATA OUT [--targets 0,3,6] [--images 10,100]
        [--only NAME]

Each model is scanned and then repaired for each target alone, as `undoor repair --force-target`
does. ACC before and after is on images that neither scan nor repair saw. OUT gets false_alarm.json
and false_alarm.md; measurements that OUT/false_alarm.json holds are not made again.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import machine

import undoor
from undoor.files import write_json, write_text
from undoor.guard import guard, guarded_predictions
from undoor_bench.amount import read_amounts
from undoor_bench.mitigate.case import Case, open_case
from undoor_bench.records import Setting
from undoor_bench.zoo.subjects import Subject, subjects


def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "false_alarm.json"
    done = json.loads(file.read_text())["measured"] if file.is_file() else []
    settings = [Setting(amount, 0, 0) for amount in read_amounts(options.images)]
    for subject, setting in product(_clean(options), settings):
        with TemporaryDirectory() as scans:
            case = open_case(subject, setting, options.data, Path(scans))
            for target in map(int, options.targets.split(",")):
                key = {
                    "model": subject.name,
                    "images": setting.to_json()["amount"],
                    "target": target,
                }
                if any(key.items() <= record.items() for record in done):
                    continue
                done.append({**key, **measured(case, target)})
                print(done[-1], flush=True)
                write_json(file, {"machine": machine(), "measured": done})
    write_text(options.out / "false_alarm.md", _markdown(done))


def measured(case: Case, target: int) -> dict[str, object]:
    """Of one model, wrongly repaired for `target`."""
    report = case.scan()
    repair = undoor.repair(case.classifier, case.clean, report, force_targets=[target])
    item = next(item for item in repair.targets if item.target == target)
    x, y = case.test.images, case.test.labels
    before = case.network.predict(x)
    labels, flagged, _ = guarded_predictions(guard(case.classifier, repair), x, 256)
    return {
        "verdict": report.verdict,
        "family": item.trigger.family,
        "plan": item.chosen,
        "acc_before": float((before == y).float().mean()),
        "acc_after": float((labels == y).float().mean()),
        "fpr_target": float(flagged[before == target].float().mean()),
        "tested": len(y),
    }


def _clean(options: argparse.Namespace) -> list[Subject]:
    found = [subject for subject in subjects(options.zoo) if not subject.targets]
    return [s for s in found if options.only is None or options.only in s.name]


def _markdown(records: list[dict[str, Any]]) -> str:
    lines = [
        f"`{__doc__.strip().splitlines()[2].strip()}`, {machine()}",
        "",
        "| model | clean images | target | verdict | trigger | ACC | points lost | FPR of target |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in records:
        before, after, fpr = (100 * float(r[k]) for k in ("acc_before", "acc_after", "fpr_target"))
        lines.append(
            f"| {r['model']} | {r['images']} | {r['target']} | {r['verdict']} | {r['family']} | "
            f"{before:.1f} → {after:.1f} | {before - after:.2f} | {fpr:.1f} |"
        )
    lines.append("")
    for images in dict.fromkeys(r["images"] for r in records):
        losses = [
            100 * (float(r["acc_before"]) - float(r["acc_after"]))
            for r in records
            if r["images"] == images
        ]
        mean = sum(losses) / len(losses)
        lines.append(f"- {images}: mean loss {mean:.2f} points, most {max(losses):.2f}")
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--targets", default="0,3,6")
    parser.add_argument("--images", default="10,100")
    parser.add_argument("--only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
