"""What a model's task learns of its goals from clean samples."""

from __future__ import annotations

from undoor.classifier import Classifier
from undoor.clean_set.dataset import CleanSet
from undoor.device import on

BATCH = 256


def with_goals_of(classifier: Classifier, clean: CleanSet) -> Classifier:
    """Return a classifier whose goals are known: they may follow from clean samples.

    Parameters
    ----------
    classifier
        The model.
    clean
        Samples as it takes them, on any device.

    Raises
    ------
    UndoorError
        Nothing can be learned from such labels.
    """
    if classifier.task.numbered:
        return classifier
    outputs = on(clean.labels.device, classifier.logits(clean.images, BATCH))
    return classifier.with_task(classifier.task.fitted(outputs, clean.labels))
