"""Which model a result belongs to, field by field, so that a refusal can say what differs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from undoor.errors import UndoorError
from undoor.identity.probes import Logits, logits_from_json, probe_logits
from undoor.identity.structure import Structure, structure_of
from undoor.identity.tensors import weights_sha256
from undoor.origin import CodeFile
from undoor.spaces.registry import space_named, space_of
from undoor.spaces.space import Space
from undoor.vocabulary import DEFAULT_TASK

if TYPE_CHECKING:
    from undoor.classifier import Classifier

DIGEST = re.compile("[0-9a-f]{64}")
# How a refusal calls the hashes, in the order in which they are compared.
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
        Over all that follows but the predictions: `Classifier.fingerprint`. None in files of the
        format before, which named a model by `weights_sha256` alone.
    weights_sha256
        Over every weight and the input transform: its name in the format before.
    structure_sha256
        Over the modules, their settings, and graphs among them.
    graph_sha256
        Of the file that holds the network (`.pt2`, ONNX, TorchScript), if one does.
    call_sha256
        Of name and arguments of the callable that built the network, if one did.
    code
        Name and SHA-256 of each file of Python that the network is made of and no installed package
        brings. The name is for people; it is not hashed.
    preprocessing
        Shape, bounds, scale, mean, std, output and resizing.
    probe
        Logits of a few fixed inputs, see `undoor.identity.probes`; None where they are unknown.
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
        """Over the hashes of the files of `code`, in whatever order; None where there is none."""
        hashes = sorted({item.sha256 for item in self.code})
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest() if hashes else None

    @property
    def space(self) -> Space | None:
        """What an input is, where that was said by name; None where its shape says it.

        Raises
        ------
        UndoorError
            No such space is installed.
        """
        name = (self.preprocessing or {}).get("space")
        return None if name is None else space_named(str(name))

    def to_json(self) -> dict[str, Any]:
        """Return all fields, as files and reports hold them."""
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
        """Read what `to_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is not that.
        """
        preprocessing, probe = data["preprocessing"], data["probe"]
        if preprocessing is not None and not isinstance(preprocessing, dict):
            raise TypeError(f"expected the preprocessing as an object, got {preprocessing!r}")
        made = ModelIdentity(
            sha256=_digest(data["sha256"]),
            weights_sha256=_digest(data["weights_sha256"]),
            structure_sha256=_digest(data["structure_sha256"]),
            graph_sha256=_digest(data["graph_sha256"]),
            call_sha256=_digest(data["call_sha256"]),
            code=tuple(_code_file(item) for item in data["code"]),
            preprocessing=preprocessing,
            probe=None if probe is None else logits_from_json(probe["logits"]),
        )
        if made.sha256 is None and made.weights_sha256 is None:
            raise ValueError("it names no model: both sha256 and weights_sha256 are null")
        return made

    def differences(self, other: ModelIdentity) -> tuple[str, ...]:
        """Return what of `other` is not as in this one, in words; empty where nothing is known."""
        return tuple(_differences(self, other))


def fingerprint(classifier: Classifier) -> str:
    """See `Classifier.fingerprint`."""
    sha256 = exact_identity(classifier).sha256
    assert sha256 is not None
    return sha256


def identify(classifier: Classifier) -> ModelIdentity:
    """Return the identity of a classifier, with its predictions on the probe inputs."""
    return with_predictions(exact_identity(classifier), classifier)


def with_predictions(exact: ModelIdentity, classifier: Classifier) -> ModelIdentity:
    """Return the exact identity of a classifier, and its predictions on the probe inputs."""
    return replace(exact, probe=probe_logits(classifier))


def exact_identity(classifier: Classifier) -> ModelIdentity:
    """Return the same without predictions: what is equal on every machine."""
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
    """Return the modules of a classifier; its weights are hashed by `weights_sha256`."""
    stored = frozenset(f"network.{name}" for name in classifier.network.state_dict())
    known = classifier.origin.graph_sha256 is not None
    return structure_of(classifier, stored, graph_known=known)


def preprocessing_of(classifier: Classifier) -> dict[str, Any]:
    """Return what happens to a picture before the network sees it, as JSON can say it."""
    resizing = classifier.resizing
    named = {"space": classifier.space.name, "task": classifier.task.name}
    usual = {"space": space_of(classifier.input_shape).name, "task": DEFAULT_TASK}
    first = resizing.first if resizing else None
    return {
        "input_shape": list(classifier.input_shape),
        "bounds": list(classifier.bounds),
        "scale": classifier.scale,
        "mean": classifier.mean.flatten().tolist(),
        "std": classifier.std.flatten().tolist(),
        "output": classifier.output,
        "resizing": None
        if resizing is None
        else {
            "size": list(resizing.size),
            "first": list(first) if isinstance(first, tuple) else first,
            "resample": resizing.resample,
        },
        # What goes without saying is not said, so that hashes of before stay.
        **{key: name for key, name in named.items() if name != usual[key]},
    }


def model_to_json(sha256: str, identity: ModelIdentity | None) -> dict[str, Any]:
    """Return the entry of a file that says which model it belongs to.

    Parameters
    ----------
    sha256
        That it is bound to.
    """
    if identity is None:
        return ModelIdentity(sha256).to_json()
    return identity.to_json() | ({} if identity.sha256 is None else {"sha256": sha256})


def model_from_json(data: Any, *, weights_only: bool) -> tuple[str, ModelIdentity]:
    """Return the hash that a file is bound to and the identity that it holds.

    Parameters
    ----------
    data
        What `model_to_json` gave; with `weights_only` the hash of the format before.

    Raises
    ------
    KeyError, TypeError, ValueError
        It is not that.
    """
    if weights_only:
        identity = ModelIdentity(None, weights_sha256=_digest(str(data)))
    else:
        identity = ModelIdentity.from_json(data)
    sha256 = identity.sha256 or identity.weights_sha256
    assert sha256 is not None
    return sha256, identity


def require_sha256(text: str, what: str) -> str:
    """Return a SHA-256 as people give it, in lower case.

    Parameters
    ----------
    what
        Where it was given, for the message.

    Raises
    ------
    UndoorError
        It is not one; parts of one would be easier to forge and are not taken.
    """
    digest = text.strip().lower()
    if not DIGEST.fullmatch(digest):
        raise UndoorError(
            f"{what}: expected all 64 hexadecimal digits of a SHA-256, got {text!r} "
            f"({len(text.strip())} characters)"
        )
    return digest


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
    """Return each file once, by its name alone: where it lies differs from machine to machine."""
    found = {
        item.sha256: CodeFile(PurePath(item.path).name, item.sha256) for p in parts for item in p
    }
    return tuple(found[sha256] for sha256 in sorted(found))


def _code_file(data: Mapping[str, Any]) -> CodeFile:
    sha256 = _digest(data["sha256"])
    if sha256 is None:
        raise ValueError("a file of code without its sha256")
    return CodeFile(str(data["name"]), sha256)


def _digest(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not DIGEST.fullmatch(value)):
        raise ValueError(f"expected a SHA-256 of 64 hexadecimal digits, got {value!r}")
    return value
