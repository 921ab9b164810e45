"""Labelled clean samples, from files, folders, iterables or arrays."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from undoor.clean_set.by_model import labelled_by_model, read_labelled_by_model
    from undoor.clean_set.class_names import Classes
    from undoor.clean_set.classes_option import read_classes
    from undoor.clean_set.dataset import CleanSet
    from undoor.clean_set.given_samples import Clean, given
    from undoor.clean_set.goals import with_goals_of
    from undoor.clean_set.inputs import read_images
    from undoor.clean_set.read import read_clean_set
    from undoor.clean_set.reading import Reading

# Imported on first use: what decodes image files needs no torch, and serves where there is none.
_HOMES = {
    "Classes": "class_names",
    "Clean": "given_samples",
    "CleanSet": "dataset",
    "Reading": "reading",
    "given": "given_samples",
    "labelled_by_model": "by_model",
    "read_classes": "classes_option",
    "read_clean_set": "read",
    "read_images": "inputs",
    "read_labelled_by_model": "by_model",
    "with_goals_of": "goals",
}

__all__ = [
    "Classes",
    "Clean",
    "CleanSet",
    "Reading",
    "given",
    "labelled_by_model",
    "read_classes",
    "read_clean_set",
    "read_images",
    "read_labelled_by_model",
    "with_goals_of",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
