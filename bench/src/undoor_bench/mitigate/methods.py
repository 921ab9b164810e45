"""The methods that `undoor-bench mitigate` sets beside each other, by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn

from undoor.align.plans import COARSEST, INPUT_ALONE
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import guard, guarded_predictions
from undoor.progress import Progress
from undoor.scan.coverage import Coverage
from undoor.scan.reason import written
from undoor.scan.report import ScanReport
from undoor.sites import attach
from undoor.vocabulary import DEFAULT_FIT, REJECTED
from undoor_bench.mitigate.case import Case
from undoor_bench.mitigate.oracle import guard_with_truth
from undoor_bench.rates import Defended, Predictions
from undoor_bench.rivals import RIVALS
from undoor_bench.test_time import DETECTORS, threshold_at

BATCH = 256
# Share of the clean images that a detector of inputs may flag, by its threshold on them.
DETECTOR_FPR = 0.05
# Classes that are repaired whatever the verdict: the method `suspects`.
SUSPECTS = 2
BASELINE, OURS, ABLATION, ORACLE = "baseline", "ours", "ablation", "oracle"
RIVAL, TEST_TIME = "rival", "test time"
PLAN = "plan: "
FEW_SITES = ("first 1", "first 2", "first 4", "last 1", "last 2", "last 4")


@dataclass(frozen=True, eq=False)
class Defence:
    """A defended model, its processor seconds without those of a scan, and facts for the record."""

    predictions: Defended
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A method to close a backdoor or to flag its inputs.

    Attributes
    ----------
    kind
        Baseline, ours, ablation (ours with one change), oracle (knows what no defender does), rival
        (changes the network) or test time (scores inputs).
    scans
        Whether it needs a scan; where that finds nothing, the model is left as it is.
    """

    name: str
    kind: str
    scans: bool
    make: Callable[[Case, Progress], Defence]

    @property
    def folder(self) -> str:
        """The name as a folder.

        >>> method("plan: per channel").folder
        'plan_per_channel'
        """
        return self.name.replace(": ", "_").replace(" ", "_")


def bare(case: Case) -> Defended:
    """Return the model as it is."""
    return _predicting(case.network)


def _predicting(classifier: Classifier) -> Defended:
    return lambda x: Predictions(classifier.predict(x, BATCH))


def _detection_alone(case: Case, progress: Progress) -> Defence:
    return Defence(bare(case), 0.0)


def _repaired(
    case: Case,
    progress: Progress,
    *,
    fit: str,
    rule: str = "margin",
    plan: str | None = None,
    suspects: int = 0,
    quick: bool = False,
) -> Defence:
    repair = case.repair(fit, plan, suspects, quick, progress=progress)
    plans = {str(item.target): item.chosen for item in repair.targets}
    guarded = guard(case.classifier, repair, rule=rule)
    return Defence(_guarding(guarded), repair.seconds["align"], {"plans": plans})


def _corrected_alone(case: Case, progress: Progress) -> Defence:
    """Return a defence without the guard: all predictions come from the first corrected network."""
    repair = case.repair(DEFAULT_FIT, progress=progress)
    if not repair.targets:
        return Defence(bare(case), repair.seconds["align"])
    first = repair.targets[0]
    corrected = attach(case.network, first.corrections)
    plans = {str(first.target): first.chosen}
    return Defence(_predicting(corrected), repair.seconds["align"], {"plans": plans})


def _true_trigger(case: Case, progress: Progress) -> Defence:
    started = time.process_time()
    guarded, details = guard_with_truth(
        case.classifier, case.clean, case.backdoors, case.generator(), progress=progress
    )
    return Defence(_guarding(guarded), time.process_time() - started, details)


def _guarding(guarded: nn.Module) -> Defended:
    return lambda x: Predictions(*guarded_predictions(guarded, x, BATCH))


def _rival(case: Case, progress: Progress, *, name: str, scans: bool) -> Defence:
    report = case.scan(progress) if scans else _no_scan(case)
    if scans and not report.findings:
        return Defence(bare(case), 0.0, {"note": "nothing was found that could be unlearned"})
    started = time.process_time()
    tuned = RIVALS[name](case.classifier, case.clean, report, case.generator(), progress=progress)
    return Defence(_predicting(tuned.fast_copy()), time.process_time() - started)


def _no_scan(case: Case) -> ScanReport:
    """Return an empty report for rivals that do not read theirs."""
    return ScanReport(
        verdict="inconclusive",
        reasons=(written("no scan was made"),),
        findings=(),
        evidence=(),
        coverage=Coverage(),
        class_names=case.classifier.class_names,
        fingerprint=case.classifier.fingerprint(),
        images=0,
        seed=case.seed,
        seconds=0.0,
        passes=0,
    )


def _detector(case: Case, progress: Progress, *, name: str) -> Defence:
    started = time.process_time()
    score = DETECTORS[name](case.classifier, case.clean, case.generator())
    threshold = threshold_at(score(case.clean.images), DETECTOR_FPR)
    seconds = time.process_time() - started

    def predictions(x: Tensor) -> Predictions:
        scores = score(x)
        flagged = scores > threshold
        return Predictions(bare(case)(x).labels.masked_fill(flagged, REJECTED), flagged, scores)

    return Defence(predictions, seconds, {"threshold": threshold, "wanted_fpr": DETECTOR_FPR})


def _methods() -> Iterable[Method]:
    yield Method("detection_alone", BASELINE, True, _detection_alone)
    for fit in ("paired", "onepass", "paper", "reference"):
        yield Method(fit, OURS, True, partial(_repaired, fit=fit))
    disagreement = partial(_repaired, fit=DEFAULT_FIT, rule="disagreement")
    yield Method("disagreement", OURS, True, disagreement)
    suspects = partial(_repaired, fit=DEFAULT_FIT, suspects=SUSPECTS)
    yield Method("suspects", OURS, True, suspects)
    yield Method("quick", OURS, True, partial(_repaired, fit=DEFAULT_FIT, quick=True))
    yield Method("true_trigger", ORACLE, False, _true_trigger)
    for name in RIVALS:
        scans = name == "unlearning"
        yield Method(name, RIVAL, scans, partial(_rival, name=name, scans=scans))
    for name in DETECTORS:
        yield Method(name, TEST_TIME, False, partial(_detector, name=name))
    yield Method("corrected_alone", ABLATION, True, _corrected_alone)
    for fit in ("paired_unbounded", "paper_js", "paper_kl", "onepass_affine", "onepass_clip"):
        yield Method(fit, ABLATION, True, partial(_repaired, fit=fit))


METHODS = {item.name: item for item in _methods()}
GROUPS = {
    "all": [name for name, item in METHODS.items() if item.kind != ABLATION],
    "ours": [name for name, item in METHODS.items() if item.kind in (BASELINE, OURS)],
    "rivals": list(RIVALS),
    "test_time": list(DETECTORS),
    "ablations": [
        *(name for name, item in METHODS.items() if item.kind == ABLATION),
        *(f"{PLAN}{name}" for name in (COARSEST, "the same and input", INPUT_ALONE, *FEW_SITES)),
    ],
}


def method(name: str) -> Method:
    """Return the method of this name.

    It is one of `METHODS`, or ``plan: NAME`` for the default fit with that plan of
    `candidate_plans`.

    Raises
    ------
    UndoorError
        There is no such method.

    Examples
    --------
    >>> method("plan: input alone").kind
    'ablation'
    """
    if name in METHODS:
        return METHODS[name]
    if name.startswith(PLAN) and name != PLAN:
        plan = partial(_repaired, fit=DEFAULT_FIT, plan=name.removeprefix(PLAN))
        return Method(name, ABLATION, True, plan)
    raise UndoorError(
        f"expected methods among {', '.join(METHODS)}, the groups {', '.join(GROUPS)}, or "
        f"'{PLAN}per channel', got {name!r}"
    )


def read_methods(text: str) -> tuple[Method, ...]:
    """Return the methods in a text of methods and groups, separated by commas, each once.

    >>> [item.name for item in read_methods("onepass, test_time,strip")]
    ['onepass', 'strip', 'scale_up', 'scale_up_data_free', 'ibd_psc']
    """
    names = [part.strip() for part in text.split(",")]
    each = dict.fromkeys(name for part in names for name in GROUPS.get(part, [part]))
    return tuple(method(name) for name in each)
