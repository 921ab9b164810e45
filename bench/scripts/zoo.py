"""The whole job on a folder of models whose truth is known: verdict, repair, evaluation.

    python bench/scripts/zoo.py ZOO DATA OUT [--models NAME ...] [--true-trigger] [--seed 0]
        [--fpr F]

ZOO holds a folder a model with model.toml, truth.json and trigger .npz; DATA one .npz a data set
with x_test and y_test. Scan and repair see the model and the clean images alone; truth.json and
the trigger serve to measure. With --true-trigger the scan is left out and the repair is given the
true trigger (an oracle: it measures the correction apart from the inversion).

Writes OUT/NAME.json a model as it goes; models already there are skipped.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from pathlib import Path
from typing import Any

from common import oracle_bench, split

import undoor
from undoor.align.fit import fit_corrections
from undoor.align.plans import candidate_plans
from undoor.align.select import calibrate_guard, choose_plan
from undoor.evaluate import stamp_set
from undoor.files import write_text
from undoor.guard import Guarded
from undoor.sites import find_sites
from undoor.triggers import Trigger, load_trigger
from undoor.vocabulary import DEFAULT_FPR, RULES

Guards = dict[str, Guarded]

PER_CLASS = {"gtsrb": 10}


def with_true_trigger(
    classifier: undoor.Classifier,
    clean: undoor.CleanSet,
    trigger: Trigger,
    target: int,
    fpr: float,
) -> tuple[Guards, dict[str, object]]:
    bench = oracle_bench(classifier, clean, trigger, target, fpr)
    plans = candidate_plans(find_sites(classifier))
    chosen, trials, _ = choose_plan(bench, plans, "onepass")
    sources = bench.x[bench.sources]
    corrections = fit_corrections(bench.classifier, sources, trigger(sources), plans[chosen])
    calibration = calibrate_guard(bench, corrections)
    threshold = calibration.threshold
    record = {
        "chosen": chosen,
        "threshold": threshold,
        "calibration": calibration.to_json(),
        "trials": [vars(t) for t in trials],
    }
    guards = {
        rule: Guarded(classifier, {target: corrections}, {target: threshold}, rule=rule)
        for rule in RULES
    }
    return guards, record


def run(folder: Path, data: Path, options: argparse.Namespace) -> dict[str, object]:
    name = tomllib.loads((folder / "model.toml").read_text())["data"]["name"]
    truth = json.loads((folder / "truth.json").read_text())
    classifier = undoor.load(folder, trust_code=True)
    clean, test = split(data / f"{name}.npz", PER_CLASS.get(name, 30), options.seed)
    test = test.for_classifier(classifier)
    record: dict[str, Any] = {"model": folder.name, "truth": truth["target"]}
    triggers = [
        load_trigger(folder / file, shape=classifier.input_shape, bounds=classifier.bounds)
        for file in truth["triggers"]
    ]
    if options.true_trigger:
        if not triggers:
            return record
        guards, record["align"] = with_true_trigger(
            classifier, clean, triggers[0], truth["target"], options.fpr
        )
    else:
        report = undoor.scan(classifier, clean, seed=options.seed)
        record["scan"] = report.to_json()
        started = time.perf_counter()
        fix = undoor.repair(classifier, clean, report, fpr=options.fpr, seed=options.seed)
        record["repair"] = fix.to_json() | {"wall": time.perf_counter() - started}
        del record["repair"]["sites"]  # readable in a repair, a hundred lines here
        guards = {rule: undoor.guard(classifier, fix, rule=rule) for rule in RULES}
    if triggers:
        triggered = stamp_set(test, triggers[0], truth["target"], truth["source"])
        for rule, guarded in guards.items():
            result = undoor.evaluate(classifier, guarded, test, triggered, truth["target"])
            record[f"evaluation_{rule}_rule"] = result.to_json()
    return record


def line(record: dict[str, Any]) -> str:
    scan, result = record.get("scan"), record.get("evaluation_margin_rule")
    text = f"{record['model']:30s}"
    if scan:
        top = min(scan["evidence"], key=lambda item: item["p_value"])
        text += (
            f" {scan['verdict']:12s} targets {[t['target'] for t in scan['targets']]} "
            f"(truth {record['truth']}) best: {top['family']} {top['target']} "
            f"p {top['p_value']:.2g} score {top['score']:.1f} {scan['seconds']:.0f} s"
        )
    if "repair" in record:
        text += f" + {record['repair']['wall']:.0f} s"
        text += "".join(f" [{t['chosen']}, cv {t['sia']:.3f}]" for t in record["repair"]["targets"])
    if result:
        before, after = result["before"], result["after"]
        text += f" | {100 * before['acc']:.1f}/{100 * before['asr']:.1f}/{100 * before['sia']:.1f}"
        text += " ->"
        for key in ("acc", "asr", "sia", "tpr", "fpr_target"):
            text += f" {key} {100 * after[key]:.1f}"
        text += f" auroc {after['auroc']:.4f}"
        other = record["evaluation_disagreement_rule"]["after"]
        text += f" | disagreement: sia {100 * other['sia']:.1f} fpr {100 * other['fpr_target']:.1f}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", nargs="*")
    parser.add_argument("--true-trigger", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fpr", type=float, default=DEFAULT_FPR)
    options = parser.parse_args()
    for folder in sorted(file.parent for file in options.zoo.glob("*/model.toml")):
        if options.models and folder.name not in options.models:
            continue
        file = options.out / f"{folder.name}.json"
        if not file.exists():
            text = json.dumps(run(folder, options.data, options), indent=1)
            write_text(file, text + "\n")
        print(line(json.loads(file.read_text())), flush=True)


if __name__ == "__main__":
    main()
