"""What the Open Inference Protocol v2 says of the served model."""

from __future__ import annotations

from typing import Any

from undoor.serve.input_form import ANY_SIDE
from undoor.serve.served_model import ServedModel

VERSION = "1"
OUTPUTS = ("logits", "label", "flagged", "score")


def metadata(model: ServedModel, batch: int) -> dict[str, Any]:
    """Return the metadata of the model; `batch` is the number of inputs of one request at most."""
    form, outputs = model.form, model.outputs
    axes = {"logits": [-1, outputs.num_outputs], "label": [-1, *outputs.label_shape]}
    return {
        "name": model.name,
        "versions": [VERSION],
        "platform": model.platform,
        "inputs": [
            {"name": form.name, "datatype": form.datatype, "shape": [ANY_SIDE, *form.shape]}
        ],
        "outputs": [
            {"name": name, "datatype": kind, "shape": axes.get(name, [-1])}
            for name, kind in output_kinds(model).items()
        ],
        "parameters": {
            "policy": model.policy,
            "bounds": list(model.contract.bounds),
            "class_names": list(model.contract.class_names),
            "predicts": outputs.kind,
            **({} if outputs.unit is None else {"unit": outputs.unit}),
            "targets": list(model.targets),
            "model_sha256": model.model_sha256,
            "repair_sha256": model.repair_sha256,
            "max_batch_size": batch,
        },
    }


def output_kinds(model: ServedModel) -> dict[str, str]:
    """Return the datatype of each output."""
    kinds = ("FP32", model.outputs.datatype, "BOOL", "FP32")
    return dict(zip(OUTPUTS, kinds, strict=True))
