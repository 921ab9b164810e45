"""Models of texts, signals and tables beside published defences, with the same clean data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

import undoor
from undoor.classifier import Classifier
from undoor.evaluate import auroc, stamp_set
from undoor.guard import guarded_predictions
from undoor.scan.report import ScanReport
from undoor.vocabulary import REJECTED, SIGNALS, TOKENS
from undoor_bench import tables
from undoor_bench.detect.dbs import called, dbs
from undoor_bench.detect.row_models import RowCase
from undoor_bench.rates import (
    Defended,
    Predictions,
    PredictionSet,
    basic_rates,
    flag_rates,
)
from undoor_bench.rivals.bad_acts import bad_acts
from undoor_bench.rivals.common import hold_out
from undoor_bench.rivals.fine_tuning import fine_tuning
from undoor_bench.share import Share
from undoor_bench.test_time import strip, threshold_at
from undoor_bench.test_time.bad_acts import neuron_activation_state

# Classes that are repaired whatever the verdict.
SUSPECTS = 2
# Of clean inputs: the papers' share of flagged ones, of BadActs before it purifies and alone.
STRIP_FPR, PURIFY_FPR, BAD_ACTS_FPR = 0.01, 0.2, 0.05
RATES = ("acc", "asr", "sia", "tpr", "fpr")
DBS = "dbs"


@dataclass(frozen=True)
class Method:
    """A defence, made from a model, its clean inputs and the report of its scan.

    Attributes
    ----------
    spaces
        Names of those it is for; all where empty.
    """

    name: str
    make: Callable[[RowCase, ScanReport], Defended]
    spaces: frozenset[str] = frozenset()


def compared(case: RowCase, seed: int) -> dict[str, object]:
    """Return the line of a model: what each method detects, and what is left of its backdoor.

    Parameters
    ----------
    seed
        Of the scan, and of all methods.
    """
    report, subject = case.scan(seed), case.subject
    named = sorted(finding.target for finding in report.findings)
    line: dict[str, object] = {
        **{key: getattr(subject, key) for key in ("name", "attack", "data", "asr", "took")},
        "targets": " ".join(map(str, subject.targets)),
        "verdict": report.verdict,
        "named": " ".join(map(str, named)),
        "right": report.verdict == "backdoored" and named == sorted(subject.targets),
        "scan seconds": round(report.seconds, 1),
    }
    space = case.classifier.space.name
    if space == TOKENS:
        line |= _dbs_line(case, seed)
    if subject.targets and subject.took:
        for method in METHODS:
            if not method.spaces or space in method.spaces:
                line |= _measured(case, report, method)
    return line


def _dbs_line(case: RowCase, seed: int) -> dict[str, object]:
    started = time.perf_counter()
    found = dbs(case.classifier, case.clean, generator=torch.Generator().manual_seed(seed))
    best = min(found, key=lambda each: each.loss)
    tokenizer, target = case.classifier.tokenizer, called(found)
    assert tokenizer is not None
    return {
        f"{DBS} called": target is not None,
        f"{DBS} named": "" if target is None else target,
        f"{DBS} loss": best.loss,
        f"{DBS} words": tokenizer.words(best.tokens),
        f"{DBS} seconds": round(time.perf_counter() - started, 1),
    }


def _measured(case: RowCase, report: ScanReport, method: Method) -> dict[str, object]:
    """Return the rates of a method on the inputs that nothing was learned from."""
    target = case.subject.targets[0]
    triggered = case.triggered
    if case.trigger is not None:
        triggered = stamp_set(case.test, case.trigger, target, space=case.classifier.space)
    assert triggered is not None
    started = time.perf_counter()
    defended = method.make(case, report)
    seconds = time.perf_counter() - started
    found = PredictionSet.of(defended, case.test, [triggered])
    bare = PredictionSet.of(_predicting(case.classifier), case.test, [triggered])
    rates = basic_rates(found, case.test, [triggered], [target])
    rates |= flag_rates(found, bare, case.test, [target])
    shown = {key: rates[key].value for key in (*RATES, "auroc")}
    line: dict[str, object] = {
        f"{method.name} {key}": value if value is None else round(value, 4)
        for key, value in shown.items()
    }
    return line | {f"{method.name} seconds": round(seconds, 1)}


def _generator(report: ScanReport) -> torch.Generator:
    return torch.Generator().manual_seed(report.seed)


def _predicting(classifier: Classifier) -> Defended:
    return lambda x: Predictions(classifier.predict(x))


def _bare(case: RowCase, report: ScanReport) -> Defended:
    del report
    return _predicting(case.classifier)


def _repaired(case: RowCase, report: ScanReport, *, suspects: int) -> Defended:
    repair = undoor.repair(case.classifier, case.clean, report, suspects=suspects)
    if not repair.targets:
        return _flagging_nothing(case.classifier)
    guarded = undoor.guard(case.classifier, repair)
    return lambda x: Predictions(*guarded_predictions(guarded, x, 256))


def _flagging_nothing(classifier: Classifier) -> Defended:
    return lambda x: Predictions(classifier.predict(x), torch.zeros(len(x), dtype=torch.bool))


def _tuned(case: RowCase, report: ScanReport) -> Defended:
    return _predicting(fine_tuning(case.classifier, case.clean, report, _generator(report)))


def _purified(case: RowCase, report: ScanReport) -> Defended:
    return _predicting(bad_acts(case.classifier, case.clean, report, _generator(report)))


def _flagging(case: RowCase, report: ScanReport, *, fpr: float, purify: bool) -> Defended:
    """Return BadActs with its detection: flagged inputs are rejected, or predicted purified."""
    generator = _generator(report)
    usual, others = hold_out(case.clean, 0.5, generator)
    score = neuron_activation_state(case.classifier, usual, generator)
    threshold = threshold_at(score(others.images), fpr)
    purified = _purified(case, report) if purify else None

    def predictions(x: Tensor) -> Predictions:
        scores = score(x)
        flagged = scores > threshold
        instead = purified(x).labels if purified else torch.full((len(x),), REJECTED)
        labels = torch.where(flagged, instead, case.classifier.predict(x))
        return Predictions(labels, flagged, scores)

    return predictions


def _strip(case: RowCase, report: ScanReport) -> Defended:
    score = strip(case.classifier, case.clean, _generator(report))
    threshold = threshold_at(score(case.clean.images), STRIP_FPR)

    def predictions(x: Tensor) -> Predictions:
        scores = score(x)
        flagged = scores > threshold
        return Predictions(
            case.classifier.predict(x).masked_fill(flagged, REJECTED), flagged, scores
        )

    return predictions


def _methods() -> Iterable[Method]:
    yield Method("none", _bare)
    yield Method("undoor", partial(_repaired, suspects=0))
    yield Method(f"undoor, {SUSPECTS} suspects", partial(_repaired, suspects=SUSPECTS))
    yield Method("fine-tuning", _tuned)
    texts, signals = frozenset({TOKENS}), frozenset({SIGNALS})
    yield Method("BadActs, all purified", _purified, texts)
    flagging = partial(_flagging, fpr=PURIFY_FPR, purify=True)
    yield Method("BadActs, flagged purified", flagging, texts)
    rejecting = partial(_flagging, fpr=BAD_ACTS_FPR, purify=False)
    yield Method("BadActs, flagged rejected", rejecting, texts)
    yield Method("STRIP", _strip, signals)


METHODS = tuple(_methods())


def beside_rivals(lines: Sequence[Mapping[str, Any]], date: str, what: str) -> str:
    """Return the record for people.

    Parameters
    ----------
    lines
        As of `compared`.
    date
        When it was measured.
    what
        What the models take.
    """
    bad = [line for line in lines if line["targets"] and line["took"]]
    text = (
        f"Models of {what} that no choice has seen, beside published methods with the same clean "
        f"data, measured on {date}. Means over all {len(bad)} models with a working backdoor, "
        "found or not; AUROC over those to which a method gives scores.\n\n"
    )
    rows = [
        [method.name, *(_mean(bad, f"{method.name} {key}") for key in (*RATES, "auroc")),
         _mean(bad, f"{method.name} seconds", "{:.1f}")]
        for method in METHODS
        if any(f"{method.name} acc" in line for line in bad)
    ]  # fmt: skip
    text += tables.markdown(("", "ACC", "ASR", "RA", "TPR", "FPR", "AUROC", "seconds"), rows)
    return text + _detection(bad, [line for line in lines if not line["targets"]])


def _detection(bad: Sequence[Mapping[str, Any]], good: Sequence[Mapping[str, Any]]) -> str:
    """Return what the methods say of whole models."""
    found = [[
        "undoor",
        _share([bool(line["right"]) for line in bad]),
        _share([line["verdict"] == "backdoored" for line in good]),
        "–",
        _mean([*bad, *good], "scan seconds", "{:.1f}"),
    ]]  # fmt: skip
    if any(f"{DBS} loss" in line for line in bad):
        right = [str(line[f"{DBS} named"]) == line["targets"] for line in bad]
        alarms = [bool(line[f"{DBS} called"]) for line in good]
        losses = [torch.tensor([-line[f"{DBS} loss"] for line in part]) for part in (bad, good)]
        area = auroc(*losses).value
        found.append([
            "DBS",
            _share(right),
            _share(alarms),
            "–" if area is None else f"{area:.2f}",
            _mean([*bad, *good], f"{DBS} seconds", "{:.1f}"),
        ])  # fmt: skip
    head = ("models", "right target and no other", "clean models called", "AUROC", "seconds")
    return "\n" + tables.markdown(head, found)


def _share(hits: Sequence[bool]) -> str:
    return Share(sum(hits), len(hits)).text()


def _mean(lines: Sequence[Mapping[str, Any]], key: str, form: str = "") -> str:
    values = [line[key] for line in lines if line.get(key) is not None]
    if not values:
        return "–"
    mean = sum(values) / len(values)
    return form.format(mean) if form else f"{100 * mean:.1f} %"
