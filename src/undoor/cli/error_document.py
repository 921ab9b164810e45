"""The document that `--json` prints where a command has no result."""

from __future__ import annotations

from typing import Any, Final

from undoor.cli.exit_codes import ExitCode
from undoor.cli.streams import results
from undoor.files import as_json
from undoor.render.text import plain

SCHEMA: Final = "undoor/error/2"
# Advice where a message does not end with some.
WAYS_OUT: Final[dict[ExitCode, str]] = {
    ExitCode.USAGE: "see the command's --help for its options and arguments",
    ExitCode.FAILURE: "correct the input that the message names and run the same command again",
    ExitCode.BUDGET_ENDED: "run the same command with a larger --max-passes or --max-seconds",
    ExitCode.INTERRUPTED: "run the same command again",
}


def error_document(code: ExitCode, message: str) -> dict[str, Any]:
    """Return the document of an error: exit code, what is wrong, and what to do.

    Messages of this package end with what to do, behind a semicolon.

    >>> document = error_document(ExitCode.USAGE, "--memory: expected a size, got 'x'; give 2GB")
    >>> document["message"], document["what_to_do"]
    ("--memory: expected a size, got 'x'", 'give 2GB')
    """
    statement, _, advice = message.rpartition("; ")
    return {
        "schema": SCHEMA,
        "code": code.value,
        "kind": code.name.lower(),
        "message": plain(statement or message),
        "what_to_do": plain(advice) if statement else WAYS_OUT[code],
    }


def print_error(code: ExitCode, message: str) -> None:
    """Print the document of an error to stdout, alone there."""
    results().write(as_json(error_document(code, message)))
    results().flush()
