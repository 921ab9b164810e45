"""Text classifiers of Hugging Face Transformers: the network behind token ids, and its tokenizer.

The tokenizer is read from ``tokenizer.json`` by the library `tokenizers`: no code of the folder
runs, and no other form of tokenizer is opened.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.load.hub import read_json
from undoor.load.preprocessing import given
from undoor.load.spec import ClassesTable, Tables, checked
from undoor.spaces.tokenizer import PADS, Tokenizer
from undoor.spaces.tokens import TOKENS

KIND = "ForSequenceClassification"
TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
# Tokens of an input where neither the tokenizer nor the user says how many.
LENGTH = 128


class TextLogits(nn.Module):
    """A text model of Transformers that takes token ids alone and returns class scores alone.

    Parameters
    ----------
    model
        Returns an object with `logits`.
    pad
        Id of the token that fills up short texts, which no other token attends to.
    """

    def __init__(self, model: nn.Module, pad: int) -> None:
        super().__init__()
        self.model = model
        self.pad = pad

    def forward(self, ids: Tensor) -> Tensor:
        """Return the class scores [N, K] of token ids [N, T]."""
        return self.model(input_ids=ids, attention_mask=(ids != self.pad).long()).logits


def text_classifier(
    model: nn.Module, settings: Any, folder: Path, options: Tables, class_names: Sequence[str]
) -> Classifier:
    """Return the classifier of a text model with the tokenizer in its folder.

    Parameters
    ----------
    model
        Of Transformers.
    settings
        Its configuration.
    folder
        With the ``tokenizer.json``.
    options
        Tables as of a model.toml: the shape is [T], how many tokens an input has.
    class_names
        That come with the network.

    Raises
    ------
    UndoorError
        There is no ``tokenizer.json``, it has no token for padding, or an option does not fit.
    """
    file = folder / TOKENIZER
    if not file.is_file():
        raise UndoorError(
            f"{folder} has no {TOKENIZER}, so that it is unknown how a text becomes token ids; "
            "copy it too, or write it on a machine you trust: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    content = read_json(file)
    inputs = given(options, "input")
    odd = sorted(inputs.keys() - {"shape", "space"})
    if odd:
        raise UndoorError(f"{folder} takes token ids, which have no {odd[0]}; leave {odd[0]} out")
    length = _length(inputs.get("shape"), content, settings)
    tokenizer = Tokenizer.read(file, length, _pad(folder, content, settings))
    named = checked(
        ClassesTable, "classes", {"names": tuple(class_names), **given(options, "classes")}, folder
    )
    assert tokenizer.pad_id is not None
    return Classifier(
        TextLogits(model, tokenizer.pad_id),
        output=given(options, "model").get("output", "logits"),
        class_names=named.names,
        space=inputs.get("space"),
        task=named.task,
        tokenizer=tokenizer,
    )


def _length(shape: Any, content: dict[str, Any], settings: Any) -> int:
    """Return how many tokens an input has: as given, as the tokenizer cuts, or a usual number."""
    if shape is not None:
        if not TOKENS.applies_to(tuple(shape)):
            raise UndoorError(
                f"expected an input_shape such as (64,), how many tokens an input has, got {shape}"
            )
        return int(shape[0])
    cut = (content.get("truncation") or {}).get("max_length")
    known = cut if isinstance(cut, int) else LENGTH
    most = getattr(settings, "max_position_embeddings", None)
    return min(known, most) if isinstance(most, int) and most > 0 else known


def _pad(folder: Path, content: dict[str, Any], settings: Any) -> str | None:
    """Return the token that fills up short texts, as the folder names it."""
    said = (content.get("padding") or {}).get("pad_token")
    if said is None and (folder / SETTINGS).is_file():
        said = read_json(folder / SETTINGS).get("pad_token")
    said = said.get("content") if isinstance(said, dict) else said
    if isinstance(said, str):
        return said
    number = getattr(settings, "pad_token_id", None)
    added = content.get("added_tokens") or []
    names = {each.get("id"): each.get("content") for each in added if isinstance(each, dict)}
    if number in names:
        return str(names[number])
    found = json.dumps(content.get("model", {}).get("vocab", {}))
    return next((name for name in PADS if json.dumps(name) in found), None)
