"""Refuse results of other models, and say what differs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from undoor.errors import UndoorError
from undoor.identity.model import ModelIdentity, exact_identity
from undoor.identity.probes import probe_difference, probe_logits

if TYPE_CHECKING:
    from undoor.classifier import Classifier

SHOWN = 12


class WeightsOnlyWarning(UserWarning):
    """A file of the format before names its model by the weights and the input transform alone."""


def require_model(
    classifier: Classifier,
    sha256: str,
    identity: ModelIdentity | None,
    *,
    name: str,
    what: str,
    way_out: str,
) -> None:
    """Refuse a classifier that a result does not belong to.

    Parameters
    ----------
    sha256
        Of the model that the result is bound to.
    identity
        The same field by field, if known.
    name
        Of the result, which messages begin with.
    what
        What the result is, such as "this repair was made for".
    way_out
        What to do about it.

    Raises
    ------
    UndoorError
        The classifier has another hash, or the same hash and other predictions.
    """
    found = exact_identity(classifier)
    if identity is not None and identity.sha256 is None:
        _require_weights(found, sha256, name, what, way_out)
        return
    if found.sha256 != sha256:
        differs = _named(identity, sha256, found)
        raise UndoorError(
            f"{name}: {what} another model{differs} (expected SHA-256 {sha256[:SHOWN]}, got "
            f"{str(found.sha256)[:SHOWN]}); {way_out}"
        )
    if identity is None or identity.probe is None:
        return
    difference = probe_difference(identity.probe, probe_logits(classifier))
    if difference is not None:
        raise UndoorError(
            f"{name}: same files, other predictions: the logits of fixed inputs differ by "
            f"{difference:.0%} of the largest from those stored; the network depends on chance, on "
            f"the machine or on what it was fed before. Make it deterministic, then {way_out}"
        )


def warn_of_weights_only(identity: ModelIdentity | None, name: str, way_out: str) -> None:
    """Warn where a file, as it is read, names its model by the weights alone.

    Warns
    -----
    WeightsOnlyWarning
        It does.
    """
    if identity is not None and identity.sha256 is None:
        warnings.warn(
            f"{name}: written by an earlier version, it names its model by the weights and the "
            "input transform alone; whether graph, code and preprocessing are the same is not "
            f"known. To be sure, {way_out}",
            WeightsOnlyWarning,
            stacklevel=3,
        )


def require_fingerprint(classifier: Classifier, sha256: str) -> None:
    """Refuse a classifier that is not the one that somebody expects.

    Raises
    ------
    UndoorError
        Its fingerprint is another one.
    """
    found = classifier.fingerprint()
    if found != sha256:
        raise UndoorError(
            f"expected a model with the SHA-256 {sha256}, got {found}; if weights, code, graph or "
            "preprocessing were meant to change, look at it with `undoor inspect` and give the new "
            "one"
        )


def _require_weights(found: ModelIdentity, sha256: str, name: str, what: str, way_out: str) -> None:
    if found.weights_sha256 != sha256:
        raise UndoorError(
            f"{name}: {what} another model: weights or input transform differ (expected SHA-256 "
            f"{sha256[:SHOWN]}, got {str(found.weights_sha256)[:SHOWN]}); {way_out}"
        )


def _named(identity: ModelIdentity | None, sha256: str, found: ModelIdentity) -> str:
    """Return what differs, where it is known of the model that has that hash."""
    if identity is None or identity.sha256 != sha256:
        return ""
    differences = identity.differences(found)
    return f"; what differs: {', '.join(differences)}" if differences else ""
