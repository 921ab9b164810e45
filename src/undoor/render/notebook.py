"""Results in notebooks: a short page, and a figure to work with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import singledispatch
from html import escape

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from undoor.errors import UndoorError
from undoor.evaluate import Evaluation
from undoor.rate import Rate
from undoor.render import text
from undoor.render.figures import score_figure
from undoor.render.nouns import noun_of
from undoor.render.summary import summarise
from undoor.render.svg import INK
from undoor.repair import Repair
from undoor.scan.report import ScanReport

BLACK = "black"
NAMES = {
    "acc": "accuracy on clean inputs",
    "asr": "attack success rate",
    "sia": "robust accuracy (SIA)",
    "tpr": "triggered inputs flagged",
    "fpr": "clean inputs flagged",
}


@singledispatch
def html(result: object) -> str:
    """Return a result as a fragment of HTML; text from a model is escaped.

    Raises
    ------
    TypeError
        It is not a result.
    """
    raise TypeError(f"expected a result such as a ScanReport, got {type(result).__name__}")


@html.register
def _(report: ScanReport) -> str:
    summary = summarise(report)
    rows = [
        (
            text.class_label(item.target, report.class_names),
            text.sources_label(item.sources, report.class_names),
            f"{item.family}, size {item.size:.3g}",
            text.p_value(item.p_value),
            text.percent(item.asr_on_clean_set),
        )
        for item in report.findings
    ]
    head = ("target", "sources", "trigger", "p-value", f"ASR on clean {noun_of(report).many}")
    table = _table(head, rows)
    return _page(summary.title, (summary.meaning, *summary.how_sure), table)


@html.register
def _(repair: Repair) -> str:
    names = repair.contract.class_names
    rows = [
        (
            text.class_label(item.target, names),
            text.percent(item.asr),
            text.percent(item.sia),
            text.percent(item.fpr),
            f"{len(item.sites)}",
        )
        for item in repair.targets
    ]
    head = ("target", "ASR", "SIA", "false-positive rate", "layers corrected")
    sentences = (
        "Cross-validated on the clean set, with recovered triggers.",
        f"SHA-256 {repair.sha256()}",
    )
    title = f"Repair of {len(rows)} target{'' if len(rows) == 1 else 's'}"
    return _page(title, sentences, _table(head, rows))


@html.register
def _(evaluation: Evaluation) -> str:
    rows = [
        (
            NAMES.get(name, name),
            _rate(evaluation.before.get(name)),
            _rate(after),
        )
        for name, after in evaluation.after.items()
    ]
    counts = ", ".join(f"{count:,} {what}" for what, count in evaluation.n.items())
    return _page(
        f"Target {evaluation.target}",
        (f"Measured on {counts} inputs; 95 % intervals in brackets.",),
        _table(("", "before", "after"), rows),
    )


@singledispatch
def figure(result: object) -> Figure:
    """Return the result as a matplotlib figure, black on no colour.

    Raises
    ------
    UndoorError
        There is nothing to draw.
    """
    raise UndoorError(
        f"expected a scan report, whose scores can be drawn, got a {type(result).__name__}"
    )


@figure.register
def _(report: ScanReport) -> Figure:
    if not report.evidence:
        raise UndoorError("expected a report with evidence to draw, got one whose scan found none")
    drawn = score_figure(report)
    for artist in drawn.findobj():
        for part in ("color", "edgecolor"):
            if getattr(artist, f"get_{part}", lambda: None)() == INK:
                getattr(artist, f"set_{part}")(BLACK)
    FigureCanvasAgg(drawn)
    return drawn


def _page(title: str, sentences: Iterable[str], table: str) -> str:
    paragraphs = "".join(f"<p>{escape(text.plain(sentence))}</p>" for sentence in sentences)
    return f"<div><h4>{escape(text.plain(title))}</h4>{paragraphs}{table}</div>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [_line("th", head), *(_line("td", row) for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def _line(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(text.plain(cell))}</{tag}>' for cell in cells)}</tr>"


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return text.DASH
    between = text.interval(rate.low, rate.high)
    return f"{text.percent(rate.value)}{f' ({between})' if between else ''}"
