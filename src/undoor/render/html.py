"""The HTML report: one page, self-contained, without scripts, fit for offline use and print."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Template
from markupsafe import Markup, escape

from undoor.align.unit_activations import UnitActivations
from undoor.families.registry import unit_of
from undoor.noun import Noun
from undoor.render import coverage, figures, html_facts, text
from undoor.render.cells import cells_text, columns_of
from undoor.render.html_pictures import Album
from undoor.render.nouns import noun_of
from undoor.render.pages import pages
from undoor.render.reasons import has_absolute_margins
from undoor.render.repair_notes import adaptation_note, calibration_note
from undoor.render.subject import Subject, version
from undoor.render.summary import summarise
from undoor.render.words import words_text
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.triggers import pictures

if TYPE_CHECKING:
    from undoor.clean_set import CleanSet
    from undoor.evaluate import Evaluation
    from undoor.rate import Rate
    from undoor.repair import Repair, TargetRepair

# Of a model with very many classes, the page shows as much of each table; scan.json has all.
MAX_EVIDENCE = 600
MAX_CHARTED = 60
MAX_FINDINGS = 50
MAX_BARS = 2
CODE = re.compile(r"`([^`]*)`")
MEASURES = (
    ("acc", "ACC", "clean {many} predicted correctly"),
    ("asr", "ASR", "triggered {many} predicted as the target"),
    ("sia", "RA (SIA)", "triggered {many} predicted as their true class"),
    ("tpr", "TPR", "triggered {many} flagged"),
    ("fpr", "FPR", "clean {many} flagged"),
    ("fpr_target", "FPR, as target", "of clean {many} predicted as the target, those flagged"),
    (
        "fpr_own",
        "FPR, of target",
        "of clean {many} of the target class predicted as it, those flagged",
    ),
    ("auroc", "AUROC", "how well the score separates triggered from clean {many}"),
)


def html_report(
    scan: ScanReport,
    repair: Repair | None = None,
    evaluation: Evaluation | None = None,
    *,
    subject: Subject | None = None,
    examples: CleanSet | None = None,
    units: Mapping[int, Sequence[UnitActivations]] | None = None,
) -> str:
    """Return the whole report as HTML, below 2 MB.

    Parameters
    ----------
    scan, repair, evaluation
        The results; what is None is left out.
    subject
        The model and the data.
    examples
        Clean inputs on which the recovered triggers are shown.
    units
        The most moved units of each repaired target.
    """
    names, noun = scan.class_names, noun_of(scan)
    album = Album(names, examples, scan.identity.space if scan.identity else None)
    targets = repair.targets if repair else ()
    shown = scan.findings[:MAX_FINDINGS]
    return _template().render(
        scan=scan,
        noun=noun,
        summary=summarise(scan, repair, evaluation),
        subject_name=text.plain(subject.model) if subject else "this model",
        version=version(),
        look=_look(scan.findings[0], scan, album) if scan.findings else None,
        bars=_bars(scan, repair, evaluation),
        reasons=coverage.reasons(scan),
        alpha=scan.circumstances.alpha,
        model_facts=html_facts.model_facts(scan, subject),
        data_facts=html_facts.data_facts(scan, subject),
        scan_facts=html_facts.scan_facts(scan),
        hashes=html_facts.hash_facts(scan, subject, repair),
        families=html_facts.family_rows(scan),
        calibration=html_facts.calibration_rows(scan),
        covered=coverage.summary(scan.coverage),
        chart=Markup(figures.score_chart(_charted(scan))) if figures.has_scores(scan) else None,
        evidence=_evidence(scan),
        findings=[_finding(finding, scan, album) for finding in shown],
        repair=repair,
        targets=[_target(item, scan, units or {}) for item in targets[:MAX_FINDINGS]],
        evaluation=_evaluation(evaluation, names, noun) if evaluation else None,
    )


@cache
def _template() -> Template:
    environment = pages()
    environment.filters.update(
        percent=text.percent, p_equals=text.p_equals, plain=text.plain, typeset=_typeset
    )
    return environment.get_template("report.html.j2")


def _typeset(sentence: str) -> Markup:
    """Return a sentence as HTML: text in backticks as code, numbers and units on one line."""
    joined = sentence.replace(" %", "\u00a0%").replace("p = ", "p\u00a0=\u00a0")
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(joined))))


def _look(finding: Finding, scan: ScanReport, album: Album) -> dict[str, object]:
    """Return the variables of the first screen, on the clearest target."""
    names, columns = scan.class_names, columns_of(scan.identity)
    return {
        **album.look(finding),
        "target": text.class_label(finding.target, names),
        "family": text.plain(finding.family),
        "sources": text.sources_label(finding.sources, names),
        "gain": pictures.gain(finding.trigger),
        "row": [line for line in album.row(finding, columns) if line[-1]],
        "cells": cells_text(finding.trigger, columns),
        "words": words_text(finding.trigger),
    }


def _bars(
    scan: ScanReport, repair: Repair | None, evaluation: Evaluation | None
) -> list[tuple[str, float, float]]:
    """Return the ASR without and with the repair, each pair with its label."""
    if evaluation is not None:
        rates = evaluation.before.get("asr"), evaluation.after.get("asr")
        before, after = (rate.value if rate else None for rate in rates)
        if before is not None and after is not None:
            return [("With the true trigger, predicted as the target", before, after)]
    found = {finding.target: finding for finding in scan.findings}
    names = scan.class_names
    return [
        (
            f"With the recovered trigger, predicted as {text.class_label(item.target, names)}",
            found[item.target].asr_on_clean_set,
            item.asr,
        )
        for item in (repair.targets[:MAX_BARS] if repair else ())
        if item.target in found and not (item.adapted and item.adapted.fitted)
    ]


def _charted(scan: ScanReport) -> ScanReport:
    """Return the report with as many classes of each family as a chart can show."""
    by_family: dict[str, list[ClassEvidence]] = {}
    for item in sorted(scan.evidence, key=lambda item: -item.score):
        by_family.setdefault(item.family, []).append(item)
    chosen = {id(item) for items in by_family.values() for item in items[:MAX_CHARTED]}
    return replace(scan, evidence=tuple(item for item in scan.evidence if id(item) in chosen))


def _evidence(scan: ScanReport) -> list[dict[str, object]]:
    """Return the rows of the table, the highest score first."""
    names = scan.class_names
    highest = sorted(scan.evidence, key=lambda item: -item.score)[:MAX_EVIDENCE]
    return [
        {
            "item": item,
            "target": "several" if item.target is None else text.class_label(item.target, names),
            "source": "others" if item.source is None else text.class_label(item.source, names),
        }
        for item in highest
    ]


def _finding(finding: Finding, scan: ScanReport, album: Album) -> dict[str, object]:
    names, columns = scan.class_names, columns_of(scan.identity)
    return {
        "cells": cells_text(finding.trigger, columns),
        "words": words_text(finding.trigger),
        "row": album.row(finding, columns),
        **album.sheet(finding),
        "target": text.class_label(finding.target, names),
        "sources": text.sources_label(finding.sources, names, at_most=8),
        "result": finding,
        "unit": unit_of(finding.family),
        "stands_out": text.stands_out(
            finding.score,
            finding.margin,
            len(names),
            noun_of(scan),
            absolute=has_absolute_margins(scan),
        ),
    }


def _target(
    item: TargetRepair, scan: ScanReport, units: Mapping[int, Sequence[UnitActivations]]
) -> dict[str, object]:
    moved = units.get(item.target, ())
    target = text.class_label(item.target, scan.class_names)
    return {
        "target": target,
        "result": item,
        "flagged_interval": text.interval(
            item.calibration.flagged.low, item.calibration.flagged.high
        ),
        "note": calibration_note(item.calibration, target, noun_of(scan)),
        "adapted": adaptation_note(item.adapted, target) if item.adapted else None,
        "histograms": Markup(figures.activation_histograms(moved)) if moved else None,
    }


def _evaluation(evaluation: Evaluation, names: tuple[str, ...], noun: Noun) -> dict[str, object]:
    rows = [
        (
            short,
            long.format(many=noun.many),
            _rate(evaluation.before.get(key)),
            _rate(evaluation.after.get(key)),
        )
        for key, short, long in MEASURES
        if key in evaluation.before or key in evaluation.after
    ]
    errors = evaluation.errors
    rows += [
        (long, "", (f"{errors[key]:.4g}", ""), (f"{errors[f'{key}_guarded']:.4g}", ""))
        for key, long in text.ERRORS.items()
        if key in errors
    ]
    return {
        "target": text.class_label(evaluation.target, names),
        "rows": rows,
        "clean": evaluation.n.get("clean", 0),
        "triggered": evaluation.n.get("triggered", 0),
    }


def _rate(rate: Rate | None) -> tuple[str, str]:
    if rate is None:
        return "", ""
    return text.percent(rate.value), text.interval(rate.low, rate.high)
