"""The description that an exported file carries."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from undoor.align.guard_threshold import GuardThreshold
from undoor.classifier import Classifier
from undoor.export.trigger_pictures import trigger_pictures
from undoor.output_forms.output_form import OutputForm
from undoor.output_forms.registry import described
from undoor.preparation import Preparation
from undoor.repairs.record import Repair
from undoor.vocabulary import EXPORT_SCHEMA

Holds = Literal["guarded", "corrected"]


@dataclass(frozen=True)
class About:
    """Where an exported file comes from, and what it takes as input.

    Attributes
    ----------
    holds
        "guarded", original and corrected networks with the rule; or "corrected", a corrected
        network alone, which flags nothing.
    preparation
        How pictures become inputs, with the contract of the model.
    space, task
        Their names: what an input is, what an output means.
    outputs
        What outputs mean to servers; None where they know no form for it.
    calibrations
        What each threshold promises, as in `GuardThreshold.to_json`, without the scores.
    rule, policy
        As in `undoor.guard`; None without a rule.
    triggers
        A PNG of each recovered trigger that acts on inputs, by target.
    """

    holds: Holds
    model_sha256: str
    repair_sha256: str
    preparation: Preparation
    space: str
    task: str
    outputs: OutputForm | None
    targets: tuple[int, ...]
    thresholds: tuple[float, ...]
    calibrations: tuple[Mapping[str, Any], ...]
    rule: str | None
    policy: str | None
    triggers: Mapping[int, bytes]

    @staticmethod
    def of(
        classifier: Classifier,
        repair: Repair,
        holds: Holds,
        rule: str | None,
        policy: str | None,
        *,
        with_preprocessing: bool = False,
    ) -> About:
        """Return the description of what is exported of a classifier and its repair."""
        return About(
            holds=holds,
            model_sha256=repair.fingerprint,
            repair_sha256=repair.sha256(),
            preparation=Preparation.of(classifier, in_graph=with_preprocessing),
            space=classifier.space.name,
            task=classifier.task.name,
            outputs=classifier.output_form,
            targets=tuple(item.target for item in repair.targets),
            thresholds=tuple(item.threshold for item in repair.targets),
            calibrations=tuple(_without_scores(item.calibration) for item in repair.targets),
            rule=rule,
            policy=policy,
            triggers=trigger_pictures(repair, classifier.space),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the file and the JSON document hold them."""
        return {
            "schema": EXPORT_SCHEMA,
            "undoor": version("undoor"),
            "holds": self.holds,
            "model_sha256": self.model_sha256,
            "repair_sha256": self.repair_sha256,
            **self.preparation.contract.to_json(),
            "space": self.space,
            "task": self.task,
            "outputs": None if self.outputs is None else described(self.outputs),
            "preprocessing": self.preparation.to_json(),
            "targets": list(self.targets),
            "thresholds": list(self.thresholds),
            "calibrations": [dict(item) for item in self.calibrations],
            "rule": self.rule,
            "policy": self.policy,
            "triggers": {
                str(target): base64.b64encode(picture).decode()
                for target, picture in self.triggers.items()
            },
        }

    def to_text(self) -> str:
        """Return canonical JSON on one line."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _without_scores(calibration: GuardThreshold) -> dict[str, Any]:
    return {name: value for name, value in calibration.to_json().items() if name != "scores"}
