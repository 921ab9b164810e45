"""A repair: the corrections with what was measured of them, bound to one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from undoor.align.adaptation import Adaptation
from undoor.align.calibrate import Calibration
from undoor.align.transform import MIXING, UNITS, Correction
from undoor.classifier import Classifier
from undoor.contract import Contract
from undoor.errors import UndoorError
from undoor.identity.binding import require_model, warn_of_weights_only
from undoor.identity.model import ModelIdentity
from undoor.sites import find_sites
from undoor.triggers import Latent, Trigger
from undoor.vocabulary import Granularity, Verdict

SCHEMA = "undoor/repair/2"
WAY_OUT = "run `undoor repair` on this model"


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

    calibration : the score above which the guard flags, and what speaks for it. asr, sia,
    fpr : of the guarded pair, cross-validated on the clean set with recovered triggers. adapted :
    what became of inputs seen in operation; where the corrections are fitted on such inputs, asr
    is the share of held-out ones that would still be answered with the target, and sia is unknown,
    since nobody labelled them. quick : made with the scan's trigger alone, and no choice of a plan.
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
    quick: bool = False

    @property
    def threshold(self) -> float:
        """The score above which the guard flags; see `undoor.align.guard_score.shortfall`."""
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
            "quick": self.quick,
        }


@dataclass(frozen=True, eq=False)
class Repair:
    """What closes the backdoors of one model; empty where the scan found none.

    fingerprint, contract : of that model. seconds : what the work took; files do not keep it, so
    that the same repair is the same bytes. version : of the undoor that made the repair.
    identity : the model field by field, where it is known.
    """

    verdict: Verdict
    targets: tuple[TargetRepair, ...]
    fit: str
    fingerprint: str
    contract: Contract
    seconds: Mapping[str, float] = field(default_factory=dict)
    version: str = field(default_factory=lambda: version("undoor"))
    identity: ModelIdentity | None = None

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
            "repair_sha256": self.sha256(),
            "seconds": dict(self.seconds),
        }

    def sha256(self) -> str:
        """SHA-256 of the file that `save` writes: what a signature of the repair is about."""
        from undoor.align.stored import sha256

        return sha256(self)

    def save(self, path: str | Path) -> Path:
        """Write the repair; returns its file.

        path : a file that ends in .safetensors, or a folder. The folder gets the same file as
        repair.safetensors and, for people, repair.json and the triggers, which are never read back.
        """
        from undoor.align.stored import save

        return save(self, Path(path))

    @staticmethod
    def load(
        path: str | Path, classifier: Classifier | None = None, *, sha256: str | None = None
    ) -> Repair:
        """Read what `save` wrote, a file or a folder with one.

        classifier : the model it is meant for; without one nothing is said of whether it fits, and
        `undoor.guard` will look. sha256 : what the file must have, as kept apart from it or signed.

        Raises
        ------
        UndoorError : no repair there, one that is damaged or was changed, or another model's.
        """
        from undoor.align.stored import load

        repair = load(Path(path), sha256=sha256)
        if classifier is not None:
            repair.require_model(classifier, str(path))
            warn_of_weights_only(repair.identity, str(path), WAY_OUT)
        return repair

    def require_model(self, classifier: Classifier, name: str = "the repair") -> None:
        """Refuse a model that this repair was not made for. name : of the repair, in messages.

        Raises
        ------
        UndoorError : it is another model, predicts otherwise, has classes of other names, or no
            such sites.
        """
        require_model(
            classifier,
            self.fingerprint,
            self.identity,
            name=name,
            what="this repair was made for",
            way_out=WAY_OUT,
        )
        self._require_contract(classifier, name)
        shapes = {site.name: site.shape for site in find_sites(classifier)} if self.targets else {}
        for item in self.targets:
            for site, correction in item.corrections.items():
                _require_site(site, correction, shapes, name)
            _require_trigger(item.trigger, shapes, name)

    def _require_contract(self, classifier: Classifier, name: str) -> None:
        """The classes above all: of shape and bounds the hash of the model says the same."""
        classes = len(self.contract.class_names)
        if classes != classifier.num_classes:
            raise UndoorError(
                f"{name}: made for a model of {classes} classes, got one of "
                f"{classifier.num_classes}; {WAY_OUT}"
            )
        # Files of the format before held to no more than this.
        if self.identity is not None and self.identity.sha256 is None:
            return
        differences = self.contract.differences(Contract.of(classifier))
        if differences:
            raise UndoorError(
                f"{name}: this repair was made for another model: {', '.join(differences)}; "
                f"give the model as it was described then, or {WAY_OUT}"
            )


def _require_site(
    site: str, correction: Correction, shapes: Mapping[str, tuple[int, ...]], name: str
) -> None:
    if site not in shapes:
        raise UndoorError(f"{name}: the model has no site {site!r}; repair again")
    shape = shapes[site]
    per_channel = (shape[0], *[1] * (len(shape) - 1))
    if not _fits(correction.parts, shape, per_channel):
        raise UndoorError(f"{name}: the corrections at {site!r} do not fit the model; repair again")


def _require_trigger(trigger: Trigger, shapes: Mapping[str, tuple[int, ...]], name: str) -> None:
    if isinstance(trigger, Latent) and shapes.get(trigger.site, ())[:1] != trigger.shift.shape:
        raise UndoorError(
            f"{name}: the trigger at {trigger.site!r} does not fit the model; repair again"
        )


def _fits(
    parts: Mapping[str, Tensor], shape: tuple[int, ...], per_channel: tuple[int, ...]
) -> bool:
    of_units = (tuple(parts[part].shape) for part in UNITS)
    if any(found not in (shape, per_channel) for found in of_units):
        return False
    if not parts.keys() & set(MIXING):
        return True
    rank = len(parts["down"])
    mixing = tuple(parts["down"].shape), tuple(parts["up"].shape)
    return mixing == ((rank, shape[0]), (shape[0], rank))
