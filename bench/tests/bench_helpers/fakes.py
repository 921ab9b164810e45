"""A zoo without models, scans without computing, and records of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import undoor
from undoor.clean_set import CleanSet
from undoor.scan.coverage import Coverage
from undoor.scan.reason import written
from undoor.scan.report import ClassEvidence, ScanReport
from undoor.vocabulary import Verdict


def truth(folder: Path, **changes: object) -> Path:
    folder.mkdir(parents=True)
    backdoor = {"labels": {"0": 2, "1": 2}, "asr": 0.97, "sia": 0.02, "took": True}
    made = {
        "attack": "badnets",
        "data": "mnist",
        "network": "VGG",
        "seed": 0,
        "acc": 0.99,
        "backdoors": [backdoor],
    }
    (folder / "truth.json").write_text(json.dumps(made | changes))
    return folder


def record(
    attack: str = "badnets",
    *,
    targets: tuple[int, ...] = (2,),
    sources: tuple[tuple[int, ...], ...] = (),
    called: tuple[int, ...] = (2,),
    named: tuple[int, ...] = (0, 1),
    verdict: str = "backdoored",
    took: bool = True,
    sizes: tuple[float | None, ...] = (8.0, 9.0, 1.0, None),
    by_source: tuple[float | None, ...] = (),
    shared: float | None = None,
    model: str = "m",
    data: str = "mnist",
    amount: str = "30 a class",
    images: int = 300,
    seed: int = 0,
) -> dict[str, Any]:
    """Without `sources`, a backdoor moves all. by_source, shared : sizes in those families, which
    are searched where there are any of the former."""
    evidence = [_evidence("patch", size, target=t) for t, size in enumerate(sizes)]
    if by_source:
        family = "patch by source"
        evidence += [_evidence(family, size, source=k) for k, size in enumerate(by_source)]
        evidence.append(_evidence("shared patch", shared))
    found = [
        {"target": t, "sources": list(named), "family": "patch", "p_value": 0.001} for t in called
    ]
    return {
        "model": model,
        "attack": attack,
        "data": data,
        "network": "VGG",
        "input_shape": [3, 32, 32],
        "targets": list(targets),
        "sources": [list(s) for s in sources or [()] * len(targets)],
        "asr": 0.97 if targets else None,
        "took": took,
        "setting": {"amount": amount, "image_seed": seed, "scan_seed": seed},
        "drawn": {"images": images, "least": images // 10, "most": -(-images // 10)},
        "scan": {
            "class_names": [str(k) for k in range(len(sizes))],
            "verdict": verdict,
            "targets": found,
            "evidence": evidence,
            "seed": seed,
            "seconds": 10.0,
            "passes": 1000,
        },
    }


def _evidence(
    family: str, size: float | None, *, target: int | None = None, source: int | None = None
) -> dict[str, Any]:
    found = {"target": target, "source": source, "family": family, "size": size}
    return found | {"score": 1, "p_value": 0.5, "asr": None}


def clean_record(**changes: Any) -> dict[str, Any]:
    """Of a clean model that was called clean."""
    return record("clean", **{"targets": (), "called": (), "verdict": "clean", **changes})


class FakeZoo:
    """Models m and n (backdoored) and c (clean) of three classes, data for them, and a scan that
    computes nothing. Change `verdicts` (by scan seed) to see what is made of it.
    """

    def __init__(
        self, folder: Path, classifier: undoor.Classifier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder, self.data, self.out = folder / "zoo", folder, folder / "out"
        truth(self.folder / "m")
        truth(self.folder / "n")
        truth(self.folder / "c", attack="clean", backdoors=[])
        x = np.zeros((60, 4, 4, 3), np.uint8)
        np.savez(folder / "mnist.npz", x_test=x, y_test=np.arange(60) % 3, y_train=np.zeros(4000))
        self.scans: list[tuple[int, int]] = []
        self.verdicts: dict[int, Verdict] = {}
        # What a scan finds besides its verdict; it may change from one scan to the next.
        self.size = 2.0
        monkeypatch.setattr(undoor, "load", lambda _: classifier)
        monkeypatch.setattr(undoor, "scan", self._scan)

    def arguments(self, command: str, *more: object) -> list[str]:
        out = ["--data", str(self.data), "--out", str(self.out)]
        return [command, str(self.folder), *out, *map(str, more)]

    def _scan(
        self, classifier: undoor.Classifier, clean: CleanSet, *, seed: int, **_: object
    ) -> ScanReport:
        self.scans.append((len(clean), seed))
        return ScanReport(
            verdict=self.verdicts.get(seed, "clean"),
            reasons=(written("why"),),
            findings=(),
            evidence=(ClassEvidence(0, "patch", self.size, 9.0, 0.001),),
            coverage=Coverage(),
            class_names=classifier.class_names,
            fingerprint=classifier.fingerprint(),
            images=len(clean),
            seed=seed,
            seconds=1.5 + len(self.scans),
            passes=77,
        )
