"""Options on what is written beside the results, and on what a verdict means to the shell."""

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
        """What was asked for, each once; refused before the work where it cannot be written."""
        from undoor.render.reports import check_formats

        if self.report is None:
            return [DEFAULT] if out else []
        if out is None:
            raise UsageError(
                f"--report {','.join(self.report)}: expected --out DIR, where it is to be written; "
                "give one"
            )
        asked = [name.strip() for given in self.report for name in given.split(",")]
        try:
            check_formats(asked)
        except UndoorError as error:
            raise UsageError(f"--report: {error}") from None
        return list(dict.fromkeys(asked))


@dataclass(frozen=True)
class GateOptions:
    """What makes the command end with another code than 0."""

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
            "with 3 or more.",
            rich_help_panel=PANEL,
        ),
    ] = False

    def code(self, verdict: Verdict, *, poor: bool = False) -> ExitCode:
        """poor : whether a repair was made whose own cross-validated RA is poor."""
        if poor and not self.exit_zero:
            return ExitCode.POOR_REPAIR
        return of_verdict(verdict, fail_on=self.fail_on, exit_zero=self.exit_zero)


def save_reports(out: Path, formats: list[str], results: Results) -> list[Path]:
    """Render all, then write: a format that fails leaves no others behind."""
    from undoor.files import write_text
    from undoor.render.reports import reports

    texts = {out / reports()[name].file: reports()[name].render(results) for name in formats}
    for file, text in texts.items():
        write_text(file, text)
    return list(texts)
