"""Tables of repairs, from the committed lines of `undoor-bench mitigate`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from undoor_bench.mitigate.table import mean
from undoor_bench.summary.committed import Line, lines, numbers, rates
from undoor_bench.tables import markdown

# One model of each attack on which every method was measured, and which no null was fitted on.
SIDE_BY_SIDE = "_2"
AMOUNTS = ("10 a class", "100 a class")
MEASURED_ALONE = ("paired", "onepass", "paper", "reference", "disagreement", "corrected_alone")
ORACLE = "true_trigger"


def of(found: Iterable[Line], **wanted: str) -> list[Line]:
    """Return the lines that were measured and have these values."""
    return [
        line
        for line in found
        if not line["failed"] and all(line[name] == value for name, value in wanted.items())
    ]


def average(found: Sequence[Line], name: str) -> float | None:
    """Return the mean of a rate over the lines that have it."""
    return mean(rates(line)[name] for line in found)


def percent(value: float | None) -> str:
    """Return a fraction in percent with one digit, a dash for None."""
    return "–" if value is None else f"{100 * value:.1f}"


def lost(found: Sequence[Line]) -> str:
    """Return the points of accuracy on clean images that are lost: before less after.

    >>> lost([])
    '–'
    """
    before, after = average(found, "acc_before"), average(found, "acc")
    return "–" if before is None or after is None else f"{100 * (before - after):.2f}"


def named_all(line: Line) -> bool:
    """Return whether the scan named every true target."""
    return not line["missed"]


def by_attack(folder: Path, amount: str) -> str:
    """`suspects` on the CIFAR-10 ResNet-9 models, per attack and the mean of attacks."""
    found = of(lines(folder / "mitigate/cifar10.csv"), method="suspects", amount=amount)
    names = list(dict.fromkeys(line["attack"] for line in found))
    groups = {name.replace("_", " "): of(found, attack=name) for name in names}
    rows = [[name, *_cells(group)] for name, group in groups.items()]
    rows.append(["**all**", *_cells(found)])
    return markdown(
        ("attack", "models", "named", "ACC lost", "ASR", "RA", "TPR", "FPR, target class", "AUROC"),
        rows,
    )


def _cells(found: Sequence[Line]) -> list[str]:
    rates_shown = ("asr", "sia", "tpr", "fpr_own", "auroc")
    return [
        str(len(found)),
        f"{sum(map(named_all, found))} of {len(found)}",
        lost(found),
        *(percent(average(found, name)) for name in rates_shown),
    ]


def side_by_side(folder: Path) -> str:
    """Return every method on the same eight models, the highest robust accuracy first."""
    found = [
        line
        for line in of(lines(folder / "mitigate/cifar10.csv"))
        if line["model"].endswith(SIDE_BY_SIDE) and line["amount"] in AMOUNTS
    ]
    cells: list[tuple[int, float, list[str]]] = []
    for amount in AMOUNTS:
        for method in dict.fromkeys(line["method"] for line in found):
            group = of(found, amount=amount, method=method)
            # Fits and plans were measured on four of the eight.
            if len(group) == 8:
                cells.append((AMOUNTS.index(amount), -(average(group, "sia") or 0), _row(group)))
    return markdown(
        ("clean images", "method", "models", "ACC lost", "ASR", "RA", "AUROC", "seconds"),
        [row for _, _, row in sorted(cells, key=lambda cell: cell[:2])],
    )


def _row(group: Sequence[Line]) -> list[str]:
    seconds = average(group, "seconds") or 0.0
    shown = group[0]["method"].replace("_", " ")
    return [
        group[0]["amount"],
        f"**{shown}**" if group[0]["kind"] == "ours" else shown,
        str(len(group)),
        lost(group),
        *(percent(average(group, name)) for name in ("asr", "sia", "auroc")),
        f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}",
    ]


def fits(folder: Path) -> str:
    """Return the fits on the four models on which all of them were measured."""
    found = of(lines(folder / "mitigate/cifar10.csv"), amount=AMOUNTS[0])
    groups = [of(found, method=name) for name in (*MEASURED_ALONE, ORACLE)]
    return markdown(
        ("clean images", "method", "models", "ACC lost", "ASR", "RA", "AUROC", "seconds"),
        [_row(group) for group in groups if group],
    )


def quick(folder: Path) -> str:
    """Quick and whole repairs, by whether the scan named the target."""
    found = of(lines(folder / "mitigate/cifar10.csv"))
    groups: dict[str, Callable[[Line], bool]] = {
        "all": lambda line: True,
        "all targets named by the scan": named_all,
        "target missed by the scan": lambda line: not named_all(line),
    }
    rows = []
    for amount in AMOUNTS:
        for name, keep in groups.items():
            two = [
                [line for line in of(found, amount=amount, method=method) if keep(line)]
                for method in ("quick", "suspects")
            ]
            values = (percent(average(group, "sia")) for group in two)
            times = (f"{average(group, 'seconds') or 0:.1f}" for group in two)
            rows.append([amount, name, str(len(two[0])), *values, *times])
    return markdown(
        (
            "clean images",
            "models",
            "number",
            "RA, --quick",
            "RA, --suspects 2",
            "seconds, --quick",
            "seconds, --suspects 2",
        ),
        rows,
    )


def by_model(folder: Path, name: str, methods: Sequence[str]) -> str:
    """Return a line per model: accuracy, success rate and robust accuracy after each method."""
    found = of(lines(folder / f"mitigate/{name}.csv"))
    models = sorted({line["model"] for line in found if line["method"] in methods})
    rows = []
    for model in models:
        each = {method: of(found, model=model, method=method) for method in methods}
        first = next(group[0] for group in each.values() if group)
        right = len(numbers(first["targets"])) - len(numbers(first["missed"]))
        rows.append([model, first["amount"], f"{right} of {len(numbers(first['targets']))}"])
        for group in each.values():
            rows[-1] += [percent(average(group, rate)) for rate in ("acc", "asr", "sia")]
    header = [f"{rate}, {method}" for method in methods for rate in ("ACC", "ASR", "RA")]
    return markdown(("model", "clean images", "targets named", *header), rows)


def many_backdoors(folder: Path) -> str:
    """Models with several backdoors, each with a target of its own."""
    found = [
        line
        for line in of(lines(folder / "mitigate/ablations.csv"))
        if line["attack"].startswith("many_targets") and len(numbers(line["targets"])) > 1
    ]
    rows = [
        [
            line["model"],
            line["method"],
            line["verdict"],
            f"{len(set(numbers(line['named'])) & set(numbers(line['targets'])))} of "
            f"{len(numbers(line['targets']))}",
            str(len(set(numbers(line["named"])) - set(numbers(line["targets"])))),
            *(percent(rates(line)[name]) for name in ("asr", "sia")),
        ]
        for line in sorted(found, key=lambda line: (line["model"], line["method"]))
    ]
    return markdown(
        ("model", "repair", "verdict", "targets named", "wrong ones", "ASR of all", "RA of all"),
        rows,
    )
