"""The formats of reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import PurePath
from typing import TYPE_CHECKING

from undoor.errors import UndoorError
from undoor.extensions import extensions
from undoor.extras import Extra, how_to_install
from undoor.vocabulary import (
    REPAIR_DESCRIPTION,
    REPAIR_FILE,
    REPORT_GROUP,
    REPORT_PAGE,
    RUN_FILE,
    SCAN_FILE,
)

if TYPE_CHECKING:
    from undoor.render.results import Results


@dataclass(frozen=True)
class Report:
    """One format of reports.

    Attributes
    ----------
    file
        Its name in the output folder.
    render
        The whole file as text. The same results give the same text.
    needs
        A module that must be importable; None where there is no such module.
    extra
        The extra of undoor that brings that module; None where another package brings it.
    """

    file: str
    render: Callable[[Results], str]
    needs: str | None = None
    extra: Extra | None = None


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
    "html": Report(REPORT_PAGE, _html),
    "json": Report("report.json", _json),
    "sarif": Report("report.sarif", _sarif),
    "junit": Report("report.junit.xml", _junit),
    "markdown": Report("report.md", _markdown),
    "cyclonedx": Report("report.cdx.json", _cyclonedx, needs="cyclonedx", extra="cyclonedx"),
    "model-card": Report("model-card.md", _model_card, needs="yaml", extra="model-card"),
}
# Names of results in the output folder, which no report may overwrite.
RESULTS = {SCAN_FILE, REPAIR_FILE, REPAIR_DESCRIPTION, RUN_FILE}


@cache
def reports() -> dict[str, Report]:
    """Return all formats by name: `REPORTS`, then those of other packages.

    A package adds one through an entry point of the group ``undoor.reports`` that names a `Report`.
    The entry point's name is that of the format.

    Raises
    ------
    UndoorError
        An entry point cannot be loaded, is no `Report`, has the name of another format, or writes a
        file that is not its own.
    """
    found = dict(REPORTS)
    for extension in extensions(REPORT_GROUP):
        found[extension.name] = _added(extension.name, extension.value, found)
    return found


def _added(name: str, report: object, others: dict[str, Report]) -> Report:
    origin = f"the entry point {name} of {REPORT_GROUP}"
    if not isinstance(report, Report):
        raise UndoorError(
            f"expected {origin} to be an undoor.render.reports.Report, got {type(report).__name__}"
        )
    if name in others:
        raise UndoorError(f"expected formats of different names, got {name!r} again from {origin}")
    taken = RESULTS | {other.file for other in others.values()}
    if report.file in taken or PurePath(report.file).name != report.file or report.file[:1] == ".":
        raise UndoorError(
            f"expected {origin} to write a file of its own in the output folder, "
            f"got {report.file!r}"
        )
    return report


def check_formats(formats: list[str]) -> None:
    """Refuse formats that cannot be written, before anything is computed.

    Raises
    ------
    UndoorError
        An unknown format, or one whose library is not installed.
    """
    for name in formats:
        if name not in reports():
            raise UndoorError(f"expected a report of {', '.join(reports())}, got {name!r}")
        report = reports()[name]
        if report.needs and find_spec(report.needs) is None:
            advice = how_to_install(report.extra) if report.extra else "install it"
            raise UndoorError(
                f"the report {name} needs a library that is not installed ({report.needs}); "
                f"{advice}"
            )
