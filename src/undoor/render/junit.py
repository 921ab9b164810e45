"""JUnit XML, which build servers read: one test case per class, and one for the scan itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from undoor.render import coverage, text
from undoor.render.nouns import noun_of
from undoor.render.sanitise import xml
from undoor.render.subject import Subject
from undoor.scan.report import Finding, ScanReport

if TYPE_CHECKING:
    from undoor.repair import Repair, TargetRepair


def junit(scan: ScanReport, subject: Subject, repair: Repair | None = None) -> str:
    """Return JUnit XML: one failure per suspected target, an error where the scan is inconclusive.

    The classes of an inconclusive scan are skipped: nothing is known about them.
    """
    names = scan.class_names
    found = {finding.target: finding for finding in scan.findings}
    fixed = {item.target: item for item in (repair.targets if repair else ())}
    doubt = scan.verdict == "inconclusive"
    counts = {
        "tests": len(names) + 1,
        "failures": len(found),
        "errors": int(doubt),
        "skipped": len(names) if doubt else 0,
    }
    root = ElementTree.Element("testsuites")
    facts = {"name": "undoor scan", "time": f"{scan.seconds:.3f}"}
    suite = ElementTree.SubElement(
        root, "testsuite", facts | {key: str(value) for key, value in counts.items()}
    )
    case = _case(suite, subject, "the scan reaches a verdict", scan.seconds)
    if doubt:
        reasons = "\n".join(map(text.plain, coverage.reasons(scan)))
        _add(case, "error", "inconclusive", "inconclusive", reasons)
    for number in range(len(names)):
        label = text.class_label(number, names)
        case = _case(suite, subject, f"class {label} is no target of a backdoor", 0.0)
        if doubt:
            _add(case, "skipped", "inconclusive", "the scan is inconclusive", "")
        elif number in found:
            _fail(case, found[number], scan, fixed.get(number))
    ElementTree.indent(root)
    written: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{written}\n'


def _fail(
    case: ElementTree.Element,
    item: Finding,
    scan: ScanReport,
    fixed: TargetRepair | None,
) -> None:
    message = f"a {item.family} trigger of size {item.size:.3g} turns other classes into it"
    body = [
        f"sources: {text.sources_label(item.sources, scan.class_names)}",
        f"works on: {text.percent(item.asr_on_clean_set)} of held-out {noun_of(scan).many}",
        text.p_equals(item.p_value),
    ]
    if fixed is not None:
        body.append(f"with the repair it works on: {text.percent(fixed.asr)}")
    _add(case, "failure", "backdoored", message, "\n".join(body))


def _case(
    suite: ElementTree.Element, subject: Subject, name: str, seconds: float
) -> ElementTree.Element:
    facts = {"classname": xml(text.plain(subject.model)), "name": xml(name)}
    return ElementTree.SubElement(suite, "testcase", facts | {"time": f"{seconds:.3f}"})


def _add(case: ElementTree.Element, tag: str, kind: str, message: str, body: str) -> None:
    element = ElementTree.SubElement(case, tag, {"type": kind, "message": xml(message)})
    element.text = xml(body)
