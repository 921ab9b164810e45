"""Wrong options and arguments: their exit code, their JSON document, and our words for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperGroup

from undoor.cli.console import fail
from undoor.cli.error_document import print_error
from undoor.cli.exit_codes import ExitCode
from undoor.cli.expected_values import expected_value


class Group(TyperGroup):
    """A group of commands with an exit code of its own for wrong options and arguments.

    Parsers end with 2 for these, which means "inconclusive" here.
    """

    given: tuple[str, ...] = ()

    def make_context(
        self, info_name: str | None, args: Sequence[str], *more: Any, **extra: Any
    ) -> Any:
        """Make the context, and note what is given: `--json` may be among it."""
        self.given = tuple(args)
        with _usage_errors(self.given):
            return super().make_context(info_name, list(args), *more, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with wrong options and arguments as usage errors."""
        with _usage_errors(self.given):
            return super().invoke(ctx)


@contextmanager
def _usage_errors(given: Sequence[str]) -> Iterator[None]:
    """Give errors of the parser the code of this package, and those about a value our words.

    They are recognised by their attributes, since their class belongs to typer or to click,
    depending on the version.
    """
    try:
        yield
    except Exception as error:
        if not hasattr(error, "format_message") or not hasattr(error, "exit_code"):
            raise
        error.exit_code = ExitCode.USAGE.value
        ours = in_our_words(error, given)
        if "--json" in given:
            print_error(ExitCode.USAGE, ours or error.format_message())
        if ours is None:
            raise
        fail(ours)
        raise typer.Exit(ExitCode.USAGE.value) from None


def in_our_words(error: Any, given: Sequence[str]) -> str | None:
    """Return what was expected of an option and what was given; None for other errors.

    Parameters
    ----------
    error
        Of the parser.
    given
        The command line.
    """
    names = getattr(getattr(error, "param", None), "opts", ())
    value = _value_of(names, given)
    if value is None:
        return None
    option, command = max(names, key=len), error.ctx.command_path
    expected = expected_value(error.ctx.command.callback, error.param.name)
    # What a check of our own says is worded already.
    said = f"expected {expected}, got {value!r}" if expected else error.message
    return f"{option}: {said}; see {command} --help"


def _value_of(names: Sequence[str], given: Sequence[str]) -> str | None:
    """Return the value that was given to an option; None where there is none.

    >>> _value_of(["--alpha"], ["scan", "--alpha", "5"]), _value_of(["--alpha"], ["--alpha=5"])
    ('5', '5')
    """
    for word, following in pairwise((*given, None)):
        name, equals, value = (word or "").partition("=")
        if name.startswith("-") and name in names:
            return value if equals else following
    return None
