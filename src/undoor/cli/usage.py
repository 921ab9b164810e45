"""The exit code and JSON document of wrong options and arguments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from typer.core import TyperGroup

from undoor.cli.error_document import print_error
from undoor.cli.exit_codes import ExitCode


class Group(TyperGroup):
    """A group of commands with an exit code of its own for wrong options and arguments.

    Parsers end with 2 for these, which means "inconclusive" here.
    """

    as_json = False

    def make_context(
        self, info_name: str | None, args: Sequence[str], *more: Any, **extra: Any
    ) -> Any:
        """Make the context, and note whether `--json` is among the arguments."""
        self.as_json = "--json" in args
        with _usage_errors(as_json=self.as_json):
            return super().make_context(info_name, list(args), *more, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with wrong options and arguments as usage errors."""
        with _usage_errors(as_json=self.as_json):
            return super().invoke(ctx)


@contextmanager
def _usage_errors(*, as_json: bool) -> Iterator[None]:
    """Give errors of the parser the code of this package.

    They are recognised by their attributes, since their class belongs to typer or to click,
    depending on the version.
    """
    try:
        yield
    except Exception as error:
        if not hasattr(error, "format_message") or not hasattr(error, "exit_code"):
            raise
        error.exit_code = ExitCode.USAGE.value
        if as_json:
            print_error(ExitCode.USAGE, error.format_message())
        raise
