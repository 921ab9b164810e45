"""A repair: the corrections with what was measured of them, bound to one model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from undoor.align.adaptation import Adaptation
from undoor.align.calibrate import Calibration
from undoor.align.transform import Correction
from undoor.align.units import Granularity
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.files import why, write_atomically, write_json
from undoor.scan.report import Verdict, trigger_file
from undoor.sites import find_sites
from undoor.triggers import Trigger, load_trigger

SCHEMA = "undoor/repair/2"
DESCRIPTION = "repair.json"
TENSORS = "repair.safetensors"
PARTS = ("scale", "shift", "low", "high")


@dataclass(frozen=True)
class SiteChoice:
    """A corrected site: the longer side of its map, the granularity chosen for it, and how far
    the recovered trigger (or what was flagged, if adapted) moves its channels on average, in clean
    standard deviations."""

    name: str
    extent: int
    granularity: Granularity
    moved: float


@dataclass(frozen=True)
class Trial:
    """One plan tried in the cross-validation: guarded SIA on held-out images under triggers that
    it was not fitted on, FPR on clean inputs of the target, and the score that chose. Inputs
    flagged in operation have no labels: no SIA is known of a plan tried on them."""

    name: str
    sia: float | None
    fpr: float
    score: float


@dataclass(frozen=True, eq=False)
class TargetRepair:
    """The corrections for one target class.

    calibration : the margin drop above which the guard flags, and what speaks for it. asr, sia,
    fpr : of the guarded pair, cross-validated on the clean set with recovered triggers. adapted :
    what became of inputs seen in operation; where the corrections are fitted on such inputs, asr
    is the share of held-out ones that would still be answered with the target, and sia is unknown,
    since nobody labelled them.
    """

    target: int
    sources: tuple[int, ...]
    trigger: Trigger
    corrections: Mapping[str, Correction]
    calibration: Calibration
    chosen: str
    sites: tuple[SiteChoice, ...]
    trials: tuple[Trial, ...]
    asr: float
    sia: float | None
    fpr: float
    adapted: Adaptation | None = None

    @property
    def threshold(self) -> float:
        """The margin drop above which the guard flags."""
        return self.calibration.threshold

    def to_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "sources": list(self.sources),
            "threshold": self.threshold,
            "calibration": self.calibration.to_json(str(self.target)),
            "chosen": self.chosen,
            "asr": self.asr,
            "sia": self.sia,
            "fpr": self.fpr,
            "trials": [vars(trial) for trial in self.trials],
            "adapted": self.adapted.to_json(str(self.target)) if self.adapted else None,
        }


@dataclass(frozen=True, eq=False)
class Repair:
    """What closes the backdoors of one model; empty where the scan found none."""

    verdict: Verdict
    targets: tuple[TargetRepair, ...]
    fit: str
    fingerprint: str
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "targets": [item.to_json() for item in self.targets],
            "sites": [
                {"target": item.target, **vars(site)}
                for item in self.targets
                for site in item.sites
            ],
            "fit": self.fit,
            "model_sha256": self.fingerprint,
            "seconds": dict(self.seconds),
        }

    def save(self, folder: Path) -> None:
        """Write the corrections as safetensors, the triggers as .npz and repair.json, which makes
        the folder a repair and therefore comes last."""
        tensors = {
            f"{item.target}/{name}/{part}": getattr(correction, part)
            for item in self.targets
            for name, correction in item.corrections.items()
            for part in PARTS
        }
        stamp = {"schema": SCHEMA, "model_sha256": self.fingerprint}
        write_atomically(folder / TENSORS, lambda path: save_file(tensors, path, stamp))
        for item in self.targets:
            item.trigger.save(folder / trigger_file(item.target))
        write_json(folder / DESCRIPTION, self.to_json())

    @staticmethod
    def load(folder: Path, classifier: Classifier) -> Repair:
        """Read what `save` wrote.

        Raises
        ------
        UndoorError : no repair there, an unreadable one, or one that was made for another model.
        """
        file = folder / DESCRIPTION
        try:
            data = json.loads(file.read_text())
            if data.get("schema") != SCHEMA:
                raise UndoorError(
                    f"{file}: expected schema {SCHEMA!r}, got {data.get('schema')!r}; repair again"
                )
            if data["model_sha256"] != classifier.fingerprint():
                raise UndoorError(
                    f"{folder}: this repair was made for another model (expected weights and input "
                    f"with SHA-256 {data['model_sha256'][:12]}, got {classifier.fingerprint()[:12]}"
                    "); run `undoor repair` on this model"
                )
            tensors = _read_tensors(folder / TENSORS, data["model_sha256"])
            return Repair(
                verdict=data["verdict"],
                targets=tuple(
                    _target(item, data["sites"], tensors, folder, classifier)
                    for item in data["targets"]
                ),
                fit=data["fit"],
                fingerprint=data["model_sha256"],
                seconds=data["seconds"],
            )
        except OSError as error:
            raise UndoorError(
                f"{file.parent}: {why(error)}; expected the --out folder of `undoor repair`"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise UndoorError(
                f"{folder}: not a readable repair ({error!r}); repair again"
            ) from error


def _read_tensors(file: Path, fingerprint: str) -> dict[str, Tensor]:
    with safe_open(file, "pt") as archive:
        stamp = archive.metadata() or {}
    if stamp.get("model_sha256") != fingerprint:
        raise UndoorError(
            f"{file} belongs to another repair than the {DESCRIPTION} beside it; repair again"
        )
    return load_file(file)


def _target(
    item: Mapping[str, Any],
    sites: list[dict[str, Any]],
    tensors: Mapping[str, Tensor],
    folder: Path,
    classifier: Classifier,
) -> TargetRepair:
    target = item["target"]
    choices = tuple(
        SiteChoice(**{key: value for key, value in site.items() if key != "target"})
        for site in sites
        if site["target"] == target
    )
    shapes = {site.name: site.shape for site in find_sites(classifier)}
    corrections = {}
    for choice in choices:
        if choice.name not in shapes:
            raise UndoorError(f"{folder}: the model has no site {choice.name!r}; repair again")
        parts = [tensors[f"{target}/{choice.name}/{part}"] for part in PARTS]
        shape = shapes[choice.name]
        per_channel = (shape[0], *[1] * (len(shape) - 1))
        if any(tuple(part.shape) not in (shape, per_channel) for part in parts):
            raise UndoorError(
                f"{folder}: the corrections at {choice.name!r} do not fit the model; repair again"
            )
        corrections[choice.name] = Correction(*parts)
    return TargetRepair(
        target=target,
        sources=tuple(item["sources"]),
        trigger=load_trigger(
            folder / trigger_file(target), shape=classifier.input_shape, bounds=classifier.bounds
        ),
        corrections=corrections,
        calibration=Calibration.from_json(item["threshold"], item["calibration"]),
        chosen=item["chosen"],
        sites=choices,
        trials=tuple(Trial(**trial) for trial in item["trials"]),
        asr=item["asr"],
        sia=item["sia"],
        fpr=item["fpr"],
        # Repairs written before there were adapted ones say nothing of it.
        adapted=Adaptation.from_json(item["adapted"]) if item.get("adapted") else None,
    )
