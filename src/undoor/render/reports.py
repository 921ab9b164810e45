"""Every format that a report can be had in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from undoor.errors import UndoorError

if TYPE_CHECKING:
    from undoor.render.results import Results


@dataclass(frozen=True)
class Report:
    """file : its name in the output folder. render : the whole file as text. needs : an importable
    module that comes with the extra `reports`."""

    file: str
    render: Callable[[Results], str]
    needs: str | None = None


def _html(results: Results) -> str:
    from undoor.render.html import html_report

    return html_report(
        results.scan,
        results.repair,
        results.evaluation,
        subject=results.subject,
        examples=results.examples,
        units=results.units,
    )


def _json(results: Results) -> str:
    from undoor.render.report_json import report_json

    return report_json(results.scan, results.subject, results.repair, results.evaluation)


def _sarif(results: Results) -> str:
    from undoor.render.sarif import sarif

    return sarif(results.scan, results.subject, results.repair)


def _junit(results: Results) -> str:
    from undoor.render.junit import junit

    return junit(results.scan, results.subject, results.repair)


def _markdown(results: Results) -> str:
    from undoor.render.markdown import markdown

    return markdown(results.scan, results.subject, results.repair, results.evaluation)


def _cyclonedx(results: Results) -> str:
    from undoor.render.cyclonedx import cyclonedx

    return cyclonedx(results.scan, results.subject, results.repair)


def _model_card(results: Results) -> str:
    from undoor.render.model_card import model_card

    return model_card(results.scan, results.subject, results.repair, results.evaluation)


REPORTS: dict[str, Report] = {
    "html": Report("report.html", _html),
    "json": Report("report.json", _json),
    "sarif": Report("report.sarif", _sarif),
    "junit": Report("report.junit.xml", _junit),
    "markdown": Report("report.md", _markdown),
    "cyclonedx": Report("report.cdx.json", _cyclonedx, needs="cyclonedx"),
    "model-card": Report("model-card.md", _model_card, needs="yaml"),
}


def check_formats(formats: list[str]) -> None:
    """Refuse, before anything is computed, what cannot be written afterwards.

    Raises
    ------
    UndoorError : an unknown format, or one whose library is not installed.
    """
    for name in formats:
        if name not in REPORTS:
            raise UndoorError(f"expected a report of {', '.join(REPORTS)}, got {name!r}")
        needs = REPORTS[name].needs
        if needs and find_spec(needs) is None:
            raise UndoorError(
                f"the report {name} needs a library that is not installed ({needs}); run: pip "
                "install 'undoor[reports]'"
            )
