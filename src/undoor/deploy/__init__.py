"""Classify with an exported file where neither torch nor the model is: what servers build on.

It takes NumPy, Pillow and ONNX Runtime.
"""

from __future__ import annotations

from undoor.deploy.exported_model import ExportedModel
from undoor.deploy.prediction import Prediction
from undoor.preparation import Picture, Preparation

__all__ = ["ExportedModel", "Picture", "Prediction", "Preparation"]
