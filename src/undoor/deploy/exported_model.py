"""An exported ONNX file, opened: raw inputs in, predictions out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from undoor.clean_set.reading import UnreadableError
from undoor.contract import Contract
from undoor.deploy.agreement import described_form, described_targets, require_agreement
from undoor.deploy.graph import DEFAULT_PROVIDERS, Array, Outputs, ServedGraph
from undoor.deploy.prediction import Prediction, predictions
from undoor.errors import UndoorError, first_line
from undoor.files import why
from undoor.preparation import Picture, Preparation
from undoor.vocabulary import (
    EXPORT_INPUT,
    EXPORT_KEY,
    EXPORT_OUTPUTS,
    EXPORT_PIXELS,
    EXPORT_SCHEMA,
)

Input: TypeAlias = str | Picture
# One ONNX file holds no more.
MAX_BYTES = 2**31


class ExportedModel:
    """A guarded model that `undoor export` wrote as ONNX.

    Objects are safe to use from several threads, as ONNX Runtime's sessions are.

    Parameters
    ----------
    file
        The ONNX file.
    content
        What it holds, where that was read already.
    threads
        How many threads one call may take; None leaves it to ONNX Runtime.
    providers
        Of ONNX Runtime, in the order of preference.

    Raises
    ------
    UndoorError
        ONNX Runtime is missing, or the file cannot be opened, was not written by `undoor export`,
        or is of another version; or its metadata do not fit its graph.

    Attributes
    ----------
    metadata
        What the file says of itself: model, repair, targets, policy and more.
    contract
        Shape, bounds and classes of the model.
    preparation
        How pictures are prepared.
    output_form
        What outputs mean: classes, numbers, or sets of labels.
    targets
        The goals that are guarded.
    """

    def __init__(
        self,
        file: str | Path,
        *,
        content: bytes | None = None,
        threads: int | None = None,
        providers: Sequence[str] = DEFAULT_PROVIDERS,
    ) -> None:
        file = Path(file)
        if content is None:
            content = read_exported(file)
        self._graph = ServedGraph(file, content, threads=threads, providers=providers)
        self.metadata = _metadata(self._graph, file)
        try:
            self.contract = Contract.from_json(self.metadata)
            self.preparation = Preparation.from_json(self.metadata["preprocessing"], self.contract)
            self.output_form = described_form(self.metadata, self.contract, file)
            self.targets = described_targets(self.metadata, self.output_form.num_goals)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise UndoorError(
                f"{file}: expected metadata of {EXPORT_SCHEMA} with preprocessing, got damaged or "
                f"older ones ({error}); export the model again"
            ) from None
        self._takes = EXPORT_PIXELS if self.preparation.in_graph else EXPORT_INPUT
        _require_signature(self._graph, self._takes, file)
        self._require_agreement(file)

    def prepare(self, given: Input) -> NDArray[Any]:
        """Return one raw input as the file takes it.

        Parameters
        ----------
        given
            A picture: the path of a file, its bytes, an image of Pillow, or pixels, uint8 [H, W] or
            [H, W, C], of any size. Or numbers of the model's shape, float32, which are taken as
            they are; those outside the bounds and NaN are flagged.

        Returns
        -------
        array
            float32 [*input_shape]; of files with preprocessing, uint8 [H, W, C].

        Raises
        ------
        UndoorError
            It is neither of these, cannot be decoded, or does not fit the model.
        """
        if isinstance(given, np.ndarray) and given.dtype != np.uint8:
            return self._require_numbers(given)
        if isinstance(given, str):
            given = Path(given)
        try:
            return self.preparation.taken(given)
        except UnreadableError as error:
            raise UndoorError(
                f"expected a picture that can be decoded, got one that cannot: {error}; give PNG, "
                "JPEG, WebP, BMP or PNM"
            ) from None

    def run(self, prepared: Sequence[NDArray[Any]] | NDArray[Any]) -> list[Prediction]:
        """Return the predictions of inputs that `prepare` returned; a batch [N, ...] will do too.

        Pixels of several sizes go through one size after the other.

        Raises
        ------
        UndoorError
            One is no such input, or ONNX Runtime fails on them.
        """
        for one in prepared:
            self._require_prepared(one)
        found: dict[int, Prediction] = {}
        for shape in dict.fromkeys(one.shape for one in prepared):
            places = [place for place, one in enumerate(prepared) if one.shape == shape]
            batch = np.stack([prepared[place] for place in places])
            found |= zip(places, self._run_batch(batch), strict=True)
        return [found[place] for place in range(len(prepared))]

    def predict(self, given: Sequence[Input]) -> list[Prediction]:
        """Return the predictions of raw inputs, each as for `prepare`.

        Raises
        ------
        UndoorError
            As of `prepare`, with the place of the input.
        """
        prepared = []
        for place, one in enumerate(given):
            try:
                prepared.append(self.prepare(one))
            except UndoorError as error:
                raise UndoorError(f"input {place}: {error}") from None
        return self.run(prepared)

    @property
    def shows_bare(self) -> bool:
        """Whether the file shows what the model alone predicts; see `outputs_and_bare`."""
        return self._graph.is_cut

    def outputs(self, batch: NDArray[Any]) -> Outputs:
        """Return logits [N, K], flagged [N] and score [N] of inputs that `prepare` returned.

        Raises
        ------
        UndoorError
            ONNX Runtime fails on them.
        """
        return self.outputs_and_bare(batch)[0]

    def outputs_and_bare(self, batch: NDArray[Any]) -> tuple[Outputs, Array | None]:
        """Return what `outputs` does, and the logits [N, K] of the model alone.

        None in their place where the file does not show them: see `undoor.deploy.graph`.

        Raises
        ------
        UndoorError
            ONNX Runtime fails on them.
        """
        try:
            return self._graph.run(batch, self._at_target, self.contract.bounds)
        except Exception as error:
            reason = first_line(error)
            raise UndoorError(
                f"ONNX Runtime fails on {len(batch)} inputs ({reason}); give fewer or smaller ones"
            ) from error

    def _require_agreement(self, file: Path) -> None:
        policy = self.metadata.get("policy")
        try:
            require_agreement(
                self._graph, self.preparation, self.output_form, self.targets, policy, file
            )
        except UndoorError:
            raise
        except Exception as error:
            raise UndoorError(
                f"{file}: ONNX Runtime fails on one input of the shape that the metadata name "
                f"({first_line(error)}); export the model again"
            ) from error

    def _run_batch(self, batch: NDArray[Any]) -> list[Prediction]:
        policy = self.metadata.get("policy")
        return predictions(self.output_form, *self.outputs(batch), self.targets, policy)

    def _at_target(self, bare: Array) -> Array:
        return self.output_form.among(self.output_form.predictions(bare), self.targets)

    def _require_numbers(self, given: NDArray[Any]) -> NDArray[np.float32]:
        shape = self.contract.input_shape
        if self.preparation.in_graph:
            raise UndoorError(
                f"expected a picture or its pixels (uint8), got {given.dtype}: the preprocessing "
                "is part of this file; export it without to give numbers"
            )
        if given.dtype.kind != "f" or given.shape != shape:
            raise UndoorError(
                f"expected a picture, or numbers {list(shape)} of float32, got {given.dtype} "
                f"{list(given.shape)}"
            )
        return np.ascontiguousarray(given, np.float32)

    def _require_prepared(self, one: NDArray[Any]) -> None:
        shape: tuple[Any, ...] = self.contract.input_shape
        kind: np.dtype[Any]
        if self.preparation.in_graph:
            fits = one.ndim == len(shape) and one.shape[2] == shape[0] and one.size > 0
            kind, shape = np.dtype(np.uint8), ("height", "width", shape[0])
        else:
            fits, kind = one.shape == shape, np.dtype(np.float32)
        if one.dtype != kind or not fits:
            raise UndoorError(
                f"expected inputs {kind} [{', '.join(map(str, shape))}], got {one.dtype} "
                f"{list(one.shape)}; give what prepare returns"
            )


def read_exported(file: Path) -> bytes:
    """Return the content of an exported file.

    Raises
    ------
    UndoorError
        It cannot be read, or is larger than one ONNX file can be.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UndoorError(f"{file}: expected an ONNX file of at most 2 GB; export again")
        return file.read_bytes()
    except OSError as error:
        raise UndoorError(
            f"{file}: {why(error)}; expected an ONNX file of undoor export"
        ) from error


def _metadata(graph: ServedGraph, file: Path) -> Mapping[str, Any]:
    text = graph.description.get(EXPORT_KEY)
    advice = "write one with undoor export MODEL --repair FIX --out guarded.onnx"
    if text is None:
        raise UndoorError(
            f"{file}: expected a guarded model, got an ONNX file without undoor's metadata, which "
            f"guards nothing; {advice}"
        )
    try:
        data = json.loads(text)
        schema = data["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UndoorError(
            f"{file}: its metadata are damaged or older ({error}); {advice}"
        ) from None
    if schema != EXPORT_SCHEMA:
        raise UndoorError(
            f"{file}: expected an export of {EXPORT_SCHEMA}, got {schema!s:.100}; {advice}"
        )
    assert isinstance(data, dict)
    return data


def _require_signature(graph: ServedGraph, takes: str, file: Path) -> None:
    inputs = [name for name, _, _ in graph.inputs]
    if inputs != [takes] or set(graph.outputs) != set(EXPORT_OUTPUTS):
        raise UndoorError(
            f"{file}: expected the input {takes} and the outputs {', '.join(EXPORT_OUTPUTS)}, got "
            f"{', '.join(inputs)} and {', '.join(sorted(graph.outputs))}; export the model again"
        )
