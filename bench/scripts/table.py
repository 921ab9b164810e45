"""Turn the results of the scripts into Markdown tables on stdout.

    python bench/scripts/table.py RESULTS

RESULTS holds zoo/ and true_trigger/ (bench/scripts/zoo.py), align_*.json and guard_*.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from scipy import stats


def percent(rates: dict[str, Any], name: str) -> str:
    return "–" if rates[name] is None else f"{100 * rates[name]:.1f}"


def share(hits: int, of: int) -> str:
    interval = stats.binomtest(hits, of).proportion_ci(0.95, method="exact")
    return f"{hits} of {of} (95 %: {100 * interval.low:.0f} to {100 * interval.high:.0f} %)"


def rates(record: dict[str, Any]) -> str:
    before, after = (
        record["evaluation_margin_rule"]["before"],
        record["evaluation_margin_rule"]["after"],
    )
    first = "/".join(percent(before, name) for name in ("acc", "asr", "sia"))
    names = ("acc", "asr", "sia", "tpr", "fpr", "fpr_target")
    cells = [first, *(percent(after, name) for name in names), f"{after['auroc']:.4f}"]
    other = record["evaluation_disagreement_rule"]["after"]
    cells.append(f"{percent(other, 'sia')} / {percent(other, 'fpr_target')}")
    return " | ".join(cells)


RATES = (
    "before ACC/ASR/SIA | ACC | ASR | SIA | TPR | FPR | FPR of t | AUROC | disagreement SIA / FPR"
)


def whole_job(records: list[dict[str, Any]]) -> None:
    print(f"| model | verdict | found | true | scan s | repair s | {RATES} |")
    print("|---" * 16 + "|")
    for record in records:
        scan = record["scan"]
        found = ", ".join(str(item["target"]) for item in scan["targets"]) or "–"
        true = "–" if record["truth"] is None else record["truth"]
        cells = rates(record) if "evaluation_margin_rule" in record else " | ".join(["–"] * 9)
        print(
            f"| {record['model']} | {scan['verdict']} | {found} | {true} | {scan['seconds']:.0f} | "
            f"{record['repair']['wall']:.0f} | {cells} |"
        )
    bad = [record for record in records if record["truth"] is not None]
    good = [record for record in records if record["truth"] is None]
    right = [
        record
        for record in bad
        if [item["target"] for item in record["scan"]["targets"]] == [record["truth"]]
    ]
    alarms = [record for record in good if record["scan"]["verdict"] == "backdoored"]
    near = [
        record
        for record in bad
        if record["evaluation_margin_rule"]["after"]["sia"]
        >= record["evaluation_margin_rule"]["before"]["acc"] - 0.03
    ]
    print(f"\nRight target and no other: {share(len(right), len(bad))}.")
    print(f"False alarms: {share(len(alarms), len(good))}.")
    print(f"SIA within 3 points of the bare ACC: {share(len(near), len(bad))}.")


def true_trigger(records: list[dict[str, Any]]) -> None:
    print(f"\n| model | plan | {RATES} |")
    print("|---" * 11 + "|")
    for record in records:
        if "align" in record:
            print(f"| {record['model']} | {record['align']['chosen']} | {rates(record)} |")


def timings(records: list[dict[str, Any]]) -> None:
    print(
        "\n| network | images | bare forward s | onepass s | onepass / bare | choice of the plan s "
        "| paper s | reference s | reference / onepass |"
    )
    print("|---" * 9 + "|")
    for record in records:
        seconds = record["seconds"]
        print(
            f"| {record['model']} | {record['images']} | {seconds['bare forward']:.2f} | "
            f"{seconds['onepass']:.2f} | {record['onepass_over_bare_forward']:.2f} | "
            f"{seconds['choice']:.1f} | {seconds['paper']:.0f} | {seconds['reference']:.0f} | "
            f"{record['reference_over_onepass']:.0f} |"
        )
    for record in records:
        before = "/".join(f"{100 * record['before'][name]:.1f}" for name in ("acc", "asr", "sia"))
        print(f"\n{record['model']}, before {before} (ACC/ASR/SIA):\n")
        print("| fit, rule of the guard | ACC | ASR | SIA | FPR of t |\n|---|---|---|---|---|")
        for name, after in record["after"].items():
            values = (f"{100 * after[key]:.1f}" for key in ("acc", "asr", "sia", "fpr_target"))
            print(f"| {name} | {' | '.join(values)} |")


def guard(record: dict[str, Any]) -> None:
    quartiles = ", ".join(f"{value:.2f}" for value in record["quartiles"])
    print(
        f"\n{record['model']}: the guard took {record['guarded_over_bare']:.2f} times the bare "
        f"model on clean images (quartiles {quartiles}; {record['repeats']} rounds)."
    )


def read(folder: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(folder.glob(pattern))]


def main() -> None:
    results = Path(sys.argv[1])
    whole_job(read(results / "zoo", "*.json"))
    true_trigger(read(results / "true_trigger", "*.json"))
    timings(read(results, "align_*.json"))
    for record in read(results, "guard_*.json"):
        guard(record)


if __name__ == "__main__":
    main()
