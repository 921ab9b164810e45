"""The content of a repair's file: each field by name.

It holds no prose, so that its hash covers nothing but numbers and names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from undoor.align.guard_threshold import GuardThreshold
from undoor.align.replaced_cells import ReplacedCells
from undoor.align.transform import MIXING, UNITS, Correction
from undoor.align.trial import Trial
from undoor.contract import Contract
from undoor.device import array
from undoor.errors import UndoorError
from undoor.identity.model import model_from_json, model_to_json
from undoor.repairs.adaptation import Adaptation
from undoor.repairs.contents import RepairContents, SiteChoice, TargetRepair
from undoor.repairs.description import require_description
from undoor.repairs.plausible import require_plausible, require_plausible_cells
from undoor.sealed import Sealed, sealed
from undoor.triggers import Trigger, trigger_of
from undoor.triggers.trigger import KINDS
from undoor.vocabulary import Verdict

# Another one than the schema of the result document: that one may change without this.
SCHEMA = "undoor/repair-file/5"
# The same with cells that are replaced, which older versions would not flag; written only then.
WITH_CELLS = "undoor/repair-file/6"
# Still read: it has sentences beside the numbers that they follow from.
WITH_NOTES = "undoor/repair-file/4"
# Still read: it names its model by the weights and the input transform alone.
WEIGHTS_ONLY = "undoor/repair-file/3"
# In front of every tensor: no checkpoint has such keys, and `undoor.load` knows them.
PREFIX = "repair/"
# Triggers are stored in raw units, so that no rounding changes them from file to file.
UNIT = (0.0, 1.0)


def encoded(repair: RepairContents) -> bytes:
    """Return the bytes of the file.

    The same repair gives the same bytes, whatever the day and however long the work took.
    """
    tensors: dict[str, Tensor] = {}
    for item in repair.targets:
        for name, correction in item.corrections.items():
            for part, value in correction.parts.items():
                tensors[_correction_key(item.target, name, part)] = value
        for part, value in (item.cells.parts if item.cells else {}).items():
            tensors[_cells_key(item.target, part)] = value
        numbers, _ = _trigger_parts(item.trigger)
        tensors |= {_trigger_key(item.target, name): value for name, value in numbers.items()}
    description = {
        "schema": WITH_CELLS if any(item.cells for item in repair.targets) else SCHEMA,
        "undoor": repair.version,
        "model": model_to_json(repair.fingerprint, repair.identity) | repair.contract.to_json(),
        "verdict": repair.verdict,
        "fit": repair.fit,
        "targets": [_described(item) for item in repair.targets],
    }
    return sealed(description, tensors)


def _described(item: TargetRepair) -> dict[str, Any]:
    return {
        "target": item.target,
        "sources": list(item.sources),
        "threshold": item.threshold,
        "calibration": item.calibration.to_json(),
        "chosen": item.chosen,
        "asr": item.asr,
        "sia": item.sia,
        "fpr": item.fpr,
        "trials": [vars(trial) for trial in item.trials],
        "adapted": item.adapted.to_json() if item.adapted else None,
        "quick": item.quick,
        "sites": [vars(site) for site in item.sites],
        "trigger": _trigger_parts(item.trigger)[1],
    }


def decoded(content: Sealed, file: Path) -> RepairContents:
    """Return the repair that `encoded` wrote.

    Strict, since a guard without its numbers would flag nothing.

    Raises
    ------
    UndoorError
        It is of another version, or incomplete.
    """
    data = content.description
    found = data.get("schema") if isinstance(data, dict) else None
    if found not in (WITH_CELLS, SCHEMA, WITH_NOTES, WEIGHTS_ONLY):
        raise UndoorError(f"{file}: expected schema {SCHEMA!r}, got {found!r:.60}; repair again")
    try:
        require_description(data)
        contract = Contract.from_json(data["model"])
        weights_only = found == WEIGHTS_ONLY
        named = data["model"]["sha256"] if weights_only else data["model"]
        fingerprint, identity = model_from_json(named, weights_only=weights_only)
        repair = RepairContents(
            verdict=_one_of(get_args(Verdict), data["verdict"]),
            targets=tuple(_target(item, content.tensors, contract) for item in data["targets"]),
            fit=str(data["fit"]),
            fingerprint=fingerprint,
            identity=identity,
            contract=contract,
            version=str(data["undoor"]),
        )
        _require_whole(repair, content.tensors)
        if (found == WITH_CELLS) != any(item.cells for item in repair.targets):
            raise ValueError("its cells do not belong to its schema")
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, UndoorError) as error:
        reason = error if isinstance(error, UndoorError) else f"{error!r:.300}"
        raise UndoorError(f"{file}: not a readable repair ({reason}); repair again") from error
    return repair


def _target(
    item: Mapping[str, Any], tensors: Mapping[str, Tensor], contract: Contract
) -> TargetRepair:
    target = item["target"]
    sites = tuple(SiteChoice(**site) for site in item["sites"])
    adapted = item["adapted"]
    return TargetRepair(
        target=target,
        sources=tuple(item["sources"]),
        trigger=_trigger(target, item["trigger"], tensors, contract),
        corrections={
            site.name: _correction(_correction_key(target, site.name, ""), tensors)
            for site in sites
        },
        calibration=GuardThreshold.from_json(item["threshold"], item["calibration"]),
        chosen=item["chosen"],
        sites=sites,
        trials=tuple(Trial(**trial) for trial in item["trials"]),
        asr=item["asr"],
        sia=item["sia"],
        fpr=item["fpr"],
        adapted=Adaptation.from_json(adapted) if adapted else None,
        quick=_yes_or_no(item["quick"]),
        cells=_cells(target, tensors),
    )


def _require_whole(repair: RepairContents, tensors: Mapping[str, Tensor]) -> None:
    classes = range(len(repair.contract.class_names))
    targets = [item.target for item in repair.targets]
    if len(set(targets)) < len(targets):
        raise ValueError(f"a target occurs twice: {targets}")
    for item in repair.targets:
        unknown = [
            c for c in (item.target, *item.sources) if type(c) is not int or c not in classes
        ]
        if unknown:
            raise ValueError(f"no class of {len(classes)}: {unknown[0]!r}")
        require_plausible(item.target, item.corrections, item.calibration)
        if item.cells:
            require_plausible_cells(item.target, item.cells, repair.contract.input_shape)
            if item.corrections:
                raise ValueError(f"target {item.target} has cells as well as corrections")
    expected = (
        {
            _correction_key(item.target, name, part)
            for item in repair.targets
            for name in item.corrections
            for part in item.corrections[name].parts
        }
        | {
            _trigger_key(item.target, name)
            for item in repair.targets
            for name in _trigger_parts(item.trigger)[0]
        }
        | {
            _cells_key(item.target, part)
            for item in repair.targets
            for part in (item.cells.parts if item.cells else ())
        }
    )
    if strange := sorted(set(tensors) - expected):
        raise ValueError(f"it holds tensors that belong to nothing: {strange[0]}")


def _correction(start: str, tensors: Mapping[str, Tensor]) -> Correction:
    """Return the correction whose parts have keys that begin so."""
    part = {name: tensors[start + name] for name in UNITS}
    mixing = {name: tensors[start + name] for name in MIXING if start + name in tensors}
    if len(mixing) == 1:
        raise KeyError(start + next(name for name in MIXING if name not in mixing))
    return Correction(**part, **mixing)


def _cells(target: int, tensors: Mapping[str, Tensor]) -> ReplacedCells | None:
    """Return the cells that are replaced; None where there are none."""
    names = [item.name for item in fields(ReplacedCells)]
    if not any(_cells_key(target, name) in tensors for name in names):
        return None
    return ReplacedCells.of_parts({name: tensors[_cells_key(target, name)] for name in names})


def _trigger_parts(trigger: Trigger) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return what a trigger is made of: its numbers, and its words (kind, family, mode, site)."""
    if trigger.relative and trigger.bounds != UNIT and math.isfinite(trigger.bounds[0]):
        trigger = _with_bounds(trigger, UNIT)
    arrays = trigger.named_arrays()
    words = {name: str(value) for name, value in arrays.items() if value.dtype.kind == "U"}
    numbers = {
        name: torch.from_numpy(np.ascontiguousarray(value, np.float32))
        for name, value in arrays.items()
        if name not in words
    }
    return numbers, words


def _trigger(
    target: int, words: Mapping[str, str], tensors: Mapping[str, Tensor], contract: Contract
) -> Trigger:
    start = _trigger_key(target, "")
    arrays = {
        key.removeprefix(start): array(value)
        for key, value in tensors.items()
        if key.startswith(start)
    }
    kind = KINDS.get(words.get("kind", ""))
    made = trigger_of(
        arrays | {name: np.array(value) for name, value in words.items()},
        shape=contract.input_shape,
        bounds=contract.bounds if kind is not None and not kind.relative else UNIT,
    )
    # Latent triggers have no bounds of pixels.
    return _with_bounds(made, contract.bounds) if made.bounds == UNIT else made


def _with_bounds(trigger: Trigger, bounds: tuple[float, float]) -> Trigger:
    # Every kind of trigger is a dataclass; the abstract class cannot say so.
    return cast("Trigger", replace(cast("Any", trigger), bounds=bounds))


def _correction_key(target: int, site: str, part: str) -> str:
    return f"{PREFIX}{target}/correction/{site}/{part}"


def _cells_key(target: int, part: str) -> str:
    return f"{PREFIX}{target}/cells/{part}"


def _trigger_key(target: int, name: str) -> str:
    return f"{PREFIX}{target}/trigger/{name}"


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {value!r}")
    return value


def _one_of(known: tuple[str, ...], value: Any) -> Any:
    if value not in known:
        raise ValueError(f"expected one of {', '.join(known)}, got {value!r}")
    return value
