"""Look at a model before anything is done with it: its files, its network, its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.inspect.checkpoint import CheckpointFacts, inspect_checkpoint
from undoor.inspect.dry_run import DryRun, dry_run
from undoor.inspect.files import FileFacts, code_files, inspect_files, weights_of
from undoor.inspect.network import inspect_network
from undoor.inspect.result import CodeFacts, Contract, Inspection
from undoor.load import code_named_by, load, read_state_dict
from undoor.load.trust import refusal
from undoor.load.weights import needs_architecture

__all__ = ["CodeFacts", "DryRun", "FileFacts", "Inspection", "dry_run", "inspect", "look"]


def inspect(model: str | Path, *, clean: CleanSet | None = None, **options: Any) -> Inspection:
    """Look at a model: are its files safe, what is it, does it know these clean images?

    Where files are unsafe, nothing of the model is opened. Python code that only a file of the
    model names is listed, and never run unless `trust_code` is given or it was trusted before.

    Parameters
    ----------
    model, options : as for `undoor.load`. A bare checkpoint without `architecture` is looked at by
        its tensors alone.
    clean : labelled clean images for the dry run.

    Raises
    ------
    UndoorError : the model does not exist, or the clean images do not fit it.
    """
    path = Path(model)
    return look(
        path,
        lambda: load(path, **options),
        None if clean is None else clean.for_classifier,
        bare=options.get("architecture") is None,
        trusted=bool(options.get("trust_pickle")),
        trust_code=bool(options.get("trust_code")),
        key=options.get("key"),
    )


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
    """As `inspect`, of a model that is opened and images that are read by these functions.

    bare : whether no architecture is given.
    trusted : whether whole pickled modules may be opened all the same.
    trust_code : whether code may run that a file of the model names.
    """
    files = inspect_files(path)
    found = Inspection(files)
    try:
        named = code_named_by(path) if bare else None
    except UndoorError as error:
        return replace(found, problem=str(error))
    if named is not None:
        trust_code = trust_code or named.remembered
        facts = CodeFacts(named.architecture, trust_code, named.files)
        found = replace(found, files=(*files, *code_files(named, files)), code=facts)
    if not all(file.safe or (trusted and file.whole_module) for file in found.files):
        unreadable = all(file.safe or file.format is None for file in found.files)
        kind = "cannot be read" if unreadable else "is unsafe"
        return replace(found, problem=f"a file {kind}; nothing of the model was opened")
    if named is not None and not trust_code:
        found = replace(found, problem=refusal(named))
        return replace(found, checkpoint=_tensors(weights_of(path), key))
    # A trusted module is opened by its architecture, never looked at by its tensors alone.
    bare = bare and all(file.safe for file in files)
    try:
        if bare and needs_architecture(path):
            checkpoint = inspect_checkpoint(read_state_dict(path, key=key))
            bad = ", ".join(checkpoint.not_finite[:3])
            problem = f"{path} holds NaN or infinity ({bad})" if bad else None
            return replace(found, checkpoint=checkpoint, problem=problem)
        classifier = open_model()
        found = replace(
            found,
            contract=Contract.of(classifier),
            network=inspect_network(classifier),
            model_sha256=classifier.fingerprint(),
        )
    except UndoorError as error:
        return replace(found, problem=str(error))
    if read_clean is not None:
        found = replace(found, dry_run=dry_run(classifier, read_clean(classifier)))
    return found


def _tensors(weights: Path | None, key: str | None) -> CheckpointFacts | None:
    """What the tensors alone say of a model whose code is not run."""
    try:
        if weights is None or not needs_architecture(weights):
            return None
        return inspect_checkpoint(read_state_dict(weights, key=key))
    except UndoorError:
        return None
