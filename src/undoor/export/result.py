"""The result of an export, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undoor.export.about import About
from undoor.export.parity import Parity
from undoor.vocabulary import (
    EXPORT_INPUT,
    EXPORT_OUTPUTS,
    EXPORT_PIXELS,
    EXPORT_SCHEMA,
    ExportFormat,
)


@dataclass(frozen=True)
class Export:
    """An exported file.

    Attributes
    ----------
    sha256
        Of the file.
    parity
        How closely the file, read again, agrees with the guarded model.
    num_outputs
        How many numbers the model gives for one input; with some tasks not one per class.
    """

    file: Path
    format: ExportFormat
    sha256: str
    about: About
    parity: Parity
    num_outputs: int

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document, with inputs and outputs; axes that are free have a name."""
        graph = self.about.holds == "guarded"
        return {
            "schema": EXPORT_SCHEMA,
            "file": str(self.file),
            "format": self.format,
            "sha256": self.sha256,
            "metadata": self.about.to_json(),
            "inputs": self._inputs() if graph else [],
            "outputs": self._outputs() if graph else [],
            "parity": vars(self.parity),
        }

    def _inputs(self) -> list[dict[str, Any]]:
        shape = self.about.preparation.contract.input_shape
        if self.about.preparation.in_graph:
            return [_tensor(EXPORT_PIXELS, "uint8", "height", "width", shape[0])]
        return [_tensor(EXPORT_INPUT, "float32", *shape)]

    def _outputs(self) -> list[dict[str, Any]]:
        logits, flagged, score = EXPORT_OUTPUTS
        return [
            _tensor(logits, "float32", self.num_outputs),
            _tensor(flagged, "bool"),
            _tensor(score, "float32"),
        ]


def _tensor(name: str, dtype: str, *rest: int | str) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": ["batch", *rest]}
