"""Options for reports, and for the exit code of a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undoor.cli.exit_codes import ExitCode, FailOn, of_verdict
from undoor.errors import UndoorError, UsageError

if TYPE_CHECKING:
    from undoor.render.results import Results
    from undoor.vocabulary import Verdict

PANEL = "Report and exit code"
DEFAULT = "html"


@dataclass(frozen=True)
class ReportOptions:
    """In which formats the results are reported."""

    report: Annotated[
        list[str] | None,
        typer.Option(
            help="html (default), json, sarif, junit, markdown, cyclonedx, model-card, or "
            "one that an installed package adds, written into --out; may be given several times or "
            "as a list with commas.",
            metavar="FORMAT",
            rich_help_panel=PANEL,
        ),
    ] = None

    def formats(self, out: Path | None) -> list[str]:
        """Return the requested formats, each once.

        Formats that cannot be written are refused before the work.
        """
        from undoor.render.reports import check_formats

        if self.report is None:
            return [DEFAULT] if out else []
        if out is None:
            raise UsageError(
                f"--report {','.join(self.report)}: expected --out DIR, where it is to be written; "
                "give one"
            )
        requested = [name.strip() for given in self.report for name in given.split(",")]
        try:
            check_formats(requested)
        except UndoorError as error:
            raise UsageError(f"--report: {error}") from None
        return list(dict.fromkeys(requested))


@dataclass(frozen=True)
class GateOptions:
    """Which verdicts end the command with another code than 0."""

    fail_on: Annotated[
        FailOn,
        typer.Option(
            help="inconclusive: anything but a clean verdict; backdoored: that alone, inconclusive "
            "ends with 0.",
            rich_help_panel=PANEL,
        ),
    ] = "inconclusive"
    exit_zero: Annotated[
        bool,
        typer.Option(
            "--exit-zero",
            help="End with 0 whatever the verdict and however good the repair; errors still end "
            "with 3 or higher.",
            rich_help_panel=PANEL,
        ),
    ] = False

    def code(self, verdict: Verdict, *, poor: bool = False) -> ExitCode:
        """Return the exit code; `poor` is whether a repair was made whose RA is poor."""
        if poor and not self.exit_zero:
            return ExitCode.POOR_REPAIR
        return of_verdict(verdict, fail_on=self.fail_on, exit_zero=self.exit_zero)


def save_reports(out: Path, formats: list[str], results: Results) -> list[Path]:
    """Render all formats, then write them: one that fails leaves no others behind."""
    from undoor.files import write_text
    from undoor.render.reports import reports

    texts = {out / reports()[name].file: reports()[name].render(results) for name in formats}
    for file, text in texts.items():
        write_text(file, text)
    return list(texts)
