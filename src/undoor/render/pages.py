"""The templates of HTML pages."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def pages() -> Environment:
    """Return what templates are made by: text is escaped, and a missing variable is an error."""
    return Environment(
        loader=PackageLoader("undoor.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
