"""An exported graph as it is served: each network runs on those inputs alone that need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undoor.errors import UndoorError, first_line
from undoor.extras import how_to_install
from undoor.vocabulary import EXPORT_BARE, EXPORT_OUTPUTS, NO_SCORE

Array = NDArray[Any]
Outputs = tuple[Array, Array, Array]
# Of ONNX Runtime's messages, fatal ones alone: the others are raised as errors.
FATAL = 4
DEFAULT_PROVIDERS = ("CPUExecutionProvider",)
# Of a graph that is cut.
PARTS = 2


class ServedGraph:
    """The graph of an exported file, cut in two where the original network ends.

    Inputs go through the original network; those that it predicts as a target, and those that are
    not finite or not within the bounds, go on through the corrected ones and the rule. The outputs
    are those of the graph as a whole. Of a file that cannot be cut, or without the library onnx,
    all inputs go through all of it.

    Parameters
    ----------
    file
        Its path, for messages.
    content
        Of the file.
    threads
        How many one call may take; None leaves it to ONNX Runtime.
    providers
        Of ONNX Runtime, in the order of preference.

    Attributes
    ----------
    description
        What the file says of itself, by key.
    inputs
        Name, type and shape of each.
    outputs
        Their names.

    Raises
    ------
    UndoorError
        ONNX Runtime is missing, or the file cannot be opened.
    """

    def __init__(
        self,
        file: Path,
        content: bytes,
        *,
        threads: int | None = None,
        providers: Sequence[str] = DEFAULT_PROVIDERS,
    ) -> None:
        opened = _opener(file, threads, providers)
        try:
            self._parts = [opened(part) for part in _cut(content)]
        except UndoorError:  # What lies in branches is not cut.
            self._parts = []
        if not self._parts:
            self._parts = [opened(content)]
        first, last = self._parts[0], self._parts[-1]
        self.description: Mapping[str, str] = first.get_modelmeta().custom_metadata_map
        self.inputs = [(item.name, item.type, tuple(item.shape)) for item in first.get_inputs()]
        self.outputs = tuple(item.name for item in last.get_outputs())

    @property
    def is_cut(self) -> bool:
        """Whether inputs that nothing is to be decided on are spared the corrected networks."""
        return len(self._parts) == PARTS

    def run(
        self, x: Array, as_target: Callable[[Array], Array], bounds: tuple[float, float]
    ) -> tuple[Outputs, Array | None]:
        """Return logits [N, K], flagged [N] and score [N] of inputs [N, ...].

        Beside them the logits [N, K] of the original network; None where the graph is not cut.

        Parameters
        ----------
        x
            As the file takes them.
        as_target
            Returns which logits [N, K] of the original network are predicted as a target: [N].
        bounds
            Of raw inputs; pixels, which are integers, are always within them.
        """
        takes = self.inputs[0][0]
        if not self.is_cut:
            return tuple(self._parts[0].run(list(EXPORT_OUTPUTS), {takes: x})), None
        (bare,) = self._parts[0].run([EXPORT_BARE], {takes: x})
        rows = as_target(bare) | ~_ordinary(bare)
        if x.dtype.kind == "f":
            rows |= ~_ordinary(x, *bounds)
        outputs = bare.copy(), np.zeros(len(x), bool), np.full(len(x), NO_SCORE, np.float32)
        if rows.any():
            for part, decided in zip(outputs, self.decide(x[rows], bare[rows]), strict=True):
                part[rows] = decided
        return outputs, bare

    def decide(self, x: Array, bare: Array) -> Outputs:
        """Return what is decided on inputs [N, ...] that all go through the corrected networks.

        Parameters
        ----------
        bare
            Logits [N, K] of the original network. A graph that is not cut computes them itself.
        """
        given = {self.inputs[0][0]: x}
        if self.is_cut:
            given[EXPORT_BARE] = bare
        return tuple(self._parts[-1].run(list(EXPORT_OUTPUTS), given))


def _ordinary(x: Array, low: float = -np.inf, high: float = np.inf) -> NDArray[np.bool_]:
    """Return whether all numbers of each row [N] are finite and within the bounds."""
    flat = x.reshape(len(x), -1)
    return np.asarray((np.isfinite(flat) & (flat >= low) & (flat <= high)).all(1))


def _opener(file: Path, threads: int | None, providers: Sequence[str]) -> Callable[[bytes], Any]:
    try:
        import onnxruntime
    except ImportError:
        raise UndoorError(
            "exported files take the library onnxruntime, which is not installed; "
            f"{how_to_install('deploy')}"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    if threads is not None:
        options.intra_op_num_threads = threads

    def opened(content: bytes) -> Any:
        try:
            return onnxruntime.InferenceSession(content, options, providers=list(providers))
        except Exception as error:
            reason = first_line(error)
            raise UndoorError(
                f"{file}: expected an ONNX file of undoor export ({reason}); export the model again"
            ) from None

    return opened


def _cut(content: bytes) -> list[bytes]:
    """Return the graph up to the logits of the original network, and what follows from them.

    The first part carries the description. Nothing where the graph has no such place, or is none of
    one input and the outputs of an export.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
        from onnx.utils import Extractor
    except ImportError:
        return []
    try:
        whole = onnx.load_from_string(content)
    except DecodeError:
        return []  # ONNX Runtime says what is wrong.
    inputs = [value.name for value in whole.graph.input]
    outputs = {value.name for value in whole.graph.output}
    values = {value.name for value in whole.graph.value_info}
    if len(inputs) != 1 or outputs != set(EXPORT_OUTPUTS) or EXPORT_BARE not in values:
        return []
    cut = Extractor(whole)
    try:
        first = cut.extract_model(inputs, [EXPORT_BARE])
        rest = cut.extract_model([*inputs, EXPORT_BARE], list(EXPORT_OUTPUTS))
    except ValueError:
        return []
    first.metadata_props.extend(whole.metadata_props)
    return [first.SerializeToString(), rest.SerializeToString()]
