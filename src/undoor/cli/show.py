"""Results as tables and panels for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from undoor.cli.tables import table_of
from undoor.render.repair_notes import adaptation_note, calibration_note, poor_note
from undoor.render.text import (
    DASH,
    ERRORS,
    class_label,
    interval,
    listing,
    p_value,
    percent,
    plain,
    score_text,
    sources_label,
)
from undoor.vocabulary import is_poor

if TYPE_CHECKING:
    from undoor.align.guard_threshold import GuardThreshold
    from undoor.evaluate import Evaluation
    from undoor.noun import Noun
    from undoor.rate import Rate
    from undoor.repair import Repair
    from undoor.repairs.adaptation import Adaptation
    from undoor.scan.report import ScanReport

COLOURS = {"backdoored": "red", "clean": "green", "inconclusive": "yellow"}
TITLES = {
    "backdoored": "BACKDOORED",
    "clean": "NO BACKDOOR FOUND",
    "inconclusive": "INCONCLUSIVE",
}
NAMED_SITES = 2
MEASURES = (
    ("acc", "ACC (clean, correct)"),
    ("asr", "ASR (triggered, as target)"),
    ("sia", "RA, SIA (triggered, correct)"),
    ("tpr", "TPR (triggered, flagged)"),
    ("fpr", "FPR (clean, flagged)"),
    ("fpr_target", "FPR (clean, as target)"),
    ("fpr_own", "FPR (clean, of target)"),
    ("auroc", "AUROC"),
)


def show_scan(console: Console, report: ScanReport) -> None:
    """Print the verdict with its reasons and, where there are any, the suspected targets."""
    from undoor.render import coverage
    from undoor.render.nouns import noun_of

    colour = COLOURS[report.verdict]
    title = Text(TITLES[report.verdict], style=f"bold {colour}")
    reasons = [Text(f"• {plain(reason)}") for reason in coverage.reasons(report)]
    took = Text(
        f"{report.images} clean {noun_of(report).many}, {len(report.class_names)} classes, "
        f"{report.seconds:.0f} s, {report.passes:,} sample passes",
        style="dim",
    )
    console.print(Panel(Group(title, *reasons, took), border_style=colour, expand=False))
    if report.findings:
        console.print(_findings(report))
    elif report.detectable:
        console.print(_detectable(report))
    for family, why in coverage.not_searched(report.coverage):
        console.print(Text(f"not searched: {plain(family)} ({plain(why)})", style="dim"))


def _detectable(report: ScanReport) -> Table:
    from undoor.families.registry import unit_of

    title = "Triggers that would have been reported"
    table = table_of("trigger", "smaller than", "unit", "score from", title=title)
    sizes = report.detectable
    for family, score in (report.coverage.alarms or dict.fromkeys(sizes)).items():
        sized = (f"{sizes[family]:.2g}", unit_of(family)) if family in sizes else (DASH, DASH)
        table.add_row(Text(plain(family)), *sized, DASH if score is None else score_text(score))
    return table


def _findings(report: ScanReport) -> Table:
    from undoor.render.cells import finding_cells

    names, cells = report.class_names, finding_cells(report)
    headers = ("target", "sources", "trigger", "size", "score", "p-value", "works on")
    table = table_of(*headers, title="Suspected targets")
    for finding in report.findings:
        table.add_row(
            Text(class_label(finding.target, names), style="bold"),
            Text(sources_label(finding.sources, names)),
            Text(cells.get(finding.target, plain(finding.family))),
            f"{finding.size:.3g}",
            f"{finding.score:.1f}",
            p_value(finding.p_value),
            percent(finding.asr_on_clean_set),
        )
    return table


def show_repair(console: Console, repair: Repair, names: Sequence[str]) -> None:
    """Print what was corrected, and the effect on the clean set and the recovered triggers."""
    from undoor.render.nouns import noun_of

    if not repair.targets:
        console.print("Nothing to repair: the scan names no target.")
        return
    title = "Repair (cross-validated with the recovered trigger)"
    table = table_of("target", "corrected sites", "ASR", "SIA", "FPR", title=title)
    for item in repair.targets:
        sites = listing((f"{plain(s.name)} ({s.granularity})" for s in item.sites), NAMED_SITES)
        table.add_row(
            Text(class_label(item.target, names), style="bold"),
            Text(sites or ("none: rows are flagged by cells" if item.cells else "none")),
            percent(item.asr),
            percent(item.sia),
            percent(item.fpr),
        )
    console.print(table)
    noun = noun_of(repair)
    for item in repair.targets:
        label = class_label(item.target, names)
        if is_poor(item.sia):
            console.print(Text(poor_note(item.sia, label, noun), style="bold red"))
        quick = [f"{label} is repaired quickly; without --quick more is recovered"]
        for line in [
            *(quick if item.quick else []),
            *_adaptation(item.adapted, label),
            *_calibration(item.calibration, label, noun),
        ]:
            console.print(Text(f"• {line}"))


def _adaptation(adapted: Adaptation | None, target: str) -> list[str]:
    """Return sentences on the refit on inputs seen in operation."""
    if adapted is None:
        return []
    if not adapted.fitted:
        return [adaptation_note(adapted, target)]
    return [
        adaptation_note(adapted, target),
        f"ASR of {target} was measured on held-out flagged inputs; their SIA is unknown, since "
        "they have no labels",
    ]


def _calibration(calibration: GuardThreshold, target: str, noun: Noun) -> list[str]:
    """Return sentences on the inputs that set the threshold, and on what they cannot guarantee."""
    rate, lines = calibration.flagged, []
    if rate.n:
        lines.append(
            f"of {rate.n} clean {noun.many} of {target}, {percent(rate.value)} are flagged "
            f"(95 %: {interval(rate.low, rate.high)})"
        )
    note = calibration_note(calibration, target, noun)
    return [*lines, note] if note else lines


def show_evaluation(
    console: Console, evaluation: Evaluation, names: Sequence[str], noun: Noun
) -> None:
    """Print each rate before and after the repair with its 95 % interval."""
    label = class_label(evaluation.target, names)
    n = evaluation.n
    counts = f"{n.get('clean', 0)} clean and {n.get('triggered', 0)} triggered {noun.many}"
    headers = ("", "before", "95 %", "after", "95 %")
    table = table_of(*headers, title=f"Target {label}: {counts}", numbers=True)
    for key, name in MEASURES:
        if key in evaluation.before or key in evaluation.after:
            before, after = evaluation.before.get(key), evaluation.after.get(key)
            table.add_row(name, *_rate(before, "dim"), *_rate(after, "bold"))
    for key, name in ERRORS.items():
        if key in evaluation.errors:
            bare, guarded = evaluation.errors[key], evaluation.errors[f"{key}_guarded"]
            table.add_row(name, f"{bare:.4g}", "", f"{guarded:.4g}", "")
    console.print(table)


def _rate(rate: Rate | None, style: str) -> tuple[Text, Text]:
    if rate is None:
        return Text(""), Text("")
    return Text(percent(rate.value), style=style), Text(interval(rate.low, rate.high), style="dim")


def show_files(console: Console, files: Sequence[Path], following: str | None = None) -> None:
    """Print where the files are, and what to do next."""
    if files:
        console.print(Text("Written:", style="bold"))
        for file in files:
            console.print(Text(f"  {plain(file)}"), soft_wrap=True)
    if following:
        console.print(Text("Next:", style="bold"))
        console.print(Text(f"  {plain(following)}", style="cyan"), soft_wrap=True)
