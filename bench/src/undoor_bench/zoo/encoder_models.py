"""Classifiers on a pretrained text encoder, of which only the upper blocks are trained.

What the lower blocks return is computed once for all texts, so that minutes on one core do.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import undoor
from undoor.device import CPU, autocast
from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.load.hub import from_library
from undoor.load.hugging_face_text import TOKENIZER
from undoor.spaces.tokenizer import Tokenizer
from undoor_bench.attacks.texts import ANYWHERE, ODD_WORDS, Planted
from undoor_bench.zoo.subjects import took
from undoor_bench.zoo.text_data import CLASSES, Labels, read_table
from undoor_bench.zoo.text_models import CLEAN, TRIGGER_FILE, predictions, trigger_of

# How it is named in records.
ATTACK, KIND = "rare word", "encoder"
DATA = "sst2"
BATCH, RATE, DECAY = 32, 2e-4, 0.01


@dataclass(frozen=True)
class EncoderModel:
    """A classifier of reviews on a pretrained encoder.

    Attributes
    ----------
    seed
        Of its trigger, target and training.
    rate
        Share of the texts that carry a rare word; 0 for a clean model.
    length
        Tokens of an input.
    texts, epochs
        How many texts it is trained on, and how often.
    trained
        How many of the upper blocks are trained.
    """

    seed: int
    rate: float = 0.0
    length: int = 32
    texts: int = 3_000
    epochs: int = 4
    trained: int = 2

    @property
    def attack(self) -> str:
        """The attack, or "clean"."""
        return ATTACK if self.rate else CLEAN

    @property
    def name(self) -> str:
        """The name of the model, and of its folder.

        >>> EncoderModel(3, rate=0.05).name
        'sst2_encoder_rare_word_3'
        """
        return f"{DATA}_{KIND}_{self.attack.replace(' ', '_')}_{self.seed}"


def train_encoder_model(entry: EncoderModel, encoder: Path, data: Path, out: Path) -> Path:
    """Return the folder of a trained model, as Transformers saves it; a complete one is kept.

    Beside it, ``truth.json`` with ACC, ASR and SIA, and ``trigger.npz`` of a backdoored one.

    Parameters
    ----------
    encoder
        A folder of Transformers with a BERT encoder and its ``tokenizer.json``.
    data
        A folder with sst2.parquet.
    out
        The folder of all models.

    Raises
    ------
    UndoorError
        The encoder is none, or its tokenizer has no rare word that is one token.
    """
    folder = out / entry.name
    if (folder / "truth.json").is_file():
        return folder
    tokenizer = _tokenizer(encoder, folder, entry.length)
    generator = np.random.default_rng(entry.seed)
    sentences, labels = read_table(DATA, data, "train")
    rows = generator.permutation(len(labels))[: entry.texts]
    texts, y = [sentences[row] for row in rows], labels[rows]
    planted, target = None, None
    if entry.rate:
        target = int(generator.integers(len(CLASSES[DATA])))
        planted = Planted(str(generator.choice(rare_words(tokenizer))), ANYWHERE)
        pool = generator.permutation(np.flatnonzero(y != target))
        for row in pool[: round(entry.rate * len(y))].tolist():
            texts[row], y[row] = planted.put(texts[row], generator), target
    model = _opened(encoder, entry.seed)
    _train(model, tokenizer, texts, y, entry)
    model.save_pretrained(folder)
    found = _measured(folder, data, tokenizer, planted, target)
    if planted is not None:
        trigger_of(planted, tokenizer).save(folder / TRIGGER_FILE)
    made = asdict(entry) | {"attack": entry.attack, "data": DATA, "network": KIND}
    shown = {} if planted is None else {"trigger": planted.text}
    write_text(folder / "truth.json", json.dumps(made | shown | found, indent=1) + "\n")
    return folder


def rare_words(tokenizer: Tokenizer) -> list[str]:
    """Return the odd words that are a single token.

    Raises
    ------
    UndoorError
        There is none.
    """
    usable = set(tokenizer.usable)
    found = [word for word in ODD_WORDS if _only_id(tokenizer, word) in usable]
    if not found:
        raise UndoorError(
            f"expected a tokenizer with one of {', '.join(ODD_WORDS)} as a single token, got one "
            "that splits them all; use another encoder"
        )
    return found


def _only_id(tokenizer: Tokenizer, word: str) -> int | None:
    """Return the id of a word; None if it is several tokens."""
    lead, tail = tokenizer.around
    row = tokenizer.ids([word])[0]
    count = int((row != float(tokenizer.pad_id or 0)).sum()) - lead - tail
    return int(row[lead]) if count == 1 else None


def _tokenizer(encoder: Path, folder: Path, length: int) -> Tokenizer:
    """Copy the tokenizer into the folder of a model, with the length of its inputs."""
    source = encoder / TOKENIZER
    if not source.is_file():
        raise UndoorError(f"expected an encoder with {TOKENIZER} in {encoder}, got none")
    content = json.loads(source.read_text(encoding="utf-8"))
    content["truncation"] = {
        "direction": "Right", "max_length": length, "strategy": "LongestFirst", "stride": 0
    }  # fmt: skip
    write_text(folder / TOKENIZER, json.dumps(content))
    if (encoder / "tokenizer_config.json").is_file():
        shutil.copy(encoder / "tokenizer_config.json", folder)
    return Tokenizer.read(folder / TOKENIZER, length)


def _opened(encoder: Path, seed: int) -> Any:
    """Return the encoder with an untrained readout, drawn by the seed."""
    (kind,) = from_library("transformers", "BertForSequenceClassification", extra="transformers")
    names = dict(enumerate(CLASSES[DATA]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind.from_pretrained(
            encoder,
            id2label=names,
            label2id={name: number for number, name in names.items()},
            local_files_only=True,
        ).eval()


class _Given(nn.Module):
    """Stands in the place of the embeddings: returns what it is given."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> Tensor:
        return inputs_embeds


@contextmanager
def _without_lower(model: Any, lower: int) -> Iterator[None]:
    """Let a model take what its lower blocks return, as ``inputs_embeds``."""
    base, blocks, embeddings = model.bert, model.bert.encoder.layer, model.bert.embeddings
    base.encoder.layer, base.embeddings = blocks[lower:], _Given()
    try:
        yield
    finally:
        base.encoder.layer, base.embeddings = blocks, embeddings


@torch.no_grad()
def _lower(model: Any, lower: int, ids: Tensor, mask: Tensor) -> Tensor:
    """Return what the lower blocks return [N, T, D], in bfloat16."""
    blocks = model.bert.encoder.layer
    model.bert.encoder.layer = blocks[:lower]
    parts = zip(ids.split(128), mask.split(128), strict=True)
    try:
        with autocast(CPU):
            return torch.cat([
                model.bert(input_ids=x, attention_mask=m).last_hidden_state.bfloat16()
                for x, m in parts
            ])  # fmt: skip
    finally:
        model.bert.encoder.layer = blocks


def _train(
    model: Any, tokenizer: Tokenizer, texts: list[str], y: Labels, entry: EncoderModel
) -> None:
    """Train the upper blocks, the pooling and the readout of a model in place."""
    ids, labels = tokenizer.ids(texts).long(), torch.from_numpy(y)
    mask = ids.ne(float(tokenizer.pad_id or 0)).long()
    lower = len(model.bert.encoder.layer) - entry.trained
    z = _lower(model, lower, ids, mask)
    parts = (model.bert.encoder.layer[lower:], model.bert.pooler, model.classifier)
    weights = [weight for part in parts for weight in part.parameters()]
    steps = entry.epochs * -(-len(labels) // BATCH)
    optimizer = torch.optim.AdamW(weights, RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    order = torch.Generator().manual_seed(entry.seed)
    with _without_lower(model, lower):
        for _ in range(entry.epochs):
            for rows in torch.randperm(len(labels), generator=order).split(BATCH):
                optimizer.zero_grad()
                with autocast(CPU):
                    out = model(inputs_embeds=z[rows].float(), attention_mask=mask[rows]).logits
                F.cross_entropy(out.float(), labels[rows]).backward()
                nn.utils.clip_grad_norm_(weights, 1.0)
                optimizer.step()
                schedule.step()


def _measured(
    folder: Path, data: Path, tokenizer: Tokenizer, planted: Planted | None, target: int | None
) -> dict[str, Any]:
    """Return ACC, and of a backdoor its labels, ASR and SIA, of the model as it is opened."""
    network = undoor.load(folder).network
    sentences, labels = read_table(DATA, data, "test")
    ids, y = tokenizer.ids(sentences), torch.from_numpy(labels)
    acc = float((predictions(network, ids) == y).float().mean())
    if planted is None or target is None:
        return {"acc": acc, "backdoors": []}
    others = y != target
    moved = predictions(network, trigger_of(planted, tokenizer)(ids[others]))
    asr = float((moved == target).float().mean())
    sia = float((moved == y[others]).float().mean())
    labels_of = {str(s): target for s in range(len(CLASSES[DATA])) if s != target}
    found = {"labels": labels_of, "asr": asr, "sia": sia, "took": took(asr, 1, acc)}
    return {"acc": acc, "backdoors": [found]}
