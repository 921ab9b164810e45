"""The records of `undoor-bench mitigate` as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from undoor.families.calibration import calibrated_on
from undoor_bench import tables
from undoor_bench.mitigate.methods import DETECTOR_FPR, METHODS, ORACLE, SUSPECTS
from undoor_bench.records import Record

BEFORE_AND_AFTER = ("acc", "asr", "sia", "own_rate_t")
AFTER = ("tpr", "fpr", "fpr_target", "fpr_own", "auroc", "auroc_of_t")
RATES = (*BEFORE_AND_AFTER, *AFTER)
AVERAGE = "all attacks"
Values = dict[str, float | None]


@dataclass(frozen=True)
class Row:
    """Means over the models of one attack with one amount of clean images and one method.

    In rows over all attacks every attack counts the same, whatever the number of its models.

    Attributes
    ----------
    models
        That were measured, one counting once for each seed.
    failed
        On which the method could not run; they are in no mean.
    missed
        Models measured of which the scan missed a true target, None for methods without one.
    attacks
        How many the means are over.
    before, after
        By the names of the rates, None where nothing has that rate.
    seconds
        The scan, where there is one, and the method.
    """

    attack: str
    amount: str
    images: int
    method: str
    kind: str
    models: int
    failed: int
    missed: int | None
    attacks: int
    before: Values
    after: Values
    seconds: float | None


def summary(records: Iterable[Record]) -> list[Row]:
    """Rows over all attacks first, then attack by attack.

    In each, by amount (fewest images first) and method, in the order of `METHODS`.
    """
    cells: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        key = record["attack"], record["setting"]["amount"], record["method"]
        cells.setdefault(key, []).append(record)
    rows = [_row(*key, found) for key, found in cells.items()]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.amount, row.method), []).append(row)
    average = sorted(map(_average, groups.values()), key=_order)
    return average + sorted(rows, key=lambda row: (row.attack, *_order(row)))


def _order(row: Row) -> tuple[int, str, int, str]:
    names = list(METHODS)
    place = names.index(row.method) if row.method in names else len(names)
    return row.images, row.amount, place, row.method


def _row(attack: str, amount: str, method: str, records: Sequence[Record]) -> Row:
    done = [record for record in records if record["failed"] is None]
    scans = [record["scan"] for record in done if record["scan"]]
    return Row(
        attack=attack,
        amount=amount,
        images=min(record["drawn"]["images"] for record in records),
        method=method,
        kind=records[0]["kind"],
        models=len(done),
        failed=len(records) - len(done),
        missed=sum(bool(scan["missed"]) for scan in scans) if scans else None,
        attacks=1,
        before=_means([record["before"] for record in done], BEFORE_AND_AFTER),
        after=_means([record["after"] for record in done], RATES),
        seconds=mean([seconds(record) for record in done]),
    )


def seconds(record: Record) -> float:
    """Return the seconds of the scan, where the method needs one, and of the method itself."""
    return float(record["seconds"] + (record["scan"]["seconds"] if record["scan"] else 0.0))


def _average(rows: Sequence[Row]) -> Row:
    missed = [row.missed for row in rows if row.missed is not None]
    measured = [row for row in rows if row.models]
    return Row(
        attack=AVERAGE,
        amount=rows[0].amount,
        images=min(row.images for row in rows),
        method=rows[0].method,
        kind=rows[0].kind,
        models=sum(row.models for row in rows),
        failed=sum(row.failed for row in rows),
        missed=sum(missed) if missed else None,
        attacks=len(measured),
        before=_means([row.before for row in measured], BEFORE_AND_AFTER),
        after=_means([row.after for row in measured], RATES),
        seconds=mean([row.seconds for row in measured]),
    )


def _means(values: Sequence[Values], names: Sequence[str]) -> Values:
    """Return the mean over records that have the rate; those of earlier versions may lack it."""
    return {name: mean([value.get(name) for value in values]) for name in names}


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None where there is none.

    >>> mean([1.0, None, 2.0]), mean([])
    (1.5, None)
    """
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


HEADER = (
    "clean images",
    "method",
    "models",
    "could not run",
    "target missed",
    "ACC",
    "ASR",
    "SIA",
    "own rate of t",
    "TPR",
    "FPR",
    "FPR of t",
    "FPR of own t",
    "AUROC",
    "AUROC of t",
    "seconds",
)


def cells(row: Row) -> list[str]:
    """Return a line of the table; rates in per cent, before → after."""
    known = row.attack == AVERAGE and row.attacks > 1
    return [
        row.amount,
        f"{row.method} ({ORACLE})" if row.kind == ORACLE else row.method,
        f"{row.models} ({row.attacks} attacks)" if known else str(row.models),
        str(row.failed),
        "–" if row.missed is None else str(row.missed),
        *(f"{_percent(row.before[n])} → {_percent(row.after[n])}" for n in BEFORE_AND_AFTER),
        *(_percent(row.after[name]) for name in AFTER),
        "–" if row.seconds is None else f"{row.seconds:.0f}",
    ]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def markdown(records: Sequence[Record]) -> str:
    """Return notes on the numbers, the means over all attacks, and one table per attack."""
    rows = summary(records)
    parts = ["".join(f"- {line}\n" for line in notes(records))]
    for attack in dict.fromkeys(row.attack for row in rows):
        lines = [cells(row) for row in rows if row.attack == attack]
        parts.append(f"## {attack}\n\n{tables.markdown(HEADER, lines)}")
    return "\n".join(parts)


def notes(records: Iterable[Record]) -> list[str]:
    """Return the notes that a reader needs to compare the numbers.

    Oracles, what was set where, how it counts.
    """
    models = sorted({record["model"] for record in records})
    known = [model for model in models if model in set(calibrated_on())]
    learned = f" ({', '.join(known)})" if known else ""
    return [
        "Before → after, means over models in per cent; of all attacks, every attack counts the "
        "same. ACC: clean test images predicted correctly. ASR: triggered images predicted as the "
        "target, over all backdoors of a model. SIA: triggered images predicted as their true "
        "class. Own rate of t: clean test images of other classes predicted as the target, an "
        "error without any trigger; no lower ASR can be expected.",
        "true_trigger is an oracle: its corrections are fitted with the attacker's own trigger, "
        "sources and target, which no defender has. It bounds what a better scan could bring.",
        f"Not a held-out test for all: {len(known)} of the {len(models)} models are among those "
        f"that the scan's thresholds were learned from{learned}; --held-out leaves them out. "
        "Repair and guard fit nothing to these models, but were developed on such models.",
        "Rivals have one setting each for all models. The head of each file in "
        "bench/src/undoor_bench/rivals says which are the paper's and which were adapted to small "
        "networks and few images. None sees a triggered image or a test number.",
        "Target missed: models of which the scan did not name every true target. Methods that "
        "need the scan leave a missed target as it is, and its numbers are in their means. "
        f"suspects repairs the {SUSPECTS} classes that stand out most, whether the scan names them "
        "or not. detection_alone is the model itself: known to be backdoored, not repaired.",
        f"Detectors at test time (strip, scale_up, ibd_psc) flag {100 * DETECTOR_FPR:.0f} % of "
        "the clean images that they were built from; FPR is what that gives on test images. A "
        "flagged input gets no prediction, which costs ACC and SIA. Guards flag only inputs that "
        "the model predicts as a suspected target, and predict another class for them; all other "
        "inputs score lowest in AUROC. AUROC of t: over the inputs that the model itself predicts "
        "as a target, triggered and clean; triggered images that do not fool the model are not in "
        "it.",
        "Could not run: the method does not work on such a network or with so few images; the "
        "record has the reason, and the model is in no mean of that method.",
        "Seconds: of one processor core, the scan, where the method needs one, and making the "
        "defence; predicting inputs is apart (answer_seconds of the records).",
    ]


def flat(record: Record) -> dict[str, object]:
    """Return a line of the CSV."""
    scan, after = record["scan"] or {}, record["after"] or {}
    ends = {
        f"{name}_{end}": _text((after.get(f"{name}_interval") or (None, None))[side])
        for name in ("acc", "asr", "sia")
        for side, end in enumerate(("low", "high"))
    }
    return {
        **{key: record[key] for key in ("model", "attack", "data", "network", "method", "kind")},
        **record["setting"],
        **record["drawn"],
        "tested_clean": record["tested"]["clean"],
        "tested_triggered": record["tested"]["triggered"],
        "targets": " ".join(map(str, record["targets"])),
        "verdict": scan.get("verdict", ""),
        "named": " ".join(map(str, scan.get("targets", ()))),
        "missed": " ".join(map(str, scan.get("missed", ()))),
        **{f"{name}_before": _text(record["before"][name]) for name in BEFORE_AND_AFTER},
        **{name: _text(after.get(name)) for name in RATES},
        **ends,
        "scan_seconds": f"{scan['seconds']:.1f}" if scan else "",
        "seconds": "" if record["seconds"] is None else f"{record['seconds']:.1f}",
        "plans": " ".join(
            f"{target}={plan.replace(' ', '_')}"
            for target, plan in (record.get("details") or {}).get("plans", {}).items()
        ),
        "failed": record["failed"] or "",
    }


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
