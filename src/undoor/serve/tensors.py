"""Tensors of the Open Inference Protocol v2, as JSON and as binary data.

The protocol: https://github.com/kserve/open-inference-protocol; binary data: the extension
``binary_tensor_data`` of Triton, in which tensors follow the JSON as little-endian bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from undoor.serve.answers import Answers
from undoor.serve.input_form import InputForm
from undoor.serve.limits import Limits
from undoor.serve.model_metadata import OUTPUTS, VERSION, output_kinds
from undoor.serve.pictures import require_pixels
from undoor.serve.refusal import bad_request, too_large
from undoor.serve.served_model import Array, ServedModel

# Names of the protocol. All are taken by value: 255 of UINT8 is 255 in the units of the model.
DATATYPES = {
    "FP32": "<f4", "FP64": "<f8", "FP16": "<f2", "UINT8": "u1", "INT8": "i1", "UINT16": "<u2",
    "INT16": "<i2", "UINT32": "<u4", "INT32": "<i4", "UINT64": "<u8", "INT64": "<i8",
}  # fmt: skip
MAX_ID = 256
MAX_OUTPUTS = 16


@dataclass(frozen=True, eq=False)
class InferRequest:
    """One request for inference.

    Attributes
    ----------
    x
        The inputs [N, ...], as `ServedModel.form` says.
    id
        What the client calls the request; None where it does not.
    outputs
        The outputs to return, and whether as binary data.
    """

    x: Array
    id: str | None
    outputs: Mapping[str, bool]


def read_request(
    body: bytes, header_length: str | None, model: ServedModel, limits: Limits
) -> InferRequest:
    """Return the request for inference that a body holds.

    Parameters
    ----------
    header_length
        Of the header ``Inference-Header-Content-Length``: the length of the JSON in front of the
        binary data; None without such data.

    Raises
    ------
    Refusal
        It is none, or holds too many inputs.
    """
    head, binary = _split(body, header_length)
    document = _json_object(head)
    given = _one_input(document, model.form)
    values, used = _values(given, binary)
    if used != len(binary):
        raise bad_request(
            f"expected {used} bytes of binary data, as the inputs say, got {len(binary)}"
        )
    x = _shaped(values, given.get("shape"), model, limits)
    name = document.get("id")
    if name is not None and not (isinstance(name, str) and len(name) <= MAX_ID):
        raise bad_request(f"id: expected text of at most {MAX_ID} characters")
    return InferRequest(x, name, _wanted(document))


def response(
    model: ServedModel, request: InferRequest, found: Answers, kept: int
) -> tuple[bytes, int | None]:
    """Return the body of the answer, and the length of its JSON where binary data follow it.

    Parameters
    ----------
    kept
        How many of the inputs are kept.
    """
    tensors = {
        "logits": found.logits,
        "label": found.labels,
        "flagged": found.flagged,
        "score": found.score,
    }
    outputs, parts, kinds = [], [], output_kinds(model)
    for name, as_binary in request.outputs.items():
        values, kind = tensors[name], kinds[name]
        entry: dict[str, Any] = {"name": name, "datatype": kind, "shape": list(values.shape)}
        if as_binary:
            content = values.astype(DATATYPES.get(kind, "?")).tobytes()
            entry["parameters"] = {"binary_data_size": len(content)}
            parts.append(content)
        else:
            # JSON has no NaN, which stands for a number that is withheld.
            there = ~np.isnan(values).ravel()
            flat = zip(values.ravel().tolist(), there, strict=True)
            entry["data"] = [value if is_there else None for value, is_there in flat]
        outputs.append(entry)
    document = {
        "model_name": model.name,
        "model_version": VERSION,
        **({} if request.id is None else {"id": request.id}),
        "parameters": {"policy": model.policy, "kept": kept},
        "outputs": outputs,
    }
    head = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    return b"".join([head, *parts]), len(head) if parts else None


def json_of(body: bytes) -> Any:
    """Return the JSON value in a body. NaN and Infinity are taken: inputs may hold them.

    Raises
    ------
    Refusal
        It is no JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise bad_request(f"expected a body of JSON, got another one ({reason:.200})") from None


def numbers(data: Any) -> Array:
    """Return flat or nested lists of numbers as float32 of their shape.

    Raises
    ------
    Refusal
        They are something else, or ragged.
    """
    try:
        values = np.asarray(data)
    except (ValueError, OverflowError, RecursionError, MemoryError):
        raise bad_request("expected numbers in lists of equal length, got ragged ones") from None
    if values.dtype.kind not in "biuf":
        raise bad_request(f"expected lists of numbers, got {values.dtype.name} values among them")
    return as_float32(values)


def as_float32(values: Array) -> Array:
    """Return numbers as float32; those that are too large become infinite, and are flagged."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def require_count(count: int, limits: Limits) -> None:
    """Refuse a request of no input or of too many.

    Raises
    ------
    Refusal
        There are none, or more than a batch may hold.
    """
    if count < 1:
        raise bad_request("expected at least one input, got none")
    if count > limits.batch:
        raise too_large(
            f"expected at most {limits.batch} inputs in one request, got {count}; send several "
            "requests"
        )


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 16):
        raise bad_request("Inference-Header-Content-Length: expected a number of bytes")
    length = int(header_length)
    if length > len(body):
        raise bad_request(
            f"Inference-Header-Content-Length: expected at most the {len(body)} bytes of the body, "
            f"got {length}"
        )
    return body[:length], body[length:]


def _json_object(body: bytes) -> Mapping[str, Any]:
    document = json_of(body)
    if not isinstance(document, dict):
        raise bad_request(f"expected a JSON object, got {type(document).__name__}")
    return document


def _one_input(document: Mapping[str, Any], form: InputForm) -> Mapping[str, Any]:
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise bad_request(f"inputs: expected a list of one tensor, {form.name!r}")
    name = inputs[0].get("name")
    if name != form.name:
        raise bad_request(f"inputs: expected the name {form.name!r}, got {name!r:.60}")
    return inputs[0]


def _values(given: Mapping[str, Any], binary: bytes) -> tuple[Array, int]:
    """Return the numbers of an input, and how many bytes of binary data they took."""
    kind = given.get("datatype")
    if not isinstance(kind, str) or kind not in DATATYPES:
        raise bad_request(f"datatype: expected one of {', '.join(DATATYPES)}, got {kind!r:.60}")
    size = _parameters(given).get("binary_data_size")
    if size is None:
        if "data" not in given:
            raise bad_request("expected the numbers of the input as data, or as binary data")
        return numbers(given["data"]), 0
    width = np.dtype(DATATYPES[kind]).itemsize
    if type(size) is not int or not 0 <= size <= len(binary) or size % width:
        raise bad_request(
            f"binary_data_size: expected a multiple of {width} bytes up to the {len(binary)} "
            f"behind the JSON, got {size!r:.60}"
        )
    return as_float32(np.frombuffer(binary[:size], DATATYPES[kind])), size


def _shaped(values: Array, shape: Any, model: ServedModel, limits: Limits) -> Array:
    form = model.form
    sizes = shape if isinstance(shape, Sequence) and not isinstance(shape, str) else ()
    if not sizes or any(type(side) is not int for side in sizes) or not form.fits(tuple(sizes[1:])):
        raise bad_request(f"shape: expected {form.described()}, got {shape!r:.100}")
    require_count(sizes[0], limits)
    if values.size != math.prod(sizes):
        raise bad_request(
            f"expected {math.prod(sizes)} numbers for the shape {list(sizes)}, got {values.size}"
        )
    x = form.taken(values.reshape(sizes))
    if model.preparation.in_graph:
        require_pixels(math.prod(sizes[1:3]), limits.pixels)
    return x


def _wanted(document: Mapping[str, Any]) -> dict[str, bool]:
    all_binary = _flag(_parameters(document), "binary_data_output", default=False)
    outputs = document.get("outputs")
    if outputs is None:
        return dict.fromkeys(OUTPUTS, all_binary)
    if not isinstance(outputs, list) or not 1 <= len(outputs) <= MAX_OUTPUTS:
        raise bad_request(f"outputs: expected a list of some of {', '.join(OUTPUTS)}")
    wanted: dict[str, bool] = {}
    for item in outputs:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or name not in OUTPUTS:
            raise bad_request(f"outputs: expected some of {', '.join(OUTPUTS)}, got {name!r:.60}")
        wanted[name] = _flag(_parameters(item), "binary_data", default=all_binary)
    return wanted


def _parameters(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    found = holder.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise bad_request("parameters: expected an object")
    return found


def _flag(parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise bad_request(f"{name}: expected true or false, got {value!r:.60}")
    return value
