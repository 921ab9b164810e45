"""The identity of a model, field by field, so that a refusal can report what differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from undoor.identity.digests import digest_from_json
from undoor.identity.preprocessing import preprocessing_of
from undoor.identity.probes import Logits, logits_from_json, probe_logits
from undoor.identity.structure import Structure, structure_of
from undoor.identity.tensors import weights_sha256
from undoor.origin import CodeFile
from undoor.spaces.registry import space_named
from undoor.spaces.space import Space

if TYPE_CHECKING:
    from undoor.classifier import Classifier

# What messages call the hashes, in the order in which they are compared.
HASHES = {
    "weights_sha256": "weights",
    "structure_sha256": "layers or their settings",
    "graph_sha256": "graph",
    "call_sha256": "the architecture's callable or its arguments",
}


@dataclass(frozen=True)
class ModelIdentity:
    """The model that a scan or a repair was made for.

    Parameters
    ----------
    sha256
        Over all other fields but the predictions: `Classifier.fingerprint`. None in files of an
        earlier format, which named a model by `weights_sha256` only.
    weights_sha256
        Over all weights and the input transform.
    structure_sha256
        Over the modules, their settings, and the graphs among them.
    graph_sha256
        Of the file that holds the network (`.pt2`, ONNX, TorchScript), if one does.
    call_sha256
        Of name and arguments of the callable that built the network, if one did.
    code
        Name and SHA-256 of each Python file that the network depends on and no installed package
        contains. The name is for messages and is not hashed.
    preprocessing
        Shape, bounds, scale, mean, std, output and resizing.
    probe
        Logits of a few fixed inputs, see `undoor.identity.probes`; None if unknown.
    """

    sha256: str | None
    weights_sha256: str | None = None
    structure_sha256: str | None = None
    graph_sha256: str | None = None
    call_sha256: str | None = None
    code: tuple[CodeFile, ...] = ()
    preprocessing: Mapping[str, Any] | None = None
    probe: Logits | None = None

    @property
    def code_sha256(self) -> str | None:
        """A SHA-256 over those of the files of `code`, in any order; None if there are none."""
        hashes = sorted({item.sha256 for item in self.code})
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest() if hashes else None

    @property
    def space(self) -> Space | None:
        """The space of the inputs, if it was named; None if it follows from their shape.

        Raises
        ------
        UndoorError
            No such space is installed.
        """
        name = (self.preprocessing or {}).get("space")
        return None if name is None else space_named(str(name))

    def to_json(self) -> dict[str, Any]:
        """Return all fields, as in files and reports."""
        return {
            "sha256": self.sha256,
            "weights_sha256": self.weights_sha256,
            "structure_sha256": self.structure_sha256,
            "graph_sha256": self.graph_sha256,
            "call_sha256": self.call_sha256,
            "code_sha256": self.code_sha256,
            "code": [{"name": item.path, "sha256": item.sha256} for item in self.code],
            "preprocessing": self.preprocessing,
            "probe": None if self.probe is None else {"logits": [list(r) for r in self.probe]},
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ModelIdentity:
        """Read what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            The data is something else.
        """
        preprocessing, probe = data["preprocessing"], data["probe"]
        if preprocessing is not None and not isinstance(preprocessing, dict):
            raise TypeError(f"expected the preprocessing as an object, got {preprocessing!r}")
        made = ModelIdentity(
            sha256=digest_from_json(data["sha256"]),
            weights_sha256=digest_from_json(data["weights_sha256"]),
            structure_sha256=digest_from_json(data["structure_sha256"]),
            graph_sha256=digest_from_json(data["graph_sha256"]),
            call_sha256=digest_from_json(data["call_sha256"]),
            code=tuple(_code_file(item) for item in data["code"]),
            preprocessing=preprocessing,
            probe=None if probe is None else logits_from_json(probe["logits"]),
        )
        if made.sha256 is None and made.weights_sha256 is None:
            raise ValueError(
                "expected the SHA-256 of a model, but sha256 and weights_sha256 are null"
            )
        return made

    def differences(self, other: ModelIdentity) -> tuple[str, ...]:
        """Describe each known difference of `other` from this identity in a phrase."""
        return tuple(_differences(self, other))


def fingerprint(classifier: Classifier) -> str:
    """Return the SHA-256 that `Classifier.fingerprint` describes."""
    sha256 = exact_identity(classifier).sha256
    assert sha256 is not None
    return sha256


def identify(classifier: Classifier) -> ModelIdentity:
    """Return the identity of a classifier, including its predictions for the probe inputs."""
    return with_predictions(exact_identity(classifier), classifier)


def with_predictions(exact: ModelIdentity, classifier: Classifier) -> ModelIdentity:
    """Return an exact identity with the classifier's predictions for the probe inputs added."""
    return replace(exact, probe=probe_logits(classifier))


def exact_identity(classifier: Classifier) -> ModelIdentity:
    """Return the identity of a classifier without predictions, equal on every machine."""
    structure = network_structure(classifier)
    code = _code(classifier.origin.code, structure.code)
    made = ModelIdentity(
        sha256=None,
        weights_sha256=weights_sha256(classifier),
        structure_sha256=structure.sha256(without=classifier.volatile),
        graph_sha256=classifier.origin.graph_sha256,
        call_sha256=classifier.origin.call_sha256,
        code=code,
        preprocessing=preprocessing_of(classifier),
    )
    hashed = {k: v for k, v in made.to_json().items() if k not in ("sha256", "code", "probe")}
    sha256 = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()
    return replace(made, sha256=sha256)


def network_structure(classifier: Classifier) -> Structure:
    """Return the structure of a classifier's network, without its weights."""
    hashed_tensors = frozenset(f"network.{name}" for name in classifier.network.state_dict())
    known = classifier.origin.graph_sha256 is not None
    return structure_of(classifier, hashed_tensors, graph_known=known)


def model_to_json(sha256: str, identity: ModelIdentity | None) -> dict[str, Any]:
    """Return the JSON object by which a file names its model.

    Parameters
    ----------
    sha256
        SHA-256 of the model.
    identity
        Its identity, if known.
    """
    if identity is None:
        return ModelIdentity(sha256).to_json()
    return identity.to_json() | ({} if identity.sha256 is None else {"sha256": sha256})


def model_from_json(data: Any, *, weights_only: bool) -> tuple[str, ModelIdentity]:
    """Return the SHA-256 of the model that a file belongs to, and its identity.

    Parameters
    ----------
    data
        What `model_to_json` returned, or the SHA-256 of the weights.
    weights_only
        Whether the file is of an earlier format, with the SHA-256 of the weights only.

    Raises
    ------
    KeyError, TypeError, ValueError
        The data is something else.
    """
    if weights_only:
        identity = ModelIdentity(None, weights_sha256=digest_from_json(str(data)))
    else:
        identity = ModelIdentity.from_json(data)
    sha256 = identity.sha256 or identity.weights_sha256
    assert sha256 is not None
    return sha256, identity


def _differences(expected: ModelIdentity, found: ModelIdentity) -> Iterator[str]:
    before, now = expected.preprocessing or {}, found.preprocessing or {}
    known = {**before, **now} if before else {}
    changed = [key for key in known if before.get(key) != now.get(key)]
    for key in changed:
        yield f"{key} (expected {_shown(before.get(key))}, got {_shown(now.get(key))})"
    for name, words in HASHES.items():
        # The hash of the weights covers the input transform too, which was named already.
        if name == "weights_sha256" and set(changed) - {"resizing", "space", "task"}:
            continue
        if getattr(expected, name) != getattr(found, name):
            yield words
    if expected.code_sha256 != found.code_sha256:
        yield f"code ({_changed_files(expected.code, found.code)})"


def _changed_files(expected: tuple[CodeFile, ...], found: tuple[CodeFile, ...]) -> str:
    hashes = {item.sha256 for item in expected} ^ {item.sha256 for item in found}
    items = [item for item in (*found, *expected) if item.sha256 in hashes]
    return ", ".join(dict.fromkeys(item.path or "a class without a file" for item in items))


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _code(*parts: tuple[CodeFile, ...]) -> tuple[CodeFile, ...]:
    """Return each file once, by its name, since its folder differs between machines."""
    found = {
        item.sha256: CodeFile(PurePath(item.path).name, item.sha256) for p in parts for item in p
    }
    return tuple(found[sha256] for sha256 in sorted(found))


def _code_file(data: Mapping[str, Any]) -> CodeFile:
    sha256 = digest_from_json(data["sha256"])
    if sha256 is None:
        raise ValueError("expected the sha256 of a code file, got null")
    return CodeFile(str(data["name"]), sha256)
