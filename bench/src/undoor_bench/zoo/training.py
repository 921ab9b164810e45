"""The settings of a training that a row of the zoo's table changes."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.networks import POOLS
from undoor_bench.zoo.changes import Changes, require_count, require_number, require_share
from undoor_bench.zoo.image_networks import IMAGE_NETWORKS
from undoor_bench.zoo.train import Recipe
from undoor_bench.zoo.training_images import drawn_rows, long_tail, mislabelled

OF_NETWORK = ("width", "pool", "patch")


@dataclass(frozen=True)
class Training(Changes):
    """A training with other settings than its usual ones; None stands for the usual one.

    What the defender sees, the test data, stays as it is (see `derived` for what changes that).

    Attributes
    ----------
    epochs
        Passes over the images.
    share
        Of the training images that are used, in (0, 1].
    imbalance
        How many times as many images as the last class the first one has, in an order that the seed
        draws (see `long_tail`).
    label_noise
        Share of the training images with a random wrong label, in (0, 1].
    augment
        False: images are neither moved nor mirrored.
    weight_decay
        Of the optimiser.
    width
        Of the network: channels of its first layer.
    pool
        Of a network with a choice: "max" or "average".
    patch
        Of a vision transformer: height and width in pixels of what becomes one token.

    Raises
    ------
    UndoorError
        Settings out of range.

    Examples
    --------
    >>> Training(pool="average", epochs=4).suffix, Training(augment=False).suffix
    ('_epochs4_poolaverage', '_augmentfalse')
    """

    epochs: int | None = None
    share: float | None = None
    imbalance: float | None = None
    label_noise: float | None = None
    augment: bool | None = None
    weight_decay: float | None = None
    width: int | None = None
    pool: str | None = None
    patch: int | None = None

    def __post_init__(self) -> None:
        require_count("epochs", self.epochs)
        require_count("width", self.width)
        require_count("patch", self.patch)
        require_share("share", self.share)
        require_share("label_noise", self.label_noise)
        require_number("imbalance", self.imbalance, lambda times: times >= 1, "at least 1")
        require_number("weight_decay", self.weight_decay, lambda decay: decay >= 0, "at least 0")
        if self.augment is not None and self.augment is not False:
            raise UndoorError(f"augment can only be false, got {self.augment!r}")
        if self.pool is not None and self.pool not in POOLS:
            raise UndoorError(f"pool must be one of {', '.join(POOLS)}, got {self.pool!r}")

    def network_arguments(self) -> dict[str, Any]:
        """Return the arguments of the network that are not as usual."""
        return {key: value for key, value in self.to_json().items() if key in OF_NETWORK}

    def require_known(self, network: str) -> None:
        """Refuse arguments that this network does not have.

        Raises
        ------
        UndoorError
            Such as a pool, where there is no choice.
        """
        able = inspect.signature(IMAGE_NETWORKS[network]).parameters
        for key in self.network_arguments():
            if key not in able:
                raise UndoorError(f"the network {network} has no choice of {key}; remove it")

    def recipe(self, usual: Recipe) -> Recipe:
        """Return the usual recipe with the changes."""
        changes = {key: value for key, value in self.to_json().items() if key in asdict(usual)}
        if self.augment is False:
            changes |= {"shift": 0, "flip": False}
        return replace(usual, **changes)

    def images(self, learning: CleanSet, seed: int) -> CleanSet:
        """Return the training images and labels with the changes, drawn by `seed`."""
        rng, y = np.random.default_rng(seed), learning.labels.numpy()
        classes = int(y.max()) + 1
        shares = (self.share or 1.0) * long_tail(classes, self.imbalance or 1.0, rng)
        rows = drawn_rows(y, shares, rng)
        labels = mislabelled(y[rows], self.label_noise or 0.0, classes, rng)
        return replace(learning, images=learning.images[rows], labels=torch.from_numpy(labels))


USUAL_TRAINING = Training()
