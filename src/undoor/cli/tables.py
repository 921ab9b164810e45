"""Tables for a terminal of any width: long cells are folded, never cut."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text


def table_of(*headers: str, title: str = "", numbers: bool = False) -> Table:
    """Return a table without rows.

    Cells are folded where they do not fit, since rich would cut them with an ellipsis: what is cut
    off is lost, and on a terminal of ASCII three dots in the place of one would break the lines.

    Parameters
    ----------
    title
        Above it; "" for none.
    numbers
        Whether the columns that have a header hold numbers, which stand at the right.
    """
    shown = Text(title) if title else None
    table = Table(title=shown, title_justify="left", title_style="bold", border_style="dim")
    for header in headers:
        justify = "right" if numbers and header else "left"
        table.add_column(header, overflow="fold", justify=justify)  # type: ignore[arg-type]
    return table
