"""Refuse results that belong to another model, and report what differs."""

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
    """A file of an earlier format names its model by the weights and the input transform only."""


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
        SHA-256 of the model that the result is bound to.
    identity
        The identity of that model, if known.
    name
        Name of the result, with which messages begin.
    what
        How messages relate the result to a model, such as "this repair was made for".
    way_out
        What to do about a mismatch, for the message.

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
            f"{name}: the files of the model are the same, but its predictions are not: the logits "
            f"of fixed inputs differ from the stored ones by {difference:.0%} of the largest; the "
            "network depends on chance, on the machine or on earlier inputs. Make it "
            f"deterministic, then {way_out}"
        )


def warn_of_weights_only(identity: ModelIdentity | None, name: str, way_out: str) -> None:
    """Warn about a file that names its model by the weights and the input transform only.

    Warns
    -----
    WeightsOnlyWarning
        The file does.
    """
    if identity is not None and identity.sha256 is None:
        warnings.warn(
            f"{name}: this file of an earlier version names its model by the weights and the input "
            "transform only, so that graph, code and preprocessing cannot be compared; to be sure, "
            f"{way_out}",
            WeightsOnlyWarning,
            stacklevel=3,
        )


def require_fingerprint(classifier: Classifier, sha256: str) -> None:
    """Refuse a classifier whose fingerprint is not the expected one.

    Raises
    ------
    UndoorError
        Its fingerprint is another one.
    """
    found = classifier.fingerprint()
    if found != sha256:
        raise UndoorError(
            f"expected a model with the SHA-256 {sha256}, got {found}; if weights, code, graph or "
            "preprocessing were meant to change, check the model with `undoor inspect` and give "
            "its new SHA-256"
        )


def _require_weights(found: ModelIdentity, sha256: str, name: str, what: str, way_out: str) -> None:
    if found.weights_sha256 != sha256:
        raise UndoorError(
            f"{name}: {what} another model: weights or input transform differ (expected SHA-256 "
            f"{sha256[:SHOWN]}, got {str(found.weights_sha256)[:SHOWN]}); {way_out}"
        )


def _named(identity: ModelIdentity | None, sha256: str, found: ModelIdentity) -> str:
    """Return what differs, for a message; "" if the fields of the expected model are unknown."""
    if identity is None or identity.sha256 != sha256:
        return ""
    differences = identity.differences(found)
    return f"; what differs: {', '.join(differences)}" if differences else ""
