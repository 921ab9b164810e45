"""Optional libraries: the extras of undoor's distribution, and how one is installed."""

from __future__ import annotations

from typing import Literal

Extra = Literal[
    "transformers",
    "text",
    "timm",
    "onnx-models",
    "onnx-export",
    "parquet",
    "audio",
    "deploy",
    "serve",
    "traces",
    "database",
    "ray",
    "mlflow",
    "cyclonedx",
    "model-card",
]


def how_to_install(extra: Extra) -> str:
    """Return how to install the libraries of an extra; undoor is not on PyPI.

    >>> how_to_install("timm")
    "install undoor's extra timm; in a clone: pip install '.[timm]'"
    """
    return f"install undoor's extra {extra}; in a clone: pip install '.[{extra}]'"
