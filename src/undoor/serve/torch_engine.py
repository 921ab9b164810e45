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
from undoor.vocabulary import Policy

PLATFORM = "pytorch_undoor"


class TorchEngine:
    """The guarded pair in this process.

    Raises
    ------
    UndoorError
        The repair is another model's or names no target, or its outputs are in no form that can
        be served.
    """

    def __init__(
        self, classifier: Classifier, repair: Repair, *, name: str, policy: Policy
    ) -> None:
        if not repair.targets:
            raise UndoorError(
                "expected a repair of at least one target, got one without; there is nothing to "
                "guard: serve the model as it is"
            )
        self._guarded = guard(classifier, repair, policy=policy).eval()
        # With the goals of the repair.
        classifier = self._guarded.original
        form = classifier.output_form
        if form is None:
            raise UndoorError(
                f"serve: expected a task whose outputs servers know, got {classifier.task.name!r}, "
                "which has no output_form; check inputs with `undoor check`, or guard the model "
                "with undoor.guard"
            )
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
            output_form=form,
        )

    @property
    def model(self) -> ServedModel:
        """What it serves."""
        return self._model

    @torch.no_grad()
    def run(self, x: Array) -> Outputs:
        """Return the outputs of raw inputs [N, *input_shape] float32."""
        inputs = from_array(np.asarray(x, np.float32), self._device)
        return Outputs(*(array(part) for part in self._guarded.with_bare(inputs)))
