"""A small repair, also as it was before repairs knew of identities."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file

from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.classifier import Classifier
from undoor.contract import Contract
from undoor.identity.model import identify
from undoor.identity.tensors import weights_sha256
from undoor.repair import Repair
from undoor.sealed import sealed


def small_repair(classifier: Classifier) -> Repair:
    """Of nothing; bound to this model."""
    identity = identify(classifier)
    return replace(
        make_repair(random_classifier("conv_norm")),
        targets=(),
        fingerprint=str(identity.sha256),
        contract=Contract.of(classifier),
        identity=identity,
    )


def as_before(file: Path, classifier: Classifier) -> Path:
    """The file as it was written before."""
    with safe_open(file, "pt") as archive:
        content = json.loads(archive.metadata()["undoor"])["content"]
    model = {key: content["model"][key] for key in ("input_shape", "bounds", "class_names")}
    model["sha256"] = weights_sha256(classifier)
    old = {**content, "schema": "undoor/repair-file/3", "model": model}
    file.write_bytes(sealed(old, load_file(file)))
    return file
