"""What all commands share: options as classes, one way to fail, one way to print results."""

from __future__ import annotations

import functools
import inspect
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.console import Console
from rich.markup import escape

from undoor import files
from undoor.cli.console import fail, stdout
from undoor.cli.error_document import WAYS_OUT, print_error
from undoor.cli.exit_codes import ERRORS, MEANINGS, ExitCode
from undoor.cli.streams import models_apart, results
from undoor.errors import BudgetEnded, UndoorError, UsageError

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; everything else goes to stderr.")
]
DEBUG = "UNDOOR_DEBUG"
_OURS = Path(files.__file__).parent


@dataclass(frozen=True)
class CommandResult:
    """The result of a command: for the shell, for programs and for people."""

    exit_code: ExitCode
    document: dict[str, Any]
    show: Callable[[Console], None]


Work = Callable[..., CommandResult]


def command(
    app: typer.Typer, *, examples: Sequence[str], exit_codes: str, name: str | None = None
) -> Callable[[Work], Callable[..., None]]:
    """Register `work` as a command of its name, or of another.

    Its parameters that are dataclasses become options field by field, and it gets ``--json``.
    """

    def register(work: Work) -> Callable[..., None]:
        groups = {name: hint for name, hint in get_type_hints(work).items() if _is_group(hint)}

        @functools.wraps(work)
        def run(**values: Any) -> None:
            as_json = values.pop("as_json")
            for key, group in groups.items():
                options = {field.name: values.pop(field.name) for field in fields(group)}
                values[key] = group(**options)
            raise typer.Exit(int(run_safely(lambda: work(**values), as_json=as_json)))

        signature = _flat_signature(work, groups)
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        app.command(name or work.__name__, epilog=_epilog(examples, exit_codes))(run)
        return run

    return register


def run_safely(work: Callable[[], CommandResult], *, as_json: bool) -> ExitCode:
    """Do the work and print its result; every failure becomes one line and an exit code."""
    try:
        with models_apart():
            result = work()
        _print_result(result, as_json=as_json)
    except BrokenPipeError:
        _close_stdout()
        return ExitCode.FAILURE
    except (Exception, KeyboardInterrupt) as error:
        code, message = _code_of(error), _message_of(error)
        fail(message)
        if not isinstance(error, UndoorError | KeyboardInterrupt | MemoryError):
            _debug()
        if as_json:
            _print_document(code, message)
        return code
    return result.exit_code


def _code_of(error: BaseException) -> ExitCode:
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, BudgetEnded):
        return ExitCode.BUDGET_ENDED
    return ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.FAILURE


def _message_of(error: BaseException) -> str:
    if isinstance(error, BudgetEnded):
        advice = error.advice or WAYS_OUT[ExitCode.BUDGET_ENDED]
        return str(BudgetEnded(error.passes, error.seconds, advice))
    if isinstance(error, UndoorError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted; nothing half-written is left"
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}; {_advice(error)}"
    return _unexpected(error)


def _print_document(code: ExitCode, message: str) -> None:
    """Print the error for programs; where stdout itself failed, the line on stderr suffices."""
    try:
        print_error(code, message)
    except OSError:
        _close_stdout()


def _advice(error: OSError) -> str:
    if error.errno in files.FULL:
        return "free some space and run the same command again"
    return "check the path, its permissions and the disk"


OUT_OF_MEMORY = "out of memory; use fewer images (--per-class N) or a machine with more memory"


def _unexpected(error: BaseException) -> str:
    # torch has no exception of its own for a failed allocation on the CPU.
    if "can't allocate memory" in str(error) or "out of memory" in str(error):
        return OUT_OF_MEMORY
    if _is_of_the_network(error):
        return (
            f"the network raised {type(error).__name__}: {error} in a pass; expected one that "
            "predicts for every input within its bounds, in batches of any size"
        )
    return (
        f"this is a bug in undoor: {type(error).__name__}: {error} "
        f"(set {DEBUG}=1 to see the traceback, and please report it)"
    )


def _is_of_the_network(error: BaseException) -> bool:
    """Return whether a network that a classifier called raised the error, not code of undoor."""
    from undoor.classifier import Classifier

    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    is_ours = bool(frames) and Path(frames[-1].co_filename).is_relative_to(_OURS)
    return Classifier.forward.__code__ in frames and not is_ours


def _debug() -> None:
    if os.environ.get(DEBUG, "0") not in ("", "0"):
        traceback.print_exc()


def _print_result(result: CommandResult, *, as_json: bool) -> None:
    if as_json:
        results().write(files.as_json(result.document))
    else:
        result.show(stdout())
    results().flush()


def _close_stdout() -> None:
    """Silence stdout, whose reader has gone: Python would complain once more at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), results().fileno())


def _is_group(hint: object) -> bool:
    return isinstance(hint, type) and is_dataclass(hint) and hint is not CommandResult


def _flat_signature(work: Work, groups: dict[str, Any]) -> inspect.Signature:
    hints = get_type_hints(work, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(work).parameters.items():
        if name not in groups:
            parameters.append(_keyword(name, hints[name], parameter.default))
            continue
        inner = get_type_hints(groups[name], include_extras=True)
        for field in fields(groups[name]):
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            parameters.append(_keyword(field.name, inner[field.name], default))
    parameters.append(_keyword("as_json", AsJson, False))
    return inspect.Signature(parameters)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


def _epilog(examples: Sequence[str], exit_codes: str) -> str:
    """Return the end of the help in paragraphs: some versions of typer join the lines of one."""
    shown = [f"[cyan]{escape(example)}[/]" for example in examples]
    errors = ", ".join(f"{code.value} {MEANINGS[code]}" for code in ERRORS)
    return "\n\n".join(["[bold]Examples[/]", *shown, f"[bold]Exit codes[/] {exit_codes}; {errors}"])
