"""The preprocessing of a model, as part of its identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from undoor.spaces.registry import space_of
from undoor.vocabulary import DEFAULT_TASK

if TYPE_CHECKING:
    from undoor.classifier import Classifier


def preprocessing_of(classifier: Classifier) -> dict[str, Any]:
    """Return how a picture becomes an input of the network, as a JSON object."""
    resizing = classifier.resizing
    named = {"space": classifier.space.name, "task": classifier.task.name}
    columns = [column.to_json() for column in classifier.columns]
    tokenizer = classifier.tokenizer
    usual = {"space": space_of(classifier.input_shape).name, "task": DEFAULT_TASK}
    first = resizing.first if resizing else None
    return {
        "input_shape": list(classifier.input_shape),
        "bounds": list(classifier.bounds),
        "scale": classifier.scale,
        "mean": classifier.mean.flatten().tolist(),
        "std": classifier.std.flatten().tolist(),
        "output": classifier.output,
        "resizing": None
        if resizing is None
        else {
            "size": list(resizing.size),
            "first": list(first) if isinstance(first, tuple) else first,
            "resample": resizing.resample,
        },
        # Defaults are left out, so that hashes of earlier versions stay valid.
        **{key: name for key, name in named.items() if name != usual[key]},
        **({"columns": columns} if columns else {}),
        **({"sampling_rate": rate} if (rate := classifier.sampling_rate) else {}),
        **({"tokenizer": tokenizer.to_json()} if tokenizer else {}),
    }
