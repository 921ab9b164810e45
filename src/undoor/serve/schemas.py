"""What the OpenAPI document says about bodies and answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class ErrorBody(BaseModel):
    """A refused request."""

    error: str


class ModelMetadata(BaseModel):
    """The interface of the model, as the Open Inference Protocol has it."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    parameters: dict[str, Any]


class InferAnswer(BaseModel):
    """The answer of the Open Inference Protocol."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, Any]
    outputs: list[dict[str, Any]]


class LabelOn(BaseModel):
    """A label that is on."""

    label: int
    class_: str = Field(alias="class", description="Its name.")
    score: float = Field(description="Its probability.")


class Result(BaseModel):
    """The answer to one input."""

    label: int | float | list[int] | None = Field(
        description="The predicted class; of other models the number, or for each label 1 where it "
        "is on and 0 where not. Null where nothing is predicted."
    )
    class_: str | None = Field(alias="class", description="The prediction as people read it.")
    flagged: bool = Field(description="Whether the input is suspected to use the backdoor.")
    score: float | None = Field(description="The guard's score; null where there is none.")
    threshold: float | None = Field(description="Above this score inputs are flagged.")
    reason: str | None = Field(description="Why the input is flagged.")
    target: int | None = Field(description="The target whose guard flagged it.")
    model_label: int | float | list[int] | None = Field(
        description="What the model alone predicts."
    )
    model_class: str | None
    kept: int | None = Field(description="The number under which the input is kept.")
    unit: str | None = Field(None, description="Of models of numbers: what the number is.")
    labels: list[LabelOn] | None = Field(
        None, description="Of models of sets of labels: those that are on."
    )


class ClassifyAnswer(BaseModel):
    """The answers to the inputs of one request, in their order."""

    model: str
    policy: str
    results: list[Result]


_TEXTS = {
    400: "The request is not of the protocol.",
    401: "The request brings no token of this service.",
    403: "The request comes from a page of another site.",
    404: "There is no such model or input.",
    408: "The body did not arrive in time.",
    413: "The body, the picture or the number of inputs is too large.",
    415: "The body is of another type.",
    422: "A parameter is out of range.",
    429: "Too many inputs wait; Retry-After says when to try again.",
    503: "The service is not ready, or found no time to answer.",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "model": ErrorBody} for status, text in _TEXTS.items()
}
PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
HTML: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}}
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string", "enum": ["images", "pixels"]},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string", "example": "FP32"},
        "parameters": {"type": "object"},
        "data": {"type": "array", "items": {}},
    },
}
INFER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": {"type": "string"},
                        "parameters": {"type": "object"},
                        "inputs": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 1,
                            "items": _TENSOR,
                        },
                        "outputs": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"enum": ["logits", "label", "flagged", "score"]},
                                    "parameters": {"type": "object"},
                                },
                            },
                        },
                    },
                }
            },
            "application/octet-stream": _BINARY,
        },
    }
}
CLASSIFY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/png": _BINARY,
            "image/jpeg": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "picture": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["rows"],
                    "properties": {
                        "rows": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "array", "items": {"type": "number"}},
                        }
                    },
                }
            },
        },
    }
}
