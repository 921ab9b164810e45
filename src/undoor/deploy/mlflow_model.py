"""Guarded models in MLflow, as its flavour `pyfunc`: log, load, serve."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undoor.deploy.exported_model import ExportedModel
from undoor.errors import UndoorError
from undoor.extras import how_to_install
from undoor.output_forms.numbers import Numbers

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo
    from mlflow.models.signature import ModelSignature

# MLflow runs this file where the model is loaded; nothing is pickled.
CODE = Path(__file__).with_name("mlflow_code.py")
ARTIFACT = "guarded"
# What a table of pictures calls their column, each the bytes of an image file.
COLUMN = "image"
PACKAGES = ("undoor", "mlflow-skinny", "numpy", "onnxruntime", "pandas", "pillow")


def log_model(
    file: str | Path,
    *,
    name: str = "guarded",
    registered_model_name: str | None = None,
    requirements: Sequence[str] | None = None,
) -> ModelInfo:
    """Log an exported ONNX file as a model of MLflow, in the run that is active.

    The model takes a table with the column "image", the bytes of an image file each (base64 in
    JSON), or for models of other inputs numbers [N, *input_shape], float32. It returns a table with
    the columns label, class, flagged, rejected and score of `Prediction`, with its unit or labels.

    Parameters
    ----------
    file
        Written by `undoor export`.
    name
        Of the logged model.
    registered_model_name
        Also register it as a new version of this model.
    requirements
        What pip installs where the model is served; by default the installed versions of undoor,
        MLflow, NumPy, ONNX Runtime, pandas and Pillow. Undoor is on no public index: name the
        address of yours, such as "undoor @ git+https://HOST/undoor".

    Raises
    ------
    UndoorError
        MLflow is missing, or the file is no guarded model.
    """
    model = ExportedModel(file)
    try:
        import mlflow.pyfunc
    except ImportError:
        raise UndoorError(
            f"models in MLflow take the library mlflow; {how_to_install('mlflow')}"
        ) from None
    if requirements is None:
        requirements = [f"{package}=={version(package)}" for package in PACKAGES]
    return mlflow.pyfunc.log_model(
        name=name,
        python_model=str(CODE),
        artifacts={ARTIFACT: str(file)},
        signature=signature_of(model),
        pip_requirements=list(requirements),
        registered_model_name=registered_model_name,
        metadata={
            key: str(model.metadata[key]) for key in ("model_sha256", "repair_sha256", "policy")
        },
    )


def signature_of(model: ExportedModel) -> ModelSignature:
    """Return what MLflow checks inputs and outputs by."""
    import numpy as np
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import Array

    form = model.output_form
    label: Any = DataType.double if form.datatype == Numbers.datatype else DataType.long
    if model.preparation.takes_pictures:
        taken: Any = ColSpec(DataType.binary, COLUMN)
    else:
        taken = TensorSpec(np.dtype("float32"), (-1, *model.contract.input_shape))
    return ModelSignature(
        Schema([taken]),
        Schema(
            [
                ColSpec(
                    Array(label) if form.label_shape else label, "label", form.no_label is not None
                ),
                ColSpec(DataType.string, "class", required=False),
                ColSpec(DataType.boolean, "flagged"),
                ColSpec(DataType.boolean, "rejected"),
                ColSpec(DataType.double, "score", required=False),
            ]
        ),
    )
