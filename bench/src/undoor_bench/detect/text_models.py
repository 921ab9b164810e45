"""What scans, repairs and guards do for models of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from undoor.clean_set import CleanSet
from undoor_bench.attacks.texts import READY_MADE
from undoor_bench.detect.row_models import TESTED, RowCase, text_of, true_trigger
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
    if (attack := _attack(subject.attack)) in READY_MADE:
        # Of two classes: the label of a text that is to be moved is the other one.
        changed, target = ready_made(READY_MADE[attack], "test", data)
        labels_before = torch.full((len(changed),), 1 - target)
        triggered = CleanSet(texts.tokenizer.ids(changed), labels_before, texts.classes)
    return RowCase(subject, classifier, clean, test, trigger, triggered)


def record_of(lines: Sequence[Mapping[str, Any]], date: str) -> str:
    """Return the record for people, syntax and style apart, which no inserted word stands for.

    Parameters
    ----------
    lines
        As of `undoor_bench.detect.row_models.result_of`.
    date
        When it was measured.
    """
    inserted = inserted_alone(lines)
    apart = [line for line in lines if line not in inserted]
    text = text_of(inserted, date, "texts")
    if not apart:
        return text
    called = sum(line["verdict"] == "backdoored" for line in apart)
    return text + f"\nSyntax and style, apart: {called} of {len(apart)} called backdoored.\n"


def inserted_alone(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the lines of models without a backdoor, or with one of inserted words."""
    return [line for line in lines if _attack(line["attack"]) not in READY_MADE]


def _attack(named: str) -> str:
    """Return the attack alone, of a name such as "syntax, rate 0.2"."""
    return named.partition(",")[0]
