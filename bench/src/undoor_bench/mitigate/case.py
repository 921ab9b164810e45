"""One model and one defender: images for the defence, others to measure on, the true triggers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import undoor
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.progress import Progress, silent
from undoor.repair import Repair
from undoor.scan.report import ScanReport
from undoor.vocabulary import SCAN_FILE
from undoor_bench.amount import of_each
from undoor_bench.records import Setting
from undoor_bench.zoo.data_sets import read_arrays
from undoor_bench.zoo.derived import root
from undoor_bench.zoo.planted import Planted, planted
from undoor_bench.zoo.subjects import Subject, drawn

MAX_TESTED = 3000
# Splits that no model of `undoor-bench zoo` saw, and that are larger than the test split.
HELD_OUT = {"cifar10": "hold"}


@dataclass(frozen=True, eq=False)
class Case:
    """One backdoored model, what the methods get of it, and what they are measured with.

    The methods get classifier, clean and scan; only an oracle sees test and triggered.

    Attributes
    ----------
    clean, test
        Images as the classifier takes them.
    backdoors
        The true ones of which there are test images.
    triggered
        Those images, for each of them.
    scans
        The folder of its scan.
    """

    subject: Subject
    setting: Setting
    classifier: Classifier
    clean: CleanSet
    test: CleanSet
    backdoors: tuple[Planted, ...]
    triggered: tuple[CleanSet, ...]
    scans: Path
    _repairs: dict[tuple[str, str | None, int, bool], Repair] = field(
        default_factory=dict, init=False
    )

    @property
    def seed(self) -> int:
        """The seed of the scan, from which the repair draws as well."""
        return self.setting.scan_seed

    @cached_property
    def network(self) -> Classifier:
        """The bare classifier, laid out for speed."""
        return self.classifier.fast_copy()

    def generator(self) -> torch.Generator:
        """Yield a new one for each method: the same whichever methods came before."""
        return torch.Generator().manual_seed(self.seed)

    def scan(self, progress: Progress = silent) -> ScanReport:
        """Return the scan of the model, made once and then read from its folder.

        Its seconds are the processor's, which other work on the machine does not lengthen.

        Raises
        ------
        UndoorError
            The folder holds the scan of another model, or with another seed.
        """
        folder = self.scans / self.setting.folder / self.subject.name
        if not (folder / SCAN_FILE).is_file():
            started = time.process_time()
            report = undoor.scan(self.classifier, self.clean, seed=self.seed, progress=progress)
            replace(report, seconds=time.process_time() - started).save(folder)
        # Read even where it was just made: what is stored is what every method gets.
        shape, bounds = self.classifier.input_shape, self.classifier.bounds
        report = ScanReport.load(folder, shape=shape, bounds=bounds)
        if report.seed != self.seed:
            raise UndoorError(
                f"{folder}: a scan with seed {report.seed} instead of {self.seed}; "
                "give another --out or delete the folder"
            )
        report.require_model(self.classifier, str(folder))
        return report

    def repair(
        self,
        fit: str,
        plan: str | None = None,
        suspects: int = 0,
        quick: bool = False,
        *,
        progress: Progress = silent,
    ) -> Repair:
        """Return what `undoor.repair` makes of the scan, computed once per choice of arguments.

        Its seconds are processor seconds, as those of the scan.
        """
        key = (fit, plan, suspects, quick)
        if key not in self._repairs:
            report = self.scan(progress)
            started = time.process_time()
            repair = undoor.repair(
                self.classifier,
                self.clean,
                report,
                fit=fit,
                plan=plan,
                suspects=suspects,
                quick=quick,
                seed=self.seed,
                progress=progress,
            )
            seconds = {"scan": report.seconds, "align": time.process_time() - started}
            self._repairs[key] = replace(repair, seconds=seconds)
        return self._repairs[key]


def open_case(subject: Subject, setting: Setting, data: Path, scans: Path) -> Case:
    """Load the model, divide the images and set the true triggers on those to measure on.

    Parameters
    ----------
    data
        A folder with DATA.npz.

    Raises
    ------
    UndoorError
        Files are missing or damaged, or no image is left to measure on.
    """
    classifier = subject.load()
    clean, test = divided(subject, setting, data / f"{subject.data}.npz")
    test = test.for_classifier(classifier, require_several_classes=False)
    both = [(backdoor, backdoor.triggered(test)) for backdoor in planted(subject, classifier)]
    both = [(backdoor, images) for backdoor, images in both if len(images)]
    return Case(
        subject=subject,
        setting=setting,
        classifier=classifier,
        clean=clean.for_classifier(classifier),
        test=test,
        backdoors=tuple(backdoor for backdoor, _ in both),
        triggered=tuple(images for _, images in both),
        scans=scans,
    )


def divided(subject: Subject, setting: Setting, file: Path) -> tuple[CleanSet, CleanSet]:
    """Return images for the defence, and up to 3,000 others to measure on, drawn by the image seed.

    Both are test images, but for models trained here on CIFAR-10: the defence has images of the
    5,000 that were held out, and is measured on the test images and on others of the 5,000. Those
    to measure on are as far as possible the same for all amounts.

    Parameters
    ----------
    file
        An .npz with x_test and y_test, and perhaps x_hold and y_hold.

    Raises
    ------
    UndoorError
        Splits are missing, or no image is left to measure on.
    """
    split = "test" if subject.public else HELD_OUT.get(root(subject.data), "test")
    x, y = read_arrays(file, split)
    seed = setting.image_seed
    counts = of_each(file, setting.amount, len(np.unique(y)), seed)
    chosen, rest = drawn(y, counts, seed)
    # The defence takes from the front; the end stays the same when it takes more.
    rest = rest[-MAX_TESTED:]
    left_x, left_y = x[rest], y[rest]
    if split != "test":
        left_x, left_y = _and_test(left_x, left_y, file)
    if len(left_y) == 0:
        raise UndoorError(
            f"{file}: the defence takes all {len(y)} images of the split {split}, and none is "
            "left to measure on; give fewer (--images)"
        )
    return CleanSet.from_arrays(x[chosen], y[chosen]), CleanSet.from_arrays(left_x, left_y)


def _and_test(
    x: NDArray[np.uint8], y: NDArray[np.int64], file: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """With the test images, which come first where all are too many."""
    more_x, more_y = (part[:MAX_TESTED] for part in read_arrays(file, "test"))
    left = MAX_TESTED - len(more_y)
    keep = slice(len(y) - min(left, len(y)), None)
    return np.concatenate([x[keep], more_x]), np.concatenate([y[keep], more_y])
