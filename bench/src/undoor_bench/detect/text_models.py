"""What scans, repairs and guards do for models of texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from undoor.clean_set import CleanSet
from undoor_bench.attacks.texts import READY_MADE
from undoor_bench.detect.row_models import TESTED, RowCase, true_trigger
from undoor_bench.zoo.subjects import Subject, drawn
from undoor_bench.zoo.text_data import TextData, ready_made
from undoor_bench.zoo.text_models import TRIGGER_FILE


def text_case(
    subject: Subject, texts: TextData, data: Path, *, per_class: int, seed: int
) -> RowCase:
    """Draw the texts of a defender from the test part of a data set, and load the model.

    Parameters
    ----------
    subject
        The model.
    texts
        Its data set.
    data
        The folder with the ready-made triggered texts.
    per_class, seed
        Of the texts of the defender.
    """
    classifier = subject.load()
    sentences, labels = texts.test
    chosen, others = drawn(labels, per_class, seed)
    clean, test = (
        CleanSet(
            texts.tokenizer.ids([sentences[row] for row in part]),
            torch.from_numpy(np.asarray(labels[part])),
            texts.classes,
        ).for_classifier(classifier)
        for part in (chosen, others[:TESTED])
    )
    trigger = true_trigger(subject.folder / TRIGGER_FILE, classifier)
    triggered = None
    if subject.attack in READY_MADE:
        # Of two classes: the label of a text that is to be moved is the other one.
        changed, target = ready_made(READY_MADE[subject.attack], "test", data)
        own = torch.full((len(changed),), 1 - target)
        triggered = CleanSet(texts.tokenizer.ids(changed), own, texts.classes)
    return RowCase(subject, classifier, clean, test, trigger, triggered)
