"""The two channels: results on stdout, messages and progress on stderr."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from undoor.cli.streams import messages, results
from undoor.render.text import plain

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.clean_set import Reading
    from undoor.load import NamedCode
    from undoor.origin import Origin

NAMED_SKIPS = 3


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command: rich would end with 1, which means "backdoored"."""
        raise  # noqa: PLE0704


def stdout() -> Console:
    """Return a console for results.

    Made anew each time, as tests and shells exchange the stream.
    """
    return _Console(file=results(), highlight=False, soft_wrap=False)


def stderr() -> Console:
    """Return a console for messages, made anew each time like `stdout`."""
    return _Console(file=messages(), stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Print one line for the user beside the results."""
    stderr().print(plain(message), markup=False)


def fail(message: str) -> None:
    """Print the one line of an error."""
    say(f"undoor: error: {message}")


def report_reading(reading: Reading) -> None:
    """Report the inputs that were skipped, and count by kind what was lost or changed."""
    skipped = reading.skipped
    if skipped:
        some = "1 input was" if len(skipped) == 1 else f"{len(skipped)} inputs were"
        say(f"{some} skipped:")
        for entry in skipped[:NAMED_SKIPS]:
            say(f"  {entry}")
        if len(skipped) > NAMED_SKIPS:
            say(f"  ... and {len(skipped) - NAMED_SKIPS} more")
    if reading.lost:
        say(f"inputs lost: {_counts(reading.lost)}")
    if reading.changed:
        say(f"inputs changed on the way: {_counts(reading.changed)}")
    for note in reading.notes:
        say(f"note: {note}")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


@contextmanager
def pickle_warnings(model: Path, *, trusted: bool) -> Iterator[None]:
    """Warn before a pickle is run, and afterwards report how it was confined."""
    if not trusted:
        yield
        return
    say(
        f"WARNING: --trust-pickle: if {model} is a pickle of a whole module, opening it RUNS CODE "
        "that whoever wrote it chose"
    )
    with printed_warnings(Warning):
        yield


@contextmanager
def printed_warnings(category: type[Warning]) -> Iterator[None]:
    """Print warnings of a category to stderr, one line each; others go their usual way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", category)
        yield
    for warning in caught:
        if issubclass(warning.category, category):
            say(f"WARNING: {warning.message}")
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


@contextmanager
def code_warnings(
    model: Path, *, trusted: bool, hint: bool
) -> Iterator[tuple[NamedCode | None, Callable[[Classifier], None]]]:
    """Warn before code runs that a file of the model names, and name what else ran after it.

    Parameters
    ----------
    hint
        Whether to show how to trust these files permanently.

    Yields
    ------
    The code, where there is any and it is trusted, and a function to call with the classifier,
    which names the files that ran without having been listed.
    """
    from undoor.load import code_named_by

    named = code_named_by(model) if trusted else None
    if named is not None:
        _say_code_runs(named, hint=hint)
    yield named, lambda classifier: _say_also_ran(named, classifier.origin)


def _say_code_runs(named: NamedCode, *, hint: bool) -> None:
    """Warn that code of the model is about to run, and name its files."""
    say(f"WARNING: --trust-code: opening the model RUNS CODE that it names: {named.architecture}")
    for file in named.files:
        say(f"  may run: {file.path} SHA-256 {file.sha256}")
    if named.files and hint:
        say("  to trust exactly these files from now on, add --remember-code to the command")


def _say_also_ran(named: NamedCode | None, origin: Origin) -> None:
    """Name the files that ran without having been listed before."""
    listed = {file.path for file in named.files} if named else set()
    for file in origin.code if named else ():
        if file.path not in listed:
            say(f"WARNING: also ran: {file.path} SHA-256 {file.sha256}")


@contextmanager
def old_file_warnings() -> Iterator[None]:
    """Warn about files that identify their model by its weights alone."""
    from undoor.identity.binding import WeightsOnlyWarning

    with printed_warnings(WeightsOnlyWarning):
        yield
