"""How results reach the words and pictures of `undoor.render`, which they do not depend on."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Viewed:
    """A result that a notebook shows as a short page.

    `undoor.render` makes the page and is imported only then: results do not depend on how they are
    shown.
    """

    def _repr_html_(self) -> str:
        page: str = import_module("undoor.render.notebook").html(self)
        return page

    def plot(self) -> Any:
        """Return the result as a figure.

        Returns
        -------
        matplotlib.figure.Figure
            It can be shown, changed, and saved with its `savefig`.

        Raises
        ------
        UndoorError
            There is nothing to draw.
        """
        return import_module("undoor.render.notebook").figure(self)


def reason_texts(report: object) -> tuple[str, ...]:
    """Return the reasons of a scan in words, for people who read its file.

    Parameters
    ----------
    report
        Of type `undoor.scan.report.ScanReport`.
    """
    texts: tuple[str, ...] = import_module("undoor.render.reasons").reason_texts(report)
    return texts
