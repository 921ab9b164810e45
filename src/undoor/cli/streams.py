"""Keep what models and libraries write apart from the stdout and stderr of the command.

A model's code may print, a TorchScript file prints from C++, and a warning may quote a stranger's
text. None of it reaches stdout, where a program expects one JSON document, and none of it can send
control characters to a terminal.
"""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from undoor.render.text import plain

PREFIX = "output of the model or a library: "
MAX_LINES = 50
MAX_LINE = 2000
WAIT_SECONDS = 1.0
ERRORS = "undoor-substitute"
SUBSTITUTES = {
    "•": "-", "–": "-", "—": "-", "×": "x", "·": ".", "…": "...", "≤": "<=", "≥": ">=",
    "±": "+-", "→": "->", "−": "-", "“": '"', "”": '"', "‘": "'", "’": "'",
}  # fmt: skip

# Where results and messages go while models run; sys.stdout and sys.stderr where it is empty.
_streams: list[tuple[TextIO, TextIO]] = []


def results() -> TextIO:
    """Return where results go: stdout as it was when the command began."""
    return _streams[-1][0] if _streams else sys.stdout


def messages() -> TextIO:
    """Return where messages go: stderr as it was when the command began."""
    return _streams[-1][1] if _streams else sys.stderr


@contextmanager
def models_apart() -> Iterator[None]:
    """Send what anything but the command prints meanwhile to stderr, cleaned."""
    ours = (sys.stdout, sys.stderr)
    for stream in ours:
        _substitute(stream)
    stray = _Stray(sys.stderr)
    _streams.append(ours)
    sys.stdout = sys.stderr = stray
    try:
        yield
    finally:
        sys.stdout, sys.stderr = ours
        _streams.pop()
        stray.finish()


@contextmanager
def descriptors_apart() -> Iterator[None]:
    """Do the same for what is written to file descriptors 1 and 2 from outside of Python.

    This lasts for the rest of the process: libraries may flush their buffers as late as at its end.
    Another process cleans what comes, since a thread could wait for a lock that the writer holds.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    try:
        out, err = os.dup(1), os.dup(2)
    except OSError:  # started with one of them closed
        yield
        return
    cleaner = _divert(out, err)
    sys.stdout = _text(out, sys.stdout)
    sys.stderr = _text(err, sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        _end(cleaner)


class Cleaner:
    """Turns output of untrusted code into printable lines, of a bounded number."""

    def __init__(self) -> None:
        self._rest = ""
        self._lines = 0

    def lines(self, text: str) -> list[str]:
        """Return the lines that `text` completes."""
        *whole, rest = (self._rest + text).split("\n")
        # A line without end is cut.
        self._rest = rest[:MAX_LINE]
        return [cleaned for line in whole for cleaned in self._cleaned(line)]

    def last(self) -> list[str]:
        """Return what is left of a line without end."""
        rest, self._rest = self._rest, ""
        return self._cleaned(rest)

    def _cleaned(self, line: str) -> list[str]:
        shown = plain(line[:MAX_LINE])
        if not shown or self._lines > MAX_LINES:
            return []
        self._lines += 1
        more = self._lines > MAX_LINES
        return [f"{PREFIX}{'more of it is not shown' if more else shown}"]


class _Stray(io.TextIOBase):
    """A text stream that passes cleaned lines on."""

    def __init__(self, target: TextIO) -> None:
        self._target, self._cleaner = target, Cleaner()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._target.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        return ERRORS

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._target.fileno()

    def write(self, text: str) -> int:
        self._pass_on(self._cleaner.lines(text))
        return len(text)

    def finish(self) -> None:
        self._pass_on(self._cleaner.last())

    def _pass_on(self, lines: list[str]) -> None:
        with suppress(OSError, ValueError):
            for line in lines:
                self._target.write(f"{line}\n")
            self._target.flush()


def _divert(out: int, err: int) -> int | None:
    """Lead descriptors 1 and 2 through a new process to `err`, and return its number.

    Where processes cannot be forked, descriptor 1 leads nowhere and 2 stays.
    """
    if not hasattr(os, "fork"):
        _lead_nowhere(1)
        return None
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for descriptor in (0, 1, 2, out, writing):
                os.close(descriptor)
            _clean(reading, err)
        finally:
            os._exit(0)
    os.close(reading)
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)
    return child


def _clean(reading: int, err: int) -> None:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    cleaner = Cleaner()
    while data := os.read(reading, 65536):
        for line in cleaner.lines(decode(data)):
            os.write(err, f"{line}\n".encode("ascii", "backslashreplace"))
    for line in cleaner.last():
        os.write(err, f"{line}\n".encode("ascii", "backslashreplace"))


def _end(cleaner: int | None) -> None:
    """Let the cleaning process show what is left, without waiting for others on its pipe."""
    if cleaner is None:
        return
    for descriptor in (1, 2):
        _lead_nowhere(descriptor)
    deadline = time.monotonic() + WAIT_SECONDS
    with suppress(ChildProcessError):
        while not os.waitpid(cleaner, os.WNOHANG)[0] and time.monotonic() < deadline:
            time.sleep(0.005)


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _text(descriptor: int, like: TextIO) -> TextIO:
    """Return a text stream on a descriptor, in the encoding of another stream."""
    return io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(descriptor, "w")),
        encoding=like.encoding,
        errors=ERRORS,
        line_buffering=os.isatty(descriptor) or like is sys.stderr,
    )


def _substitute(stream: TextIO) -> None:
    """Make a stream write a substitute for characters that its encoding lacks."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors != ERRORS:
        stream.reconfigure(errors=ERRORS)


def _in_its_place(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return substitutes for characters that an encoding lacks; an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    escaped = (c.encode("ascii", "backslashreplace").decode() for c in lost)
    return "".join(SUBSTITUTES.get(c, e) for c, e in zip(lost, escaped, strict=True)), error.end


codecs.register_error(ERRORS, _in_its_place)
