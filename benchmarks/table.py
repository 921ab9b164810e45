"""Turn the results of benchmarks/zoo.py into Markdown tables on stdout.

python benchmarks/table.py RESULTS TRUE_TRIGGER_RESULTS
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
    paper = record["evaluation_paper_rule"]["after"]
    cells.append(f"{percent(paper, 'sia')} / {percent(paper, 'fpr_target')}")
    return " | ".join(cells)


RATES = (
    "before ACC/ASR/SIA | ACC | ASR | SIA | TPR | FPR | FPR of t | AUROC | paper's rule SIA / FPR"
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


def main() -> None:
    whole, oracle = (
        [json.loads(file.read_text()) for file in sorted(Path(folder).glob("*.json"))]
        for folder in sys.argv[1:3]
    )
    whole_job(whole)
    true_trigger(oracle)


if __name__ == "__main__":
    main()
