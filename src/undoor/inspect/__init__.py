"""Inspection of a model before anything is done with it: files, network, predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from undoor.classifier import Classifier
from undoor.clean_set import Clean, CleanSet, given
from undoor.errors import UndoorError
from undoor.inspect.checkpoint import CheckpointFacts, inspect_checkpoint
from undoor.inspect.dry_run import DryRun, dry_run
from undoor.inspect.files import FileFacts, code_files, inspect_files, weights_of
from undoor.inspect.network import inspect_network
from undoor.inspect.result import ClassifierFacts, CodeFacts, Inspection
from undoor.kinds import checked
from undoor.load import code_named_by, load, read_state_dict
from undoor.load.targets import ForbiddenTargetError
from undoor.load.trust import refusal
from undoor.load.weights import needs_architecture

__all__ = ["CodeFacts", "DryRun", "FileFacts", "Inspection", "dry_run", "inspect", "look"]


@checked
def inspect(model: str | Path, *, clean: Clean | None = None, **options: Any) -> Inspection:
    """Inspect the files, the network and, on clean images, the predictions of a model.

    Where files are unsafe, nothing of the model is opened. Python code that only a file of the
    model names is listed, and never run unless `trust_code` is given or it was trusted before.

    Parameters
    ----------
    model, options
        As for `undoor.load`. A bare checkpoint without `architecture` is looked at by its tensors
        alone.
    clean
        Labelled clean images for the dry run; without them there is none.

    Returns
    -------
    Inspection
        What was found; `problem` is the reason where the model was not opened.

    Raises
    ------
    UndoorError
        The model does not exist, or the clean images do not fit it.
    """
    path = Path(model)
    found = look(
        path,
        lambda: load(path, **options),
        None if clean is None else partial(given, clean),
        bare=options.get("architecture") is None,
        trusted=bool(options.get("trust_pickle")),
        trust_code=bool(options.get("trust_code")),
        key=options.get("key"),
    )
    return found if options.get("sha256") is None else found.held_to_a_hash()


def look(
    path: Path,
    open_model: Callable[[], Classifier],
    read_clean: Callable[[Classifier], CleanSet] | None,
    *,
    bare: bool,
    trusted: bool = False,
    trust_code: bool = False,
    key: str | None = None,
) -> Inspection:
    """Inspect a model that is opened, and images that are read, by the functions given.

    Parameters
    ----------
    path
        Of the model.
    open_model
        Opens it; called only where its files are safe or trusted.
    read_clean
        Reads the clean images for the dry run; None where there are none.
    bare
        Whether no architecture is given.
    trusted
        Whether whole pickled modules may be opened all the same.
    trust_code
        Whether code may run that a file of the model names.
    key
        Which of several state dicts in a checkpoint.
    """
    found = _with_code(Inspection(inspect_files(path)), path, bare=bare, trust_code=trust_code)
    found = _screened(found, trusted=trusted)
    if found.code is not None and not found.code.trusted:
        return replace(found, checkpoint=_tensors(path, key) if _are_safe(found) else None)
    if not found.opened:
        return found
    # A trusted module is opened by its architecture, never looked at by its tensors alone.
    bare = bare and _are_safe(found)
    try:
        if bare and needs_architecture(path):
            checkpoint = inspect_checkpoint(read_state_dict(path, key=key))
            bad = ", ".join(checkpoint.not_finite[:3])
            problem = f"{path} holds NaN or infinity ({bad})" if bad else None
            return replace(found, checkpoint=checkpoint, problem=problem)
        classifier = open_model()
        found = replace(
            found,
            contract=ClassifierFacts.of(classifier),
            network=inspect_network(classifier),
            model_sha256=classifier.fingerprint(),
        )
    except UndoorError as error:
        return replace(found, problem=str(error))
    if read_clean is not None:
        found = replace(found, dry_run=dry_run(classifier, read_clean(classifier)))
    return found


def _with_code(found: Inspection, path: Path, *, bare: bool, trust_code: bool) -> Inspection:
    """Add the code that a file of the model names, and a problem where it must not run."""
    try:
        named = code_named_by(path) if bare else None
    except ForbiddenTargetError as error:
        return replace(found, code=CodeFacts(error.architecture, False, ()), problem=str(error))
    except UndoorError as error:
        return replace(found, problem=str(error))
    if named is None:
        return found
    trusted = trust_code or named.remembered
    return replace(
        found,
        files=(*found.files, *code_files(named, found.files)),
        code=CodeFacts(named.architecture, trusted, named.files),
        problem=None if trusted else refusal(named),
    )


def _screened(found: Inspection, *, trusted: bool) -> Inspection:
    """Add a problem where a file is unsafe, which matters more than any other."""
    if all(file.safe or (trusted and file.whole_module) for file in found.files):
        return found
    unreadable = all(file.safe or file.unreadable for file in found.files)
    kind = "cannot be read" if unreadable else "is unsafe"
    return replace(found, problem=f"a file {kind}; nothing of the model was opened")


def _are_safe(found: Inspection) -> bool:
    return all(file.safe for file in found.files)


def _tensors(path: Path, key: str | None) -> CheckpointFacts | None:
    """Return the facts that the tensors alone show of a model whose code is not run."""
    try:
        weights = weights_of(path)
        if weights is None or not needs_architecture(weights):
            return None
        return inspect_checkpoint(read_state_dict(weights, key=key))
    except UndoorError:
        return None
