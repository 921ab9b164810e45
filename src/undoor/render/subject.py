"""The model and the data of a report, as its reader knows them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from undoor.scan.circumstances import version

__all__ = ["Subject", "uri_of", "version"]


@dataclass(frozen=True)
class Subject:
    """The model and the data of a report.

    Attributes
    ----------
    model, data
        As the user named them.
    network
        The name of its class.
    parameters
        Their number.
    input_shape, bounds
        Those of raw inputs.
    weights_sha256
        That of the file with the weights, where it is one file.
    """

    model: str
    data: str
    network: str
    parameters: int
    input_shape: tuple[int, ...]
    bounds: tuple[float, float]
    weights_sha256: str | None = None

    @property
    def uri(self) -> str:
        """The model as a URI reference, relative where its path is.

        >>> Subject("my models/a.toml", "", "Net", 0, (1,), (0, 1)).uri
        'my%20models/a.toml'
        """
        return uri_of(self.model)


def uri_of(model: str) -> str:
    """Return the path of a model as a URI reference."""
    path = model.replace("\\", "/")
    # Two slashes in front would make the first folder the name of a host.
    path = "/" + path.lstrip("/") if path.startswith("/") else path
    return quote(path, safe="/", errors="replace")
