"""Train models whose backdoor is known, from a table, and measure what became of each."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.files import write_atomically, write_text
from undoor.progress import Progress, silent
from undoor_bench.attacks import Attack
from undoor_bench.zoo.data_sets import read_arrays
from undoor_bench.zoo.image_networks import IMAGE_NETWORKS, architecture_of, sized_for
from undoor_bench.zoo.recipes import usual_recipe
from undoor_bench.zoo.scenes import SCENES, Scene, require_known
from undoor_bench.zoo.subjects import took
from undoor_bench.zoo.train import train
from undoor_bench.zoo.training import USUAL_TRAINING, Training
from undoor_bench.zoo.variant import AS_USUAL, Variant

# What every row has, and what it may have besides the settings that it changes.
KEYS = ("attack", "data", "network", "seeds")
MORE_KEYS = ("calibrate", *Variant.names(), *Training.names())
SURROGATE_EPOCHS = 2
MAX_TESTED = 3000
BATCH = 500


@dataclass(frozen=True)
class ZooModel:
    """One model of the table: attack x data set x network x seed.

    Attributes
    ----------
    calibrate
        Whether it is of the half that thresholds are learned from.
    variant
        What is not as usual for the attack.
    training
        What is not as usual for the training.
    """

    attack: str
    data: str
    network: str
    seed: int
    calibrate: bool = False
    variant: Variant = AS_USUAL
    training: Training = USUAL_TRAINING

    @property
    def name(self) -> str:
        """The name of the model, and of its folder.

        >>> ZooModel("sig", "mnist", "VGG", 1).name
        'mnist_VGG_sig_1'
        >>> ZooModel("sig", "mnist", "VGG", 1, variant=Variant(rate=0.01)).name
        'mnist_VGG_sig_rate0.01_1'
        >>> ZooModel("clean", "mnist", "VGG", 1, training=Training(width=12)).name
        'mnist_VGG_clean_width12_1'
        """
        changed = self.variant.suffix + self.training.suffix
        return f"{self.data}_{self.network}_{self.attack}{changed}_{self.seed}"

    def to_json(self) -> dict[str, Any]:
        """Return the entries of truth.json on how the model was made."""
        made_of = {key: getattr(self, key) for key in ("attack", "data", "network", "seed")}
        return made_of | self.variant.to_json() | self.training.to_json()


def read_table(file: Path) -> tuple[ZooModel, ...]:
    """Return the entries of a TOML file with tables ``[[model]]``.

    Attack, data, network, seeds, and under ``calibrate`` those of the seeds whose models thresholds
    are learned from. ``rate``, ``strength`` and ``targets`` change the attack (see `Variant`),
    other keys the training (see `Training`).

    Raises
    ------
    UndoorError
        An unreadable file, an attack, data set or network that is not known, another key, or one
        that the attack does not have.
    """
    try:
        rows = tomllib.loads(file.read_text())["model"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise UndoorError(f"{file}: expected a TOML file with [[model]] tables ({error})") from None
    try:
        return tuple(entry for row in rows for entry in _entries(row))
    except UndoorError as error:
        raise UndoorError(f"{file}: {error}") from None


def _entries(row: dict[str, Any]) -> Iterator[ZooModel]:
    for key, known in (("attack", SCENES), ("network", IMAGE_NETWORKS)):
        if row.get(key) not in known:
            raise UndoorError(f"{key} must be one of {', '.join(known)}, got {row.get(key)!r}")
    if set(row) - {*KEYS, *MORE_KEYS} or set(KEYS) - set(row):
        raise UndoorError(
            f"expected {', '.join(KEYS)} and perhaps {', '.join(MORE_KEYS)}, got {', '.join(row)}"
        )
    usual_recipe(str(row["data"]), row["network"])
    variant, training = Variant.of(row), Training.of(row)
    require_known(row["attack"], variant)
    training.require_known(row["network"])
    for seed in row["seeds"]:
        calibrate = seed in row.get("calibrate", ())
        yield ZooModel(
            row["attack"], row["data"], row["network"], seed, calibrate, variant, training
        )


def train_entry(entry: ZooModel, data: Path, out: Path, *, progress: Progress = silent) -> Path:
    """Return the folder of one trained model.

    ``weights.safetensors`` (float16), ``model.toml``, ``truth.json`` with ACC, ASR and SIA, and the
    true triggers. A folder that is whole is kept.

    data : a folder with DATA.npz, x_train, y_train, x_test, y_test (uint8, channels last), or with
        the file that DATA is derived from.
    """
    folder = out / entry.name
    if (folder / "truth.json").is_file():
        return folder
    learning, test = (read_split(data / f"{entry.data}.npz", part) for part in ("train", "test"))
    generator = torch.Generator().manual_seed(entry.seed)
    classes, shape = int(learning.labels.max()) + 1, tuple(learning.images.shape[1:])
    arguments = {"num_classes": classes} | sized_for(entry.network, shape)
    arguments |= entry.training.network_arguments()
    learning = entry.training.images(learning, entry.seed)
    recipe = entry.training.recipe(usual_recipe(entry.data, entry.network))

    def fresh(epochs: int, attacks: list[Attack]) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(entry.seed)
            network = IMAGE_NETWORKS[entry.network](**arguments)
        plan, (x, y) = replace(recipe, epochs=epochs), (learning.images, learning.labels)
        return train(network, x, y, attacks, plan, generator=generator, progress=progress)

    surrogate = partial(fresh, SURROGATE_EPOCHS, [])
    scene = Scene(shape, classes, learning.images, surrogate, generator, entry.variant)
    attacks = SCENES[entry.attack](scene)
    network = rounded(fresh(recipe.epochs, attacks))
    truth = entry.to_json() | {"recipe": asdict(recipe)} | measure(network, test, attacks)
    _save(folder, network, attacks, truth, _described(entry.network, arguments, shape))
    return folder


def read_split(file: Path, split: str) -> CleanSet:
    """Return the images and labels of a split of a data set (see `read_arrays`)."""
    return CleanSet.from_arrays(*read_arrays(file, split))


def rounded(network: nn.Module) -> nn.Module:
    """Return the network with its weights rounded to float16.

    What is measured is what is stored.
    """
    state = network.state_dict()
    network.load_state_dict(
        {key: v.half().float() if v.is_floating_point() else v for key, v in state.items()}
    )
    return network


def save_rounded(network: nn.Module, file: Path) -> None:
    """Write the weights of a network as float16, as `rounded` rounds them."""
    half = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in network.state_dict().items()
    }
    write_atomically(file, lambda path: save_file(half, path))


@torch.no_grad()
def measure(network: nn.Module, test: CleanSet, attacks: list[Attack]) -> dict[str, Any]:
    """Return ACC, and for each attack where its images go, ASR, SIA and whether it took."""
    x, y = test.images[:MAX_TESTED], test.labels[:MAX_TESTED]
    acc = float((_predictions(network, x) == y).float().mean())
    found = []
    for attack in attacks:
        rows, wanted = attack.wanted(y)
        triggered = torch.cat([attack.trigger(batch) for batch in x[rows].split(BATCH)])
        predicted = _predictions(network, triggered)
        asr = float((predicted == wanted).float().mean())
        sia = float((predicted == y[rows]).float().mean())
        labels = {str(source): target for source, target in attack.labels.items()}
        works = took(asr, len(set(attack.labels.values())), acc)
        found.append({"labels": labels, "asr": asr, "sia": sia, "took": works})
    return {"acc": acc, "backdoors": found}


def _predictions(network: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([network(batch).argmax(1) for batch in x.split(BATCH)])


def _described(network: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> str:
    """Return the text of model.toml."""
    # JSON's numbers and plain strings are TOML's.
    given = ", ".join(f"{key} = {json.dumps(value)}" for key, value in arguments.items())
    return (
        '[model]\nweights = "weights.safetensors"\n'
        f'architecture = "{architecture_of(network)}"\n'
        f"arguments = {{ {given} }}\n"
        f"[input]\nshape = {list(shape)}\nbounds = [0.0, 1.0]\n"
    )


def _save(
    folder: Path,
    network: nn.Module,
    attacks: list[Attack],
    truth: dict[str, Any],
    description: str,
) -> None:
    """Write the model; truth.json comes last, so that a folder with it is complete."""
    save_rounded(network, folder / "weights.safetensors")
    for number, attack in enumerate(attacks):
        state = {key: value.contiguous() for key, value in attack.state().items()}
        file = folder / f"attack_{number}.safetensors"
        write_atomically(file, partial(save_file, state))
    write_text(folder / "model.toml", description)
    write_text(folder / "truth.json", json.dumps(truth, indent=1) + "\n")
