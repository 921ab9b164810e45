"""How many clean images a defender has, and which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor_bench.zoo.data_sets import count_images, read_arrays
from undoor_bench.zoo.subjects import drawn


@dataclass(frozen=True)
class Amount:
    """A number of test images per class, or a share of the training set in per cent.

    >>> Amount(30).text, Amount(0.1, "% of training").folder
    ('30 a class', '0.1_percent_of_training')
    """

    number: float
    unit: Literal["a class", "% of training"] = "a class"

    @property
    def text(self) -> str:
        """The amount with its unit, such as "30 a class"."""
        return f"{self.number:.12g} {self.unit}"

    @property
    def folder(self) -> str:
        """A name for what was measured with it; different amounts, different names."""
        return self.text.replace("%", "percent").replace(" ", "_")


def read_amounts(text: str) -> tuple[Amount, ...]:
    """Return the amounts in a text, separated by commas, each once.

    >>> [amount.text for amount in read_amounts("5, 0.1%")]
    ['5 a class', '0.1 % of training']
    """
    return tuple(dict.fromkeys(_amount(part.strip()) for part in text.split(",")))


def _amount(text: str) -> Amount:
    try:
        if text.endswith("%"):
            amount = Amount(float(text.removesuffix("%")), "% of training")
            within = 0 < amount.number <= 100
        else:
            amount = Amount(int(text))
            within = amount.number >= 1
    except ValueError:
        within = False
    if not within:
        raise UndoorError(
            f"expected images a class (30) or a share of the training set (0.1%), got {text!r}"
        )
    return amount


def clean_images(file: Path, amount: Amount, seed: int) -> CleanSet:
    """Return test images, drawn by `seed`; all of a smaller class.

    A smaller amount is part of a larger one with the same seed.

    Of a share of the training set, each class gets the same number, and what is left over goes to
    classes drawn by `seed`, one image each; no class goes without.

    Parameters
    ----------
    file
        An .npz with x_test and y_test, and, for shares, y_train, which is only counted.
    """
    x, y = read_arrays(file, "test")
    rows, _ = drawn(y, of_each(file, amount, len(np.unique(y)), seed), seed)
    return CleanSet.from_arrays(x[rows], y[rows])


def of_each(file: Path, amount: Amount, classes: int, seed: int) -> list[int]:
    """Return how many images per class an amount comes to.

    Parameters
    ----------
    file
        An .npz whose y_train is counted for shares of the training set.
    """
    if amount.unit == "a class":
        return [int(amount.number)] * classes
    training = count_images(file, "train")
    return shared_out(round(training * amount.number / 100), classes, seed)


def shared_out(total: int, classes: int, seed: int) -> list[int]:
    """Return how many images each class gets.

    >>> sorted(shared_out(45, 10, seed=0)), shared_out(2, 3, seed=0)
    ([4, 4, 4, 4, 4, 5, 5, 5, 5, 5], [1, 1, 1])
    """
    each, left = divmod(max(total, classes), classes)
    lucky = set(np.random.default_rng(seed).permutation(classes)[:left].tolist())
    return [each + (place in lucky) for place in range(classes)]
