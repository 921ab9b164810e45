"""Look at a model before anything is done with it: its files, its network, its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.inspect.checkpoint import inspect_checkpoint
from undoor.inspect.dry_run import DryRun, dry_run
from undoor.inspect.files import FileFacts, inspect_files
from undoor.inspect.network import inspect_network
from undoor.inspect.result import Contract, Inspection
from undoor.load import load, read_state_dict
from undoor.load.weights import needs_architecture

__all__ = ["DryRun", "FileFacts", "Inspection", "dry_run", "inspect", "look"]


def inspect(model: str | Path, *, clean: CleanSet | None = None, **options: Any) -> Inspection:
    """Look at a model: are its files safe, what is it, does it know these clean images?

    Unsafe files are told and nothing of the model is opened then.

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
    found = look(
        path,
        lambda: load(path, **options),
        None if clean is None else clean.for_classifier,
        bare=options.get("architecture") is None,
        trusted=bool(options.get("trust_pickle")),
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
    key: str | None = None,
) -> Inspection:
    """As `inspect`, of a model that is opened and images that are read by these functions.

    bare : whether no architecture is given.
    trusted : whether whole pickled modules may be opened all the same.
    """
    files = inspect_files(path)
    found = Inspection(files)
    if not all(file.safe or (trusted and file.whole_module) for file in files):
        return found
    # A trusted module is opened by its architecture, never looked at by its tensors alone.
    bare = bare and all(file.safe for file in files)
    try:
        if bare and needs_architecture(path):
            state = read_state_dict(path, key=key)
            facts = inspect_checkpoint(state)
            bad = ", ".join(facts.not_finite[:3])
            problem = f"{path} holds NaN or infinity ({bad})" if bad else None
            return replace(found, checkpoint=facts, problem=problem)
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
