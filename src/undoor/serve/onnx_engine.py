"""An exported guarded model, run by ONNX Runtime without torch."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np

from undoor.deploy.exported_model import ExportedModel, read_exported
from undoor.errors import UndoorError
from undoor.output_forms.classes import Classes
from undoor.serve.served_model import Array, Outputs, ServedModel, TargetGuard
from undoor.vocabulary import FLAG, Policy

PLATFORM = "onnxruntime_onnx"
PNG = b"\x89PNG"
# A graph that resizes holds 24 bytes for each colour pixel of a batch.
PIXELS_AT_ONCE = 4_000_000


class OnnxEngine:
    """ONNX Runtime on the CPU.

    Parameters
    ----------
    file
        What `undoor export` wrote.
    name
        Of the served model.
    sha256
        That the file must have; None takes any.
    threads
        How many one batch may use; 0 leaves it to ONNX Runtime.

    Raises
    ------
    UndoorError
        The file is missing, is another one, or holds no guarded model; or ONNX Runtime is missing.
    """

    def __init__(
        self, file: Path, *, name: str, sha256: str | None = None, threads: int = 0
    ) -> None:
        content = read_exported(file)
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != sha256:
            raise UndoorError(
                f"{file}: expected the SHA-256 {sha256}, got {found}; the file has changed: start "
                "the service again"
            )
        self._exported = ExportedModel(file, content=content, threads=threads or None)
        self._model = _served(self._exported, file, name)
        _require_known_targets(self._exported, file)

    @property
    def model(self) -> ServedModel:
        """What it serves."""
        return self._model

    def run(self, x: Array) -> Outputs:
        """Return the outputs of inputs of one shape [N, ...]: raw, or pixels [N, H, W, C]."""
        at_once = len(x)
        if self._exported.preparation.in_graph:
            at_once = max(1, PIXELS_AT_ONCE // math.prod(x.shape[1:3]))
        parts, bare = zip(
            *(
                self._exported.outputs_and_bare(np.ascontiguousarray(x[start : start + at_once]))
                for start in range(0, len(x), at_once)
            ),
            strict=True,
        )
        logits, flagged, score = map(np.concatenate, zip(*parts, strict=True))
        known = None if bare[0] is None else np.concatenate(bare)
        return Outputs(logits, flagged, score, known)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of an exported file.

    Raises
    ------
    UndoorError
        It cannot be read.
    """
    return hashlib.sha256(read_exported(file)).hexdigest()


def _served(exported: ExportedModel, file: Path, name: str) -> ServedModel:
    about = exported.metadata
    try:
        targets, thresholds = about["targets"], about["thresholds"]
        # Files of older versions hold neither promises nor triggers.
        promises = about.get("calibrations") or [{} for _ in targets]
        each = zip(targets, thresholds, promises, strict=True)
        return ServedModel(
            name=name,
            platform=PLATFORM,
            preparation=exported.preparation,
            policy=cast("Policy", about["policy"]),
            guards=tuple(TargetGuard.of(*guard) for guard in each),
            model_sha256=str(about["model_sha256"]),
            repair_sha256=str(about["repair_sha256"]),
            triggers=_triggers(about.get("triggers") or {}),
            output_form=exported.output_form,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UndoorError(
            f"{file}: its description is not one of undoor ({error!r:.200}); export again"
        ) from error


def _require_known_targets(exported: ExportedModel, file: Path) -> None:
    """Refuse a file of which nobody could say which of its guards flagged an input."""
    form, targets = exported.output_form, exported.targets
    tells = exported.shows_bare or len(targets) == 1 or form.kind == Classes.kind
    if not tells and exported.metadata["policy"] != FLAG:
        raise UndoorError(
            f"{file}: expected a file that shows what the model alone predicts, since it guards "
            f"{len(targets)} targets of a {form.kind}, got one that does not; install the library "
            "onnx, or export it without preprocessing in the graph"
        )


def _triggers(pictures: Mapping[str, str]) -> dict[int, bytes]:
    """Return the PNG of each target, decoded.

    Raises
    ------
    ValueError
        One is no PNG.
    """
    found = {
        int(target): base64.b64decode(text, validate=True) for target, text in pictures.items()
    }
    if not all(picture.startswith(PNG) for picture in found.values()):
        raise ValueError("a recovered trigger is no PNG")
    return found
