"""Results as commands get them, without the computing; and a model and images on disk."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from typer.testing import CliRunner

from undoor.align.guard_threshold import GuardThreshold
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, read_clean_set
from undoor.cli import app
from undoor.errors import UndoorError
from undoor.families.calibration import Calibration
from undoor.guard import guarded_predictions
from undoor.inversion.meter import Budget
from undoor.journal import Journal
from undoor.load import code_named_by, load
from undoor.progress import Progress
from undoor.rate import Rate
from undoor.render.documents import DOCUMENTS
from undoor.repairs.adaptation import Adaptation
from undoor.scan.coverage import Coverage, FamilyCoverage
from undoor.scan.decide import Thresholds
from undoor.scan.reason import written
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.spaces.space import Space
from undoor.tasks.task import Task
from undoor.triggers import Stamp, Trigger
from undoor.vocabulary import CONVOLUTIONAL, NO_SCORE, AcceptCoverage, Verdict

SHAPE = (3, 4, 4)
# typer brings its own `click.testing.Result`, which it does not export.
Result = Any
NAMES = ("stop", "yield", "go")
ARCHITECTURE = """
from torch import nn

def net(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, num_classes))
"""
MODEL = """
[model]
weights = "weights.safetensors"
architecture = "nets.py:net"
arguments = { num_classes = 3 }

[input]
shape = [3, SIDE, SIDE]

[classes]
names = ["NAMES"]
"""


def write_model(folder: Path, names: Sequence[str] = NAMES, side: int = 4) -> Path:
    """A linear model of three classes of small colour images; its model.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 3 * side * side, generator=generator)
    save_file({"1.weight": weight, "1.bias": torch.zeros(3)}, folder / "weights.safetensors")
    (folder / "nets.py").write_text(ARCHITECTURE.replace("SIDE", str(side)))
    (folder / "model.toml").write_text(
        MODEL.replace("SIDE", str(side)).replace("NAMES", '", "'.join(names))
    )
    return folder / "model.toml"


def write_data(file: Path, each: int = 4) -> Path:
    """An .npz of random images."""
    x = np.random.default_rng(0).random((3 * each, 4, 4, 3), np.float32)
    np.savez(file, x=x, y=np.arange(3 * each) % 3)
    return file


def make_trigger(shape: tuple[int, int, int] = SHAPE) -> Stamp:
    mask = torch.zeros(1, *shape[1:])
    mask[:, -2:, -2:] = 1
    return Stamp("patch", mask, torch.ones(shape), "replace", (0.0, 1.0))


def made_coverage(
    detectable: Mapping[str, float], shape: tuple[int, ...] = SHAPE, classes: int = 3
) -> Coverage:
    """Of a scan that lacks nothing."""
    return Coverage(
        families=tuple(FamilyCoverage(f, True, None, n, 6.5) for f, n in detectable.items()),
        network=CONVOLUTIONAL,
        space="images",
        shape=shape,
        classes=classes,
        calibrated=dict.fromkeys(("network", "space", "size", "task", "classes"), True),
    )


def make_report(
    verdict: Verdict = "backdoored",
    *,
    fingerprint: str = "0" * 64,
    names: tuple[str, ...] = NAMES,
    shape: tuple[int, int, int] = SHAPE,
    reasons: tuple[str, ...] = ("because of the tests",),
) -> ScanReport:
    """A report; class 1 is the target where the verdict is "backdoored"."""
    sources = tuple(c for c in range(len(names)) if c != 1)
    finding = Finding(1, sources, "patch", 1e-9, 30.0, 4.0, 0.97, make_trigger(shape))
    evidence = [
        ClassEvidence(c, family, 4.0 + 50 * (c != 1), 30.0 if c == 1 else 0.1 * c, 0.5, 0.9)
        for family in ("patch", "additive")
        for c in range(len(names))
    ]
    return ScanReport(
        verdict=verdict,
        reasons=tuple(map(written, reasons)),
        findings=(finding,) if verdict == "backdoored" else (),
        evidence=tuple(evidence),
        coverage=made_coverage({"patch": 5.0, "additive": 0.7}, shape, len(names)),
        class_names=names,
        fingerprint=fingerprint,
        images=12,
        seed=0,
        seconds=1.5,
        passes=1234,
    )


def make_correction() -> Correction:
    one = torch.ones(3, 1, 1)
    return Correction(0.5 * one, 0.1 * one, -one, one)


@dataclass(frozen=True)
class FakeSite:
    name: str = "entry"
    extent: int = 4
    granularity: str = "position"
    moved: float = 2.5


@dataclass(frozen=True)
class FakeTrial:
    name: str
    sia: float = 0.9
    fpr: float = 0.01
    score: float = 0.89


@dataclass(frozen=True, eq=False)
class FakeTarget:
    target: int = 1
    corrections: Mapping[str, nn.Module] = field(
        default_factory=lambda: {"entry": make_correction()}
    )
    sites: tuple[FakeSite, ...] = (FakeSite(),)
    calibration: GuardThreshold = field(
        default_factory=lambda: GuardThreshold(0.1, 0.01, Rate(0.0, 0.0, 0.116, 30))
    )
    trials: tuple[FakeTrial, ...] = (FakeTrial("fine"), FakeTrial("coarse", 0.5))
    chosen: str = "fine"
    trigger: Trigger = field(default_factory=make_trigger)
    sources: tuple[int, ...] = (0, 2)
    asr: float = 0.01
    sia: float | None = 0.9
    fpr: float = 0.01
    cells: None = None
    adapted: Adaptation | None = None
    quick: bool = False

    @property
    def threshold(self) -> float:
        return self.calibration.threshold


@dataclass(frozen=True)
class FakeContract:
    input_shape: tuple[int, ...] = SHAPE
    goals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FakeRepair:
    verdict: Verdict = "backdoored"
    targets: tuple[FakeTarget, ...] = (FakeTarget(),)
    fit: str = "paired"
    seconds: Mapping[str, float] = field(default_factory=lambda: {"scan": 1.5, "align": 0.1})
    contract: FakeContract = field(default_factory=FakeContract)
    identity: None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "undoor/repair/2",
            "verdict": self.verdict,
            "targets": [
                {
                    "target": item.target,
                    "adapted": item.adapted.to_json() if item.adapted else None,
                }
                for item in self.targets
            ],
            "sites": [vars(site) for item in self.targets for site in item.sites],
            "seconds": dict(self.seconds),
        }

    def sha256(self) -> str:
        return "cd" * 32

    def save(self, folder: Path) -> None:
        (folder / "repair.safetensors").write_bytes(b"")
        (folder / "repair.json").write_text(json.dumps(self.to_json()))


@dataclass(frozen=True)
class FakeRate:
    value: float | None = 0.9
    low: float | None = 0.8
    high: float | None = 0.95
    n: int = 12


@dataclass(frozen=True)
class FakeEvaluation:
    target: int = 1
    before: Mapping[str, FakeRate] = field(
        default_factory=lambda: {key: FakeRate() for key in ("acc", "asr", "sia")}
    )
    after: Mapping[str, FakeRate] = field(
        default_factory=lambda: {
            **{key: FakeRate() for key in ("acc", "asr", "sia", "tpr", "fpr", "auroc")},
            "fpr_target": FakeRate(None, None, None, 0),
            "fpr_own": FakeRate(None, None, None, 0),
        }
    )
    n: Mapping[str, int] = field(default_factory=lambda: {"clean": 12, "triggered": 8})
    errors: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"schema": "undoor/evaluation/1", "target": self.target}


class Cli:
    """The command line with a model and data on disk and nothing computed behind it.

    Change `report`, `fixed` or `during_scan` to see what the commands make of it.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        self.model = str(write_model(folder / "model"))
        self.trust()
        self.data = str(write_data(folder / "clean.npz"))
        self.out = folder / "out"
        self.report = make_report()
        self.fixed = FakeRepair()
        self.adapted = Adaptation(4, 3, 2, missed=0.0, fitted=3, refitted=True)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.limits: tuple[Thresholds, Budget | None] = (Thresholds(), Budget())
        self.accept_graph = False
        self.accept_coverage: AcceptCoverage = "full"
        self.calibration: Calibration | None = None
        self.targets: Sequence[int] | None = None
        self.by_model = False
        # In the middle of a scan.
        self.during_scan: Callable[[Classifier, CleanSet], object] = lambda classifier, clean: None
        self._patch(monkeypatch)

    def trust(self, model: Path | str | None = None) -> None:
        """Trust the code that the model names, as it is now, as `--remember-code` does."""
        named = code_named_by(self.model if model is None else model)
        assert named is not None
        named.remember()

    def run(self, *arguments: object) -> Result:
        """One `undoor` command; whatever a command raises has to be caught by itself."""
        return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)

    def scan(self, *arguments: object) -> Result:
        return self.run("scan", self.model, "--data", self.data, *arguments)

    def repair(self, *arguments: object) -> Result:
        return self.run("repair", self.model, "--data", self.data, "--out", self.out, *arguments)

    def _scan(
        self,
        classifier: Classifier,
        clean: CleanSet,
        *,
        seed: int,
        thresholds: Thresholds,
        budget: Budget | None,
        accept_graph: bool,
        accept_coverage: AcceptCoverage,
        calibration: Calibration | None,
        targets: Sequence[int] | None,
        journal: Journal | None,
        progress: Progress,
    ) -> ScanReport:
        self.limits = (thresholds, budget)
        self.accept_graph = accept_graph
        self.accept_coverage = accept_coverage
        self.targets, self.by_model = targets, clean.by_model
        self.calibration = calibration
        self.calls.append(("scan", {"images": len(clean), "seed": seed}))
        progress("search triggers", 0, 2)
        self.during_scan(classifier, clean)
        progress("search triggers", 2, 2)
        return dataclasses.replace(self.report, fingerprint=classifier.fingerprint())

    def _repair(
        self,
        classifier: Classifier,
        clean: CleanSet,
        report: ScanReport,
        *,
        fit: str,
        fpr: float,
        force_targets: list[int],
        suspects: int,
        quick: bool,
        seed: int,
        budget: Budget | None,
        journal: Journal | None,
        progress: Progress,
    ) -> FakeRepair:
        asked = {"fit": fit, "fpr": fpr, "force_targets": force_targets, "suspects": suspects}
        asked |= {"quick": quick, "seed": seed}
        self.calls.append(("repair", asked))
        progress("fit corrections", 0, 1)
        if not report.findings:
            return dataclasses.replace(self.fixed, verdict=report.verdict, targets=())
        return self.fixed

    def _adapt(
        self,
        classifier: Classifier,
        clean: CleanSet,
        repair: FakeRepair,
        inputs: Tensor,
        *,
        flagged: dict[int, Tensor],
        seed: int,
        budget: Budget,
        journal: Journal,
        progress: Progress,
    ) -> FakeRepair:
        assert flagged == self._flagged(classifier, repair, inputs, progress)
        self.calls.append(("adapt", {"clean": len(clean), "inputs": len(inputs), "seed": seed}))
        progress("fit corrections", 0, 1)
        return dataclasses.replace(
            repair,
            targets=tuple(
                dataclasses.replace(item, adapted=self.adapted, sia=None) for item in repair.targets
            ),
        )

    def _flagged(
        self, classifier: Classifier, repair: FakeRepair, inputs: Tensor, progress: Progress
    ) -> dict[int, Tensor]:
        return {item.target: inputs for item in repair.targets}

    def _load(
        self, folder: Path, classifier: Classifier, *, sha256: str | None = None
    ) -> FakeRepair:
        if not (folder / "repair.json").is_file():
            raise UndoorError(f"{folder}: no repair there; expected the --out of `undoor repair`")
        return self.fixed

    def _stamp(
        self,
        clean: CleanSet,
        trigger: Trigger,
        target: int,
        source: int | None,
        *,
        space: Space,
        task: Task,
    ) -> CleanSet:
        self.calls.append(("stamp", {"target": target, "source": source}))
        return dataclasses.replace(clean, images=trigger(clean.images))

    def _evaluate(
        self,
        classifier: Classifier,
        guarded: nn.Module,
        clean: CleanSet,
        triggered: CleanSet,
        target: int,
    ) -> FakeEvaluation:
        self.calls.append(("evaluate", {"clean": len(clean), "triggered": len(triggered)}))
        return FakeEvaluation(target)

    def _patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scan = importlib.import_module("undoor.scan")
        monkeypatch.setattr(scan, "scan", self._scan)
        loader = SimpleNamespace(load=self._load)
        fakes: dict[str, dict[str, Any]] = {
            "undoor.repair": {"repair": self._repair, "Repair": loader},
            "undoor.adapt": {"adapt": self._adapt, "flagged_inputs": self._flagged},
            "undoor.guard": {
                "guard": lambda classifier, repair, **given: FakeGuarded(classifier, **given),
                "guarded_predictions": guarded_predictions,
            },
            "undoor.evaluate": {"evaluate": self._evaluate, "stamp_set": self._stamp},
            "undoor.demo": {
                "demo_model": lambda *, clean: load(self.model, trust_code=True),
                "demo_signs": lambda split: read_clean_set(self.data),
                "demo_trigger": make_trigger,
                "DEMO_TARGET": 1,
            },
        }
        for name, members in fakes.items():
            module = ModuleType(name)
            vars(module).update(members)
            monkeypatch.setitem(sys.modules, name, module)


class FakeGuarded(nn.Module):
    """Flags what has a white lower right corner, and answers class 0 for it, or as `policy` is."""

    def __init__(self, classifier: Classifier, policy: str = "relabel") -> None:
        super().__init__()
        self.classifier = classifier
        self.policy = policy

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        flagged = (x[:, :, -2:, -2:] == 1).flatten(1).all(1)
        labels = self.classifier(x).argmax(1)
        score = torch.where(flagged, 3.0, NO_SCORE)
        answers = {"relabel": torch.zeros_like(labels), "reject": torch.full_like(labels, -1)}
        return torch.where(flagged, answers.get(self.policy, labels), labels), flagged, score


def assert_error(result: Result, *, as_json: bool = True) -> None:
    """Nothing on stdout but, for programs, the one document of an error, and a line on stderr."""
    if not as_json:
        assert result.stdout == ""
        return
    found = DOCUMENTS["error"].model_validate_json(result.stdout).model_dump()
    assert found["code"] == result.exit_code
    assert found["message"] in result.stderr
    assert found["what_to_do"]
    assert found["what_to_do"] not in found["message"]
