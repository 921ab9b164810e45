"""The facts of the HTML report: the model, the data, the scan, and what the verdict rests on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from undoor.families.registry import unit_of
from undoor.files import as_json
from undoor.render import coverage, text
from undoor.render.nouns import noun_of
from undoor.render.subject import Subject
from undoor.scan.circumstances import Circumstances
from undoor.scan.coverage import FamilyCoverage
from undoor.scan.report import ScanReport
from undoor.vocabulary import PARTIAL, SCAN_FILE

if TYPE_CHECKING:
    from undoor.repair import Repair

Facts = list[tuple[str, str]]
UNKNOWN = "not known"
NONE = "none"
# Of more classes the counts are not listed one by one.
MAX_COUNTED = 12
WORDS = {
    "network": "Kind of network",
    "space": "Inputs",
    "size": "Size",
    "task": "Outputs",
    "classes": "Classes",
}


def model_facts(scan: ScanReport, subject: Subject | None) -> Facts:
    """Return the facts of the model."""
    if subject is None:
        return [("Classes", str(len(scan.class_names)))]
    low, high = subject.bounds
    shape = _shape(subject.input_shape)
    return [
        ("Model", text.plain(subject.model)),
        ("Network", f"{text.plain(subject.network)}, {subject.parameters:,} parameters"),
        ("Input", f"{shape}, values from {low:g} to {high:g}"),
        ("Classes", str(len(scan.class_names))),
    ]


def data_facts(scan: ScanReport, subject: Subject | None) -> Facts:
    """Return the source of the clean data, and which of them were used."""
    made = scan.circumstances
    source = [("Source", text.plain(subject.data))] if subject else []
    return [
        *source,
        (f"Clean {noun_of(scan).many} used", str(scan.images)),
        ("Per class", _per_class(made, scan.class_names)),
        (f"SHA-256 of {noun_of(scan).many} and labels", made.samples_sha256 or UNKNOWN),
    ]


def scan_facts(scan: ScanReport) -> Facts:
    """Return the date, options and machine of the scan."""
    made = scan.circumstances
    return [
        ("Date", scan.date or UNKNOWN),
        ("Time of the scan", f"{scan.seconds:.1f} s, {scan.passes:,} sample passes"),
        ("Seed", str(scan.seed)),
        ("Alpha", UNKNOWN if made.alpha is None else f"{made.alpha:g}"),
        ("SHA-256 of the calibration", made.calibration_sha256 or UNKNOWN),
        ("Budget", _budget(made)),
        ("Accepted by the user", _accepted(made)),
        ("Software", _software(made)),
        ("Device", scan.device or UNKNOWN),
        ("Processor", made.machine or UNKNOWN),
        ("Arithmetic", made.arithmetic or UNKNOWN),
    ]


def hash_facts(scan: ScanReport, subject: Subject | None, repair: Repair | None) -> Facts:
    """Return the SHA-256 of the model, its files and its reports."""
    file = subject.weights_sha256 if subject else None
    report = hashlib.sha256(as_json(scan.to_json()).encode()).hexdigest()
    return [
        ("Model", scan.fingerprint),
        *([("Weight file", file)] if file else []),
        *([("Repair", repair.sha256())] if repair is not None else []),
        (f"Scan report ({SCAN_FILE})", report),
    ]


def family_rows(scan: ScanReport) -> list[tuple[str, str, str, str]]:
    """Return one row per trigger family.

    It has the name, whether it was searched, the size below which a trigger would have been
    reported, and its unit.
    """
    return [
        (item.family, _searched(item), _size(item), unit_of(item.family))
        for item in scan.coverage.families
    ]


def calibration_rows(scan: ScanReport) -> list[tuple[str, str, str]]:
    """Return in which respects the model is like those that the statistics were learned from."""
    covered = scan.coverage
    found = {
        "network": covered.network,
        "space": covered.space,
        "size": _shape(covered.shape),
        "task": covered.task,
        "classes": str(covered.classes),
    }
    return [
        (WORDS[name], str(found[name]), "yes" if ok else "no")
        for name, ok in (covered.calibrated or {}).items()
    ]


def _searched(item: FamilyCoverage) -> str:
    why = coverage.note(item)
    if item.searched:
        return f"in part: {why}" if why else "yes"
    return f"no: {why}"


def _size(item: FamilyCoverage) -> str:
    if item.reported_below is not None:
        return f"below {item.reported_below:.2g}"
    return text.DASH if item.alarm is None else f"from a score of {text.score_text(item.alarm)}"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _per_class(made: Circumstances, names: tuple[str, ...]) -> str:
    counts = made.per_class
    if not counts:
        return UNKNOWN
    if min(counts) == max(counts):
        return f"{counts[0]} of each"
    if len(counts) > MAX_COUNTED:
        return f"{min(counts)} to {max(counts)}"
    return ", ".join(f"{text.class_label(k, names)}: {n}" for k, n in enumerate(counts))


def _budget(made: Circumstances) -> str:
    if made.undoor is None:
        return UNKNOWN
    passes = [] if made.max_passes is None else [f"{made.max_passes:,} sample passes"]
    seconds = [] if made.max_seconds is None else [f"{made.max_seconds:g} s"]
    return ", ".join([*passes, *seconds]) or NONE


def _accepted(made: Circumstances) -> str:
    if made.undoor is None:
        return UNKNOWN
    graph = ["the oddities of the network's graph (--accept-graph)"] if made.accept_graph else []
    partly = made.accept_coverage == PARTIAL
    covered = ["partial coverage (--accept-coverage partial)"] if partly else []
    return ", ".join([*graph, *covered]) or "nothing"


def _software(made: Circumstances) -> str:
    if made.undoor is None:
        return UNKNOWN
    return f"undoor {made.undoor}, torch {made.torch}, Python {made.python}"
