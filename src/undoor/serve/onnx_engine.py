"""An exported guarded model, run by ONNX Runtime without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from undoor.contract import Contract
from undoor.errors import UndoorError
from undoor.extras import how_to_install
from undoor.files import why
from undoor.resizing import Resizing
from undoor.serve.served_model import (
    Array,
    Outputs,
    ServedModel,
    TargetGuard,
    straight,
)
from undoor.vocabulary import Policy

METADATA = "undoor"
INPUT = "images"
OUTPUTS = ("logits", "flagged", "score")
PLATFORM = "onnxruntime_onnx"
# One ONNX file holds no more.
MAX_BYTES = 2**31


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
        content = _content(file, sha256)
        session = _session(content, file, threads)
        about = _about(session, file)
        try:
            self._model = _served(about, name)
        except (KeyError, TypeError, ValueError) as error:
            raise UndoorError(
                f"{file}: its description is not one of undoor ({error!r:.200}); export again"
            ) from error
        _require_interface(session, self._model, file)
        self._session = session

    @property
    def model(self) -> ServedModel:
        """What it serves."""
        return self._model

    def run(self, x: Array) -> Outputs:
        """Return the outputs of raw inputs [N, *input_shape] float32."""
        return Outputs(*self._session.run(list(OUTPUTS), {INPUT: np.ascontiguousarray(x)}))


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of an exported file.

    Raises
    ------
    UndoorError
        It cannot be read.
    """
    return hashlib.sha256(_content(file, None)).hexdigest()


def _content(file: Path, sha256: str | None) -> bytes:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UndoorError(f"{file}: expected an ONNX file of at most 2 GB; export again")
        content = file.read_bytes()
    except OSError as error:
        raise UndoorError(f"{file}: {why(error)}; expected a file of `undoor export`") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise UndoorError(
            f"{file}: expected the SHA-256 {sha256}, got {found}; the file has changed: start "
            "the service again"
        )
    return content


def _session(content: bytes, file: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UndoorError(
            f"serving an ONNX file takes the library onnxruntime, which is not installed; "
            f"{how_to_install('serve')}"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Errors of single inputs are reported once, as answers.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UndoorError(
            f"{file}: ONNX Runtime cannot open it ({reason}); expected a file of `undoor export`"
        ) from error


def _about(session: Any, file: Path) -> Mapping[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA)
    try:
        about = json.loads(text or "null")
    except ValueError:
        about = None
    if not isinstance(about, dict) or about.get("holds") != "guarded":
        raise UndoorError(
            f"{file}: expected a guarded model that `undoor export` wrote, got an ONNX file "
            "without its description; an unguarded model is served by `undoor serve MODEL "
            "--repair FIX`"
        )
    return about


def _served(about: Mapping[str, Any], name: str) -> ServedModel:
    contract = Contract.from_json(about)
    targets, thresholds = about["targets"], about["thresholds"]
    # Files of older versions do not hold the promises.
    promises = about.get("calibrations") or [{} for _ in targets]
    guards = (TargetGuard.of(*each) for each in zip(targets, thresholds, promises, strict=True))
    return ServedModel(
        name=name,
        platform=PLATFORM,
        contract=contract,
        policy=cast("Policy", about["policy"]),
        guards=tuple(guards),
        model_sha256=str(about["model_sha256"]),
        repair_sha256=str(about["repair_sha256"]),
        resizing=_resizing(about.get("resizing"), contract),
    )


def _resizing(described: Mapping[str, Any] | None, contract: Contract) -> Resizing | None:
    if described is None:
        return straight(contract.input_shape)
    first = described["first"]
    height, width = described["size"]
    return Resizing(
        (height, width), tuple(first) if isinstance(first, list) else first, described["resample"]
    )


def _require_interface(session: Any, model: ServedModel, file: Path) -> None:
    expected = (INPUT, "tensor(float)", list(model.contract.input_shape))
    found = [(item.name, item.type, item.shape[1:]) for item in session.get_inputs()]
    names = [item.name for item in session.get_outputs()]
    if found != [expected] or names != list(OUTPUTS):
        raise UndoorError(
            f"{file}: expected the input {expected} and the outputs {', '.join(OUTPUTS)}, got "
            f"{found} and {', '.join(names)}; export again, without preprocessing in the graph"
        )
