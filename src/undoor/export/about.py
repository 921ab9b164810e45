"""The description that an exported file carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from undoor.align.guard_threshold import GuardThreshold
from undoor.contract import Contract
from undoor.repairs.record import Repair

SCHEMA = "undoor/export/1"
Holds = Literal["guarded", "corrected"]


@dataclass(frozen=True)
class About:
    """Where an exported file comes from, and what it takes as input.

    Attributes
    ----------
    holds
        "guarded", original and corrected networks with the rule; or "corrected", a corrected
        network alone, which flags nothing.
    calibrations
        What each threshold promises, as in `GuardThreshold.to_json`, without the scores.
    rule, policy
        As in `undoor.guard`; None without a rule.
    """

    holds: Holds
    model_sha256: str
    repair_sha256: str
    contract: Contract
    targets: tuple[int, ...]
    thresholds: tuple[float, ...]
    calibrations: tuple[Mapping[str, Any], ...]
    rule: str | None
    policy: str | None

    @staticmethod
    def of(repair: Repair, holds: Holds, rule: str | None, policy: str | None) -> About:
        """Return the description of what is exported of a repair."""
        return About(
            holds=holds,
            model_sha256=repair.fingerprint,
            repair_sha256=repair.sha256(),
            contract=repair.contract,
            targets=tuple(item.target for item in repair.targets),
            thresholds=tuple(item.threshold for item in repair.targets),
            calibrations=tuple(_without_scores(item.calibration) for item in repair.targets),
            rule=rule,
            policy=policy,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the file and the JSON document hold them."""
        return {
            "schema": SCHEMA,
            "undoor": version("undoor"),
            "holds": self.holds,
            "model_sha256": self.model_sha256,
            "repair_sha256": self.repair_sha256,
            **self.contract.to_json(),
            "targets": list(self.targets),
            "thresholds": list(self.thresholds),
            "calibrations": [dict(item) for item in self.calibrations],
            "rule": self.rule,
            "policy": self.policy,
        }

    def to_text(self) -> str:
        """Return canonical JSON on one line."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _without_scores(calibration: GuardThreshold) -> dict[str, Any]:
    return {name: value for name, value in calibration.to_json().items() if name != "scores"}
