"""A PyTorch model and its repair: the pair that `undoor.guard` makes."""

from __future__ import annotations

import numpy as np
import torch

from undoor.classifier import Classifier
from undoor.device import array, from_array
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.preparation import Preparation
from undoor.repairs.record import Repair
from undoor.serve.served_model import Array, Outputs, ServedModel, TargetGuard
from undoor.triggers.pictures import has_picture, trigger_picture
from undoor.vocabulary import DEFAULT_TASK, Policy

PLATFORM = "pytorch_undoor"


class TorchEngine:
    """The guarded pair in this process.

    Raises
    ------
    UndoorError
        The repair is another model's or names no target, or the model gives no labels.
    """

    def __init__(
        self, classifier: Classifier, repair: Repair, *, name: str, policy: Policy
    ) -> None:
        if not repair.targets:
            raise UndoorError(
                "expected a repair of at least one target, got one without; there is nothing to "
                "guard: serve the model as it is"
            )
        if classifier.task.name != DEFAULT_TASK:
            raise UndoorError(
                f"serve: expected a model that predicts one class per input, got one for "
                f"{classifier.task.name}; check inputs with `undoor check`, run a file of `undoor "
                "export`, or guard it with undoor.guard"
            )
        self._guarded = guard(classifier, repair, policy=policy).eval()
        self._device = classifier.device
        self._model = ServedModel(
            name=name,
            platform=PLATFORM,
            preparation=Preparation.of(classifier),
            policy=policy,
            guards=tuple(
                TargetGuard.of(item.target, item.threshold, item.calibration.to_json())
                for item in repair.targets
            ),
            model_sha256=repair.fingerprint,
            repair_sha256=repair.sha256(),
            triggers={
                item.target: trigger_picture(item.trigger, classifier.space)
                for item in repair.targets
                if has_picture(item.trigger, classifier.space)
            },
        )

    @property
    def model(self) -> ServedModel:
        """What it serves."""
        return self._model

    @torch.no_grad()
    def run(self, x: Array) -> Outputs:
        """Return the outputs of raw inputs [N, *input_shape] float32."""
        inputs = from_array(np.asarray(x, np.float32), self._device)
        return Outputs(*(array(part) for part in self._guarded.logits(inputs)))
