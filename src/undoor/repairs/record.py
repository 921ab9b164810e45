"""A repair: the corrections with what was measured of them, bound to one model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from undoor.align.transform import MIXING, UNITS, Correction
from undoor.classifier import Classifier
from undoor.contract import Contract
from undoor.errors import UndoorError
from undoor.identity.binding import require_model, warn_of_weights_only
from undoor.kinds import checked
from undoor.repairs import file
from undoor.repairs.contents import RepairContents
from undoor.repairs.encoding import encoded
from undoor.sites import possible_sites
from undoor.triggers import Latent, Trigger
from undoor.views import Viewed

SCHEMA = "undoor/repair/3"
WAY_OUT = "run `undoor repair` on this model"


@dataclass(frozen=True, eq=False, repr=False)
class Repair(Viewed, RepairContents):
    """What closes the backdoors of one model; empty where the scan found none.

    Its fields are those of `undoor.repairs.contents.RepairContents`.
    """

    def __repr__(self) -> str:
        targets = [item.target for item in self.targets]
        return f"Repair(targets={targets}, fit={self.fit!r}, model={self.fingerprint[:12]})"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document: verdict, targets, corrected sites, hashes and seconds."""
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
        """Return the SHA-256 of the file that `save` writes, which a signature would cover."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        return hashlib.sha256(encoded(self)).hexdigest()

    @checked
    def save(self, path: str | Path) -> Path:
        """Write the repair and return the path of its file.

        Parameters
        ----------
        path
            A file that ends in .safetensors, or a folder. The folder gets the same file as
            repair.safetensors and, for people, repair.json and the triggers, which are never read
            back.
        """
        content = file.serialised(self)
        # To put all tensors together takes long: once is enough for the document, too.
        vars(self)["_sha256"] = hashlib.sha256(content).hexdigest()
        return file.save(content, self, Path(path), self.to_json())

    @staticmethod
    @checked
    def load(
        path: str | Path, classifier: Classifier | None = None, *, sha256: str | None = None
    ) -> Repair:
        """Read what `save` wrote, a file or a folder with one.

        Parameters
        ----------
        classifier
            The model it is meant for; without one, `undoor.guard` checks that it fits.
        sha256
            The hash that the file must have, from a trusted place or a signature.

        Raises
        ------
        UndoorError
            No repair there, one that is damaged or was changed, or another model's.
        """
        repair = Repair(**vars(file.load(Path(path), sha256=sha256)))
        if classifier is not None:
            repair.require_model(classifier, str(path))
            warn_of_weights_only(repair.identity, str(path), WAY_OUT)
        return repair

    def require_model(self, classifier: Classifier, name: str = "the repair") -> None:
        """Refuse a model that this repair was not made for.

        Parameters
        ----------
        name
            Of the repair, in messages.

        Raises
        ------
        UndoorError
            It is another model, predicts otherwise, has classes of other names, or no such sites.
        """
        classifier = classifier.with_goals(self.contract.goals)
        require_model(
            classifier,
            self.fingerprint,
            self.identity,
            name=name,
            what="this repair was made for",
            way_out=WAY_OUT,
        )
        self._require_contract(classifier, name)
        shapes = possible_sites(classifier) if self.targets else {}
        for item in self.targets:
            for site, correction in item.corrections.items():
                _require_site(site, correction, shapes, name)
            _require_trigger(item.trigger, shapes, name)

    def require_corrections(self, what: str) -> None:
        """Refuse a repair that replaces cells, where corrections are needed.

        Parameters
        ----------
        what
            What is asked for, for the message.

        Raises
        ------
        UndoorError
            It is of a model without layers.
        """
        if any(item.cells for item in self.targets):
            raise UndoorError(
                f"{what}: expected a repair with corrections, got one of a model without layers, "
                "which flags rows by their cells; guard the model with undoor.guard, or serve it "
                "with `undoor serve`"
            )

    def _require_contract(self, classifier: Classifier, name: str) -> None:
        """Refuse a model that has other classes, input shape or bounds."""
        classes = len(self.contract.class_names)
        if classes != classifier.num_classes:
            raise UndoorError(
                f"{name}: made for a model of {classes} classes, got one of "
                f"{classifier.num_classes}; {WAY_OUT}"
            )
        # Files of the previous format bind no more than this.
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
        raise UndoorError(
            f"{name}: it corrects {site!r}, but the model has no layer of that name that runs once "
            "in a pass and can be corrected; repair again"
        )
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
