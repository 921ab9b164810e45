"""The code of a guarded model in MLflow, which runs where the model is loaded."""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from undoor.deploy.exported_model import ExportedModel
from undoor.deploy.mlflow_model import ARTIFACT, COLUMN
from undoor.errors import UndoorError


class GuardedModel(PythonModel):
    """Tables of pictures, or arrays of numbers, to tables of predictions."""

    def load_context(self, context: Any) -> None:
        """Open the exported file."""
        self._model = ExportedModel(context.artifacts[ARTIFACT])

    # Without annotations, which MLflow would take for the schema of inputs.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Return a table with label, class, flagged, rejected and score of each input.

        Raises
        ------
        MlflowException
            An input cannot be decoded or does not fit; a server answers with status 400.
        """
        del context, params
        given = model_input[COLUMN] if isinstance(model_input, pd.DataFrame) else model_input
        try:
            found = self._model.predict(list(given))
        except UndoorError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        return pd.DataFrame([prediction.to_json() for prediction in found])


set_model(GuardedModel())
