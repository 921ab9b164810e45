"""Wrong options and arguments: their exit code, and their document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from typer.core import TyperGroup

from undoor.cli.error_document import print_error
from undoor.cli.exit_codes import ExitCode


class Group(TyperGroup):
    """A group of commands that tells a wrong option or argument from everything else that fails.

    Parsers end with 2 for these, which means "inconclusive" here.
    """

    as_json = False

    def make_context(
        self, info_name: str | None, args: Sequence[str], *more: Any, **extra: Any
    ) -> Any:
        """As of its class; sees the arguments before they are parsed."""
        self.as_json = "--json" in args
        with _usage_errors(as_json=self.as_json):
            return super().make_context(info_name, list(args), *more, **extra)

    def invoke(self, ctx: Any) -> Any:
        """As of its class."""
        with _usage_errors(as_json=self.as_json):
            return super().invoke(ctx)


@contextmanager
def _usage_errors(*, as_json: bool) -> Iterator[None]:
    """Give errors of the parser the code of this package.

    They are known by what they have, since their class belongs to typer or to click, as its version
    has it.
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
