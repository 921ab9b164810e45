"""What scans, repairs and guards do for trees of tables, beside trees that are grown anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import undoor
from undoor.clean_set import CleanSet
from undoor.device import array
from undoor.evaluate import stamp_set
from undoor.scan.report import ScanReport
from undoor.vocabulary import DISAGREEMENT, MARGIN
from undoor_bench import tables
from undoor_bench.detect.row_models import RowCase
from undoor_bench.share import Share
from undoor_bench.zoo.row_data import RowData
from undoor_bench.zoo.subjects import Subject
from undoor_bench.zoo.tree_models import TreeModel, grown, load_grown

# Both classes, whatever the scan names.
SUSPECTS = 2
METHODS = ("bare", "ours", "disagreement", "suspects", "grown anew")
SHOWN = {
    "bare": "no defence",
    "ours": "**undoor**",
    "disagreement": "**undoor**, rule disagreement",
    "suspects": "**undoor** `--suspects 2`",
    "grown anew": "grown anew on the clean rows",
}


@dataclass(frozen=True, eq=False)
class TreeCase(RowCase):
    """One model of trees, and how it was grown.

    Attributes
    ----------
    entry
        How; the defender does not know it, but that it is of trees.
    table
        What its columns mean.
    """

    entry: TreeModel | None = None
    table: RowData | None = None

    @staticmethod
    def with_entry(
        subject: Subject, table: RowData, entry: TreeModel, *, per_class: int, seed: int
    ) -> TreeCase:
        """Draw the rows of a defender from the test part of a table, and load the model."""
        case = RowCase.of(subject, table, per_class=per_class, seed=seed)
        return TreeCase(**vars(case), entry=entry, table=table)

    def defended(self, report: ScanReport) -> dict[str, Any]:
        """Return what the guard does for all that the scan names, and trees grown anew."""
        named = undoor.repair(self.classifier, self.clean, report)
        both = undoor.repair(self.classifier, self.clean, report, suspects=SUSPECTS)
        triggered, target = self._triggered(), self.subject.targets[0]
        out: dict[str, Any] = {}
        for name, repair, rule in (
            ("ours", named, MARGIN),
            ("disagreement", named, DISAGREEMENT),
            ("suspects", both, MARGIN),
        ):
            guarded = undoor.guard(self.classifier, repair, rule=rule)
            found = undoor.evaluate(self.classifier, guarded, self.test, triggered, target)
            for key, rates in (("bare", found.before), (name, found.after)):
                out[key] = {rate: measured.value for rate, measured in rates.items()}
        return out | {"grown anew": self._grown_anew(triggered, target)}

    def _triggered(self) -> CleanSet:
        assert self.trigger is not None
        target = self.subject.targets[0]
        return stamp_set(self.test, self.trigger, target, space=self.classifier.space)

    def _grown_anew(self, triggered: CleanSet, target: int) -> dict[str, float]:
        """Return the rates of trees of the same kind that are grown on the clean rows alone."""
        assert self.entry is not None
        assert self.table is not None
        x, y = array(self.clean.images), array(self.clean.labels)
        with TemporaryDirectory() as folder:
            anew = grown(self.entry, self.table, x, y)
            trees = load_grown(anew, self.table, Path(folder))
        right, moved = trees.predict(self.test.images), trees.predict(triggered.images)
        return {
            "acc": float((right == self.test.labels).float().mean()),
            "asr": float((moved == target).float().mean()),
            "sia": float((moved == triggered.labels).float().mean()),
        }


def result_of(case: TreeCase, seed: int) -> dict[str, object]:
    """Return the line of a model in the record.

    Where the scan names nothing, the model is served as it is: a miss counts as one.
    """
    report, subject = case.scan(seed), case.subject
    named = [finding.target for finding in report.findings]
    line: dict[str, object] = {
        **{key: getattr(subject, key) for key in ("name", "attack", "data", "asr", "took")},
        "targets": " ".join(map(str, subject.targets)),
        "verdict": report.verdict,
        "named": " ".join(map(str, named)),
        "right": sorted(named) == sorted(subject.targets),
        "p_value": min((finding.p_value for finding in report.findings), default=None),
        "seconds": round(report.seconds, 1),
        "passes": report.passes,
    }
    if subject.targets:
        for name, rates in case.defended(report).items():
            line |= {
                f"{name} {key}": None if value is None else round(value, 4)
                for key, value in rates.items()
            }
    return line


def text_of(lines: Sequence[Mapping[str, Any]], date: str) -> str:
    """Return the record for people.

    Parameters
    ----------
    lines
        As of `result_of`.
    date
        When it was measured.
    """
    bad = [line for line in lines if line["targets"] and line["took"]]
    good = [line for line in lines if not line["targets"]]
    found = [line for line in bad if line["verdict"] == "backdoored" and line["right"]]
    alarms = [line["verdict"] == "backdoored" for line in good]
    head = [
        "# Trees of tables",
        "",
        f"{len(lines)} held-out models that no choice has seen, measured {date}. The nulls are of "
        "other models (`learn = true` in `zoo/trees.toml`).",
        "",
        f"- right target, of models with a working backdoor: {Share(len(found), len(bad)).text()}",
        f"- clean models called backdoored: {Share(sum(alarms), len(alarms)).text()}",
        f"- working backdoors: {len(bad)} of {len([x for x in lines if x['targets']])} planted; "
        f"scans took {max(float(line['seconds']) for line in lines):.0f} s at most",
        "",
        "All models with a working backdoor, found or not; what is not found is served as it is:",
        "",
        tables.markdown(("", *HEADS), _means(bad)),
        "",
        f"The {len(found)} of them that are found with the right target:",
        "",
        tables.markdown(("", *HEADS), _means(found)),
        "",
        tables.markdown(
            ("model", "attack", "ASR", "verdict", "named", "target", "RA", "TPR", "FPR"),
            [_line(line) for line in lines],
        ),
    ]
    return "\n".join(head) + "\n"


HEADS = ("ACC", "ASR", "RA", "TPR", "FPR")


def _means(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            SHOWN[name],
            *(_mean(lines, f"{name} {key}") for key in ("acc", "asr", "sia", "tpr", "fpr")),
        )
        for name in METHODS
    ]


def _mean(lines: Sequence[Mapping[str, Any]], key: str) -> str:
    values = [line[key] for line in lines if line.get(key) is not None]
    return f"{100 * sum(values) / len(values):.1f}" if values else "–"


def _line(line: Mapping[str, Any]) -> tuple[str, ...]:
    keys = ("ours sia", "ours tpr", "ours fpr")
    rates = ["–" if line.get(key) is None else f"{100 * line[key]:.1f}" for key in keys]
    asr = "–" if line["asr"] is None else f"{100 * line['asr']:.1f}"
    return (
        line["name"], line["attack"], asr, line["verdict"], line["named"] or "–",
        line["targets"] or "–", *rates,
    )  # fmt: skip
