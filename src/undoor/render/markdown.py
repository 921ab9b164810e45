"""A summary in Markdown, for a pull request or a job's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from undoor.render import text
from undoor.render.nouns import noun_of
from undoor.render.sanitise import markdown as escaped
from undoor.render.subject import Subject
from undoor.render.summary import summarise
from undoor.scan.report import ScanReport

if TYPE_CHECKING:
    from undoor.evaluate import Evaluation
    from undoor.repair import Repair

MARKS = {"backdoored": "🔴", "clean": "🟢", "inconclusive": "🟡"}


def markdown(
    scan: ScanReport,
    subject: Subject,
    repair: Repair | None = None,
    evaluation: Evaluation | None = None,
) -> str:
    """Return the verdict, its certainty, targets, repair and what to do in Markdown."""
    summary = summarise(scan, repair, evaluation)
    lines = [
        f"## {MARKS[summary.verdict]} {summary.title}: {escaped(subject.model)}",
        "",
        summary.meaning,
        "",
        *(f"- {escaped(sentence)}" for sentence in summary.how_sure),
        "",
    ]
    if scan.findings:
        lines += _targets(scan, repair)
    if repair is not None:
        lines += ["**Repaired.** " + " ".join(map(escaped, summary.repaired)), ""]
    lines += ["**What remains.** " + " ".join(map(escaped, summary.remains)), ""]
    lines += [
        "**What to do**",
        "",
        *(f"{n}. {step}" for n, step in enumerate(summary.to_do, 1)),
        "",
    ]
    lines += [
        f"<sub>{scan.images} clean {noun_of(scan).many}, {len(scan.class_names)} classes, "
        f"{scan.seconds:.0f} s, model sha256 {scan.fingerprint[:12]}</sub>",
        "",
    ]
    return "\n".join(lines)


def _targets(scan: ScanReport, repair: Repair | None) -> list[str]:
    fixed = {item.target: item for item in (repair.targets if repair else ())}
    lines = [
        "| target | sources | trigger | p-value | works on | ASR after | SIA after |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for item in scan.findings:
        after = fixed.get(item.target)
        cells = [
            text.class_label(item.target, scan.class_names),
            text.sources_label(item.sources, scan.class_names),
            f"{item.family}, size {item.size:.3g}",
            text.p_value(item.p_value),
            text.percent(item.asr_on_clean_set),
            text.percent(after.asr) if after else text.DASH,
            text.percent(after.sia) if after else text.DASH,
        ]
        lines.append("| " + " | ".join(map(escaped, cells)) + " |")
    return [*lines, ""]
