"""What a measurement leaves: a table in Markdown for people, in CSV for programs, a plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from undoor.files import write_text
from undoor.render.csv_table import as_csv


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown.

    >>> print(markdown(["a", "b"], [["1", "2"]]), end="")
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def save(
    stem: Path, text: str, lines: Sequence[Mapping[str, object]], picture: str | None = None
) -> None:
    """Write the files of a benchmark: STEM.md, STEM.csv and, with a picture, STEM.svg.

    Parameters
    ----------
    stem
        Without an ending; dots in it stand for themselves.
    """
    parts = {"md": text, "csv": as_csv(lines), "svg": picture}
    for ending, content in parts.items():
        if content is not None:
            write_text(stem.with_name(f"{stem.name}.{ending}"), content)
