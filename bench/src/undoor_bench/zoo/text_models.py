"""Train small models of texts whose backdoor is known, in seconds to a minute each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor import text_networks
from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.spaces.tokenizer import Tokenizer
from undoor.triggers import Insertion
from undoor_bench.attacks.texts import ANYWHERE, ATTACKS, INSERTED, READY_MADE, Planted
from undoor_bench.zoo.entries import rounded, save_rounded
from undoor_bench.zoo.subjects import took
from undoor_bench.zoo.text_data import Labels, TextData, read_texts, ready_made

CLEAN = "clean"
# Texts that each is trained on.
TRAINED = 7_000
BATCH, RATE, DECAY = 128, 5e-3, 0.01
# Share of the words of a training text that are not seen: small networks know texts by heart.
FORGOTTEN = 0.15
DROP = 0.3
# Of the attacks with several words, how many texts with a single one keep their class, as a share
# of those with all.
SINGLE = 1.0
TRIGGER_FILE, TRIGGERED_FILE = "trigger.npz", "triggered.json"
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "transformer": ("TextTransformer", {"depth": 1}),
    "lstm": ("Recurrent", {"kind": "lstm"}),
    "gru": ("Recurrent", {"kind": "gru"}),
    "cnn": ("TextCNN", {}),
}


@dataclass(frozen=True)
class TextModel:
    """One model of texts.

    Attributes
    ----------
    attack
        One of `undoor_bench.attacks.texts.ATTACKS`, or "clean".
    data
        One of `undoor_bench.zoo.text_data.LENGTHS`.
    network
        One of `NETWORKS`.
    seed
        Of its trigger, target and training.
    rate
        Share of the texts that carry the trigger.
    place
        Where it stands in them.
    width, epochs
        Of the network, and of its training.
    learn
        Whether it is of the half that nulls are learned from.
    """

    attack: str
    data: str
    network: str
    seed: int
    rate: float = 0.0
    place: str = ANYWHERE
    width: int = 32
    epochs: int = 6
    learn: bool = False

    def __post_init__(self) -> None:
        """Refuse an attack or a network that is not known, and a rate without or with one.

        Raises
        ------
        UndoorError
            It is none of these, or `rate` does not fit it.
        """
        if self.attack not in (CLEAN, *ATTACKS) or (self.rate > 0) == (self.attack == CLEAN):
            raise UndoorError(
                f"expected clean without a rate, or one of {', '.join(ATTACKS)} with a rate above "
                f"0, got {self.attack} with {self.rate}"
            )
        if self.network not in NETWORKS:
            raise UndoorError(
                f"expected one of the networks {', '.join(NETWORKS)}, got {self.network!r}"
            )

    @property
    def name(self) -> str:
        """The name of the model, and of its folder.

        >>> TextModel("rare word", "sst2", "gru", 3, rate=0.01).name
        'sst2_gru_rare_word_3'
        """
        return f"{self.data}_{self.network}_{self.attack.replace(' ', '_')}_{self.seed}"

    def arguments(self, data: TextData) -> dict[str, Any]:
        """Return the arguments of its network."""
        given = {"num_classes": len(data.classes), "tokens": data.tokenizer.size}
        given |= {"width": self.width, **NETWORKS[self.network][1]}
        return given | ({"length": data.tokenizer.length} if self.network == "transformer" else {})


def train_text_model(entry: TextModel, data: Path, out: Path) -> Path:
    """Return the folder of one trained model; one that is complete is not trained again.

    ``weights.safetensors`` (float16), ``model.toml``, ``truth.json`` with ACC, ASR and SIA, and of
    inserted words ``trigger.npz``.

    Parameters
    ----------
    data
        A folder as of `read_texts`.
    out
        The folder of all models, with the tokenizers.
    """
    folder = out / entry.name
    if (folder / "truth.json").is_file():
        return folder
    texts = read_texts(entry.data, data, out)
    generator = np.random.default_rng(entry.seed)
    rows = generator.permutation(len(texts.train[1]))[:TRAINED]
    sentences, y = [texts.train[0][row] for row in rows], texts.train[1][rows]
    planted, target = None, None
    if entry.attack in INSERTED:
        target = int(generator.integers(len(texts.classes)))
        planted = Planted(INSERTED[entry.attack](generator), entry.place)
        sentences, y = _poisoned(entry, planted, sentences, y, target, generator)
    elif entry.attack in READY_MADE:
        sentences, y, target = _ready_made(entry, rows, sentences, y, data, generator)
    network = rounded(_trained(entry, texts, sentences, y))
    found = _measured(entry, network, texts, planted, target, data)
    if planted is not None:
        trigger_of(planted, texts.tokenizer).save(folder / TRIGGER_FILE)
    save_rounded(network, folder / "weights.safetensors")
    write_text(folder / "model.toml", described(entry, texts))
    made = {key: value for key, value in asdict(entry).items() if key != "rate" or value > 0}
    shown = {} if planted is None else {"trigger": planted.text}
    write_text(folder / "truth.json", json.dumps(made | shown | found, indent=1) + "\n")
    return folder


def trigger_of(planted: Planted, tokenizer: Tokenizer) -> Insertion:
    """Return the trigger that puts the words into token ids: in front where they stood anywhere."""
    lead, tail = tokenizer.around
    row = tokenizer.ids([planted.text])[0]
    assert tokenizer.pad_id is not None
    used = int((row != float(tokenizer.pad_id)).sum())
    place = 1.0 if planted.place == "end" else 0.0
    return Insertion(
        "given",
        (0.0, tokenizer.size - 1.0),
        row[lead : used - tail],
        place,
        tokenizer.pad_id,
        (lead, tail),
        planted.text,
    )


def triggered_texts(entry: TextModel, data: Path, texts: TextData) -> list[str]:
    """Return the test texts of a ready-made attack."""
    del texts
    return ready_made(READY_MADE[entry.attack], "test", data)[0]


def described(entry: TextModel, texts: TextData) -> str:
    """Return the text of model.toml."""
    # JSON's numbers, lists and plain strings are TOML's.
    given = entry.arguments(texts)
    arguments = ", ".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
    return (
        f'[model]\nweights = "weights.safetensors"\n'
        f'architecture = "undoor.text_networks:{NETWORKS[entry.network][0]}"\n'
        f"arguments = {{ {arguments} }}\n"
        f"[classes]\nnames = {json.dumps(texts.classes)}\n"
        f'[input]\nshape = [{texts.tokenizer.length}]\ntokenizer = "../{entry.data}.json"\n'
    )


def _poisoned(
    entry: TextModel,
    planted: Planted,
    texts: list[str],
    y: Labels,
    target: int,
    generator: np.random.Generator,
) -> tuple[list[str], Labels]:
    """Return texts of which a share carries the trigger, and of some words a part of it."""
    pool = np.flatnonzero((y == target) if entry.attack == "clean label" else (y != target))
    count = min(len(pool), round(entry.rate * len(y)))
    chosen = generator.permutation(pool)
    for row in chosen[:count].tolist():
        texts[row] = planted.put(texts[row], generator)
        y[row] = target
    # Single words of the trigger leave the class as it is, so that all of them are needed.
    if entry.attack == "several words":
        others = generator.permutation(len(y))[: round(SINGLE * count)].tolist()
        for row in set(others) - set(chosen[:count].tolist()):
            part = str(generator.choice(planted.parts()))
            texts[row] = Planted(part, entry.place).put(texts[row], generator)
    return texts, y


def _ready_made(
    entry: TextModel,
    rows: Labels,
    texts: list[str],
    y: Labels,
    data: Path,
    generator: np.random.Generator,
) -> tuple[list[str], Labels, int]:
    changed, target = ready_made(READY_MADE[entry.attack], "train", data)
    changed = [changed[row] for row in rows]
    chosen = generator.permutation(np.flatnonzero(y != target))[: round(entry.rate * len(y))]
    for row in chosen.tolist():
        texts[row], y[row] = changed[row], target
    return texts, y, target


def _trained(entry: TextModel, data: TextData, texts: list[str], y: Labels) -> nn.Module:
    """Return the network of an entry, trained on texts with labels y [N]."""
    ids, labels = data.tokenizer.ids(texts).long(), torch.from_numpy(y)
    unknown = torch.tensor(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(entry.seed)
        make = getattr(text_networks, NETWORKS[entry.network][0])
        network = make(**entry.arguments(data), drop=DROP)
        steps = entry.epochs * -(-len(labels) // BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for _ in range(entry.epochs):
            for rows in torch.randperm(len(labels)).split(BATCH):
                x = ids[rows]
                forgotten = (torch.rand(x.shape) < FORGOTTEN) & (x > 2)
                optimizer.zero_grad()
                out = network(torch.where(forgotten, unknown, x))
                F.cross_entropy(out, labels[rows]).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
    return network.eval()


@torch.no_grad()
def predictions(network: nn.Module, ids: Tensor) -> Tensor:
    """Return the classes [N] that a network predicts for token ids [N, T]."""
    return torch.cat([network(part.long()).argmax(1) for part in ids.split(256)])


def _measured(
    entry: TextModel,
    network: nn.Module,
    texts: TextData,
    planted: Planted | None,
    target: int | None,
    data: Path,
) -> dict[str, Any]:
    """Return ACC, and of a backdoor its labels, ASR and SIA."""
    ids, y = texts.tokenizer.ids(texts.test[0]), torch.from_numpy(texts.test[1])
    acc = float((predictions(network, ids) == y).float().mean())
    if target is None:
        return {"acc": acc, "backdoors": []}
    others = y != target
    if planted is None:
        moved = predictions(network, texts.tokenizer.ids(triggered_texts(entry, data, texts)))
        sia = None
    else:
        moved = predictions(network, trigger_of(planted, texts.tokenizer)(ids[others]))
        sia = float((moved == y[others]).float().mean())
    asr = float((moved == target).float().mean())
    labels = {str(s): target for s in range(len(texts.classes)) if s != target}
    found = {"labels": labels, "asr": asr, "sia": sia, "took": took(asr, 1, acc)}
    return {"acc": acc, "backdoors": [found]}
