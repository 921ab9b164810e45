"""One page that shows everything: self-contained, without scripts, fit for offline and paper."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from undoor.align.inspect import UnitActivations
from undoor.classifier import ENTRY
from undoor.render import figures, pictures, text
from undoor.scan.families import unit_of
from undoor.scan.report import Finding, ScanReport

if TYPE_CHECKING:
    import torch

    from undoor.clean_set import CleanSet
    from undoor.evaluate import Evaluation
    from undoor.rate import Rate
    from undoor.repair import Repair, TargetRepair

EXAMPLES = 4
TITLES = {
    "backdoored": "Backdoored",
    "clean": "No backdoor found",
    "inconclusive": "Inconclusive",
}
MEASURES = (
    ("acc", "ACC", "clean images answered correctly"),
    ("asr", "ASR", "triggered images answered with the target"),
    ("sia", "SIA", "triggered images answered with their own class"),
    ("tpr", "TPR", "triggered images flagged"),
    ("fpr", "FPR", "clean images flagged"),
    ("fpr_target", "FPR, target", "clean images answered with the target and flagged"),
    ("fpr_own", "FPR, own", "clean images rightly answered with the target and flagged"),
    ("auroc", "AUROC", "how well the score tells triggered from clean images"),
)


@dataclass(frozen=True)
class Subject:
    """What was examined, as the page's reader knows it."""

    model: str
    data: str
    network: str
    parameters: int
    input_shape: tuple[int, ...]
    bounds: tuple[float, float]


def html_report(
    scan: ScanReport,
    repair: Repair | None = None,
    evaluation: Evaluation | None = None,
    *,
    subject: Subject | None = None,
    examples: CleanSet | None = None,
    units: Mapping[int, Sequence[UnitActivations]] | None = None,
) -> str:
    """The whole report as HTML.

    Parameters
    ----------
    scan, repair, evaluation : the results; what is None is left out.
    subject : the model and the data.
    examples : clean images on which the recovered triggers are shown.
    units : the most moved units of each repaired target.
    """
    names = scan.class_names
    return _template().render(
        scan=scan,
        title=TITLES[scan.verdict],
        facts=_facts(scan, subject),
        chart=Markup(figures.score_chart(scan)) if scan.evidence else None,
        detectable=[(family, size, unit_of(family)) for family, size in scan.detectable.items()]
        if not scan.findings
        else [],
        findings=[_finding(finding, names, examples) for finding in scan.findings],
        repair=repair,
        targets=[_target(item, names, units or {}) for item in (repair.targets if repair else ())],
        evaluation=_evaluation(evaluation, names) if evaluation else None,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("undoor.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=text.percent, p_value=text.p_value, plain=text.plain)
    return environment.get_template("report.html.j2")


def _facts(scan: ScanReport, subject: Subject | None) -> list[tuple[str, str]]:
    facts = [
        ("Classes", str(len(scan.class_names))),
        ("Clean images used", str(scan.images)),
        ("Time of the scan", f"{scan.seconds:.1f} s"),
        ("Seed", str(scan.seed)),
        ("Model's SHA-256", scan.fingerprint),
    ]
    if subject is None:
        return facts
    low, high = subject.bounds
    shape = " × ".join(str(n) for n in subject.input_shape)
    return [
        ("Model", text.plain(subject.model)),
        ("Network", f"{text.plain(subject.network)}, {subject.parameters:,} parameters"),
        ("Input", f"{shape}, values from {low:g} to {high:g}"),
        ("Data", text.plain(subject.data)),
        *facts,
    ]


def _finding(
    finding: Finding, names: tuple[str, ...], examples: CleanSet | None
) -> dict[str, object]:
    trigger = finding.trigger
    target = text.class_label(finding.target, names)
    shown, labels = _examples(finding, examples)
    alt = f"recovered {trigger.family} trigger for target {target}"
    view: dict[str, object] = {
        "target": target,
        "sources": text.sources_label(finding.sources, names, at_most=8),
        "result": finding,
        "unit": unit_of(finding.family),
        "trigger": _data_uri(pictures.trigger_picture(trigger)),
        "alt": f"The {alt}",
        "gain": pictures.gain(trigger),
        "stamped": None,
    }
    if shown is not None and trigger.site == ENTRY:
        kinds = text.listing((text.class_label(n, names) for n in labels), EXAMPLES)
        view["stamped"] = _data_uri(pictures.before_and_after(shown, trigger))
        view["stamped_alt"] = (
            f"Above, clean images of the classes {kinds}; below, the same with the {alt}"
        )
    return view


def _examples(finding: Finding, examples: CleanSet | None) -> tuple[torch.Tensor | None, list[int]]:
    """A few images of different source classes, first come first shown."""
    chosen: dict[int, int] = {}
    for index, label in enumerate(examples.labels.tolist() if examples else []):
        if label in finding.sources and label not in chosen and len(chosen) < EXAMPLES:
            chosen[label] = index
    if examples is None or not chosen:
        return None, []
    return examples.images[list(chosen.values())], list(chosen)


def _target(
    item: TargetRepair, names: tuple[str, ...], units: Mapping[int, Sequence[UnitActivations]]
) -> dict[str, object]:
    own = units.get(item.target, ())
    target = text.class_label(item.target, names)
    return {
        "target": target,
        "result": item,
        "flagged_interval": text.interval(
            item.calibration.flagged.low, item.calibration.flagged.high
        ),
        "note": item.calibration.note(target),
        "adapted": item.adapted.note(target) if item.adapted else None,
        "histograms": Markup(figures.activation_histograms(own)) if own else None,
    }


def _evaluation(evaluation: Evaluation, names: tuple[str, ...]) -> dict[str, object]:
    rows = [
        (short, long, _rate(evaluation.before.get(key)), _rate(evaluation.after.get(key)))
        for key, short, long in MEASURES
        if key in evaluation.before or key in evaluation.after
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


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
