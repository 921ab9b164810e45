"""Mitigation beside its rivals: a record for each model, amount of clean images and method."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from undoor.errors import UndoorError
from undoor.files import write_json
from undoor.identity.tensors import weights_sha256
from undoor.progress import Progress, silent
from undoor.rate import rates_to_json
from undoor_bench.mitigate.case import Case, open_case
from undoor_bench.mitigate.methods import Method, bare
from undoor_bench.rates import PredictionSet, basic_rates, flag_rates
from undoor_bench.records import Record, Setting, images_drawn
from undoor_bench.zoo.subjects import Subject

RECORDS, SCANS = "records", "scans"


def mitigate(
    models: Sequence[Subject],
    methods: Sequence[Method],
    settings: Sequence[Setting],
    data: Path,
    out: Path,
    *,
    progress: Progress = silent,
) -> None:
    """Measure every method on every model in every setting, except where a record exists.

    ``OUT/records/SETTING/METHOD/MODEL.json`` is a record, ``OUT/scans/SETTING/MODEL`` the scan
    that all methods share. Each is written as soon as it is made, and is whole or not there.

    Parameters
    ----------
    data
        A folder with DATA.npz.

    Raises
    ------
    UndoorError
        A model or its data cannot be read, or a record is of something else. What a method cannot
        do is no error here but is recorded.
    """
    done, total = 0, len(models) * len(methods) * len(settings)
    for subject, setting in product(models, settings):
        files = {item: _file(out, subject, setting, item) for item in methods}
        missing = [item for item in methods if not files[item].is_file()]
        for item in set(methods) - set(missing):
            _require(_read(files[item]), files[item], subject, setting, item)
        done += len(methods) - len(missing)
        if not missing:
            continue
        case = open_case(subject, setting, data, out / SCANS)
        before = PredictionSet.of(bare(case), case.test, case.triggered)
        for item in missing:
            progress("methods", done, total)
            record = measured(case, item, before, progress=progress)
            write_json(files[item], record)
            done += 1
    progress("methods", done, total)


def measured(
    case: Case, item: Method, before: PredictionSet, *, progress: Progress = silent
) -> Record:
    """Return the record of one method.

    Parameters
    ----------
    before
        Of the bare model.

    Raises
    ------
    UndoorError
        The scan cannot be made or read, which is no fault of the method.
    """
    targets = [backdoor.target for backdoor in case.backdoors]
    basic = basic_rates(before, case.test, case.triggered, targets)
    record = _facts(case, item) | {"before": rates_to_json(basic)}
    record |= {"scan": _scan(case, progress) if item.scans else None}
    record |= {"after": None, "seconds": None, "failed": None}
    try:
        defence = item.make(case, progress)
        started = time.process_time()
        outcome = PredictionSet.of(defence.predictions, case.test, case.triggered)
        record["answer_seconds"] = time.process_time() - started
    except UndoorError as error:
        return record | {"failed": str(error)}
    rates = basic_rates(outcome, case.test, case.triggered, targets)
    rates |= flag_rates(outcome, before, case.test, targets)
    record |= {"after": rates_to_json(rates), "seconds": defence.seconds}
    return record | {"details": defence.details}


def _facts(case: Case, item: Method) -> Record:
    triggered = sum(len(images) for images in case.triggered)
    return {
        **case.subject.facts(),
        "model_sha256": weights_sha256(case.classifier),
        "method": item.name,
        "kind": item.kind,
        "setting": case.setting.to_json(),
        "drawn": images_drawn(case.clean),
        "tested": {"clean": len(case.test), "triggered": triggered},
        "threads": torch.get_num_threads(),
    }


def _scan(case: Case, progress: Progress) -> dict[str, Any]:
    """Return the facts of the scan that methods depend on; `missed` are targets it did not name."""
    report = case.scan(progress)
    named = [finding.target for finding in report.findings]
    return {
        "verdict": report.verdict,
        "targets": named,
        "missed": [target for target in case.subject.targets if target not in named],
        "seconds": report.seconds,
        "passes": report.passes,
    }


def _file(out: Path, subject: Subject, setting: Setting, item: Method) -> Path:
    return out / RECORDS / setting.folder / item.folder / f"{subject.name}.json"


def read_records(out: Path) -> list[Record]:
    """Return all records of a folder, in the order of their files' names."""
    return [_read(file) for file in sorted((out / RECORDS).glob("*/*/*/*.json"))]


def _read(file: Path) -> Record:
    try:
        record: Record = json.loads(file.read_text())
        _ = record["model"], record["method"], record["setting"]["amount"]
        _ = record["before"]["acc"], record["after"], record["failed"], record["kind"]
    except (ValueError, KeyError, TypeError) as error:
        raise UndoorError(
            f"{file}: not a record of a mitigation ({error!r}); remove it to measure again"
        ) from error
    return record


def _require(record: Record, file: Path, subject: Subject, setting: Setting, item: Method) -> None:
    asked = {"model": subject.name, "method": item.name, "setting": setting.to_json()}
    differs = [key for key, value in asked.items() if record[key] != value]
    if differs:
        differences = ", ".join(f"{key} {record[key]} instead of {asked[key]}" for key in differs)
        raise UndoorError(f"{file}: a record with {differences}; give another --out")
