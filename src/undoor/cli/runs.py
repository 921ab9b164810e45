"""How long runs go on after they were ended, and how much memory they may take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from undoor.cli.console import say
from undoor.errors import UndoorError, UsageError
from undoor.files import write_json
from undoor.vocabulary import RUN_FILE

if TYPE_CHECKING:
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet
    from undoor.inversion.meter import Budget
    from undoor.journal import Journal

RUN_PANEL = "Run"
# Of what is free on a GPU, unless --memory says otherwise.
SHARE_OF_FREE = 0.9


@dataclass(frozen=True)
class RunOptions:
    """What a run may take, and whether it goes on with an earlier one."""

    memory: Annotated[
        str | None,
        typer.Option(
            help="Aim at so much resident memory, such as 2GB; with --device cuda of the GPU. "
            "Slower where it is little. Half of what is free, unless given; of a GPU nine tenths.",
            metavar="SIZE",
            rich_help_panel=RUN_PANEL,
        ),
    ] = None
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Begin anew, whatever an earlier run left in --out.",
            rich_help_panel=RUN_PANEL,
        ),
    ] = False
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            help="Say what it will take (passes, seconds, memory), and do none of it.",
            rich_help_panel=RUN_PANEL,
        ),
    ] = False

    def folder(self, out: Path | None) -> Path | None:
        """Return where the run writes: nowhere, if it only says what it would take."""
        return None if self.estimate else out

    def bounded(self, classifier: Classifier, clean: CleanSet, *, fit: bool = False) -> Classifier:
        """Return the classifier, with as many inputs at a time as the memory suffices for.

        Parameters
        ----------
        fit
            Whether corrections will be fitted, too.
        """
        from undoor.device import free_memory

        free = free_memory(classifier.device)
        if self.memory is None and free is None:
            return _within_half(classifier, clean, fit=fit)
        from undoor.inversion.capacity import capacity_within

        most, held = self._of_cpu() if free is None else self._of_gpu(classifier, clean, free)
        try:
            capacity = capacity_within(most, classifier, clean, held=held, fit=fit)
        except UndoorError as error:
            if self.memory is None:
                raise
            raise UsageError(str(error)) from None
        return classifier.limited(capacity)

    def _of_cpu(self) -> tuple[int, int]:
        """Return bytes of memory to stay within, and those that are held already."""
        from undoor.cli.memory import resident, return_buffers

        assert self.memory is not None
        return_buffers()
        return size(self.memory), resident()

    def _of_gpu(self, classifier: Classifier, clean: CleanSet, free: int) -> tuple[int, int]:
        """Return the same of a GPU's memory, to which the clean images are still to be moved."""
        from undoor.device import held_memory

        held = held_memory(classifier.device)
        most = held + int(SHARE_OF_FREE * free)
        most = most if self.memory is None else min(size(self.memory), held + free)
        return most, held + clean.images.nbytes


def _within_half(classifier: Classifier, clean: CleanSet, *, fit: bool) -> Classifier:
    """Return the classifier as it is where half of the free memory suffices for everything at a
    time, and bounded by that half where it does not.

    Where the system does not say what is free, nothing is bounded.

    Raises
    ------
    UndoorError
        Half is too little for one input at a time.
    """
    from undoor.cli.free_memory import free_memory
    from undoor.cli.memory import resident, return_buffers
    from undoor.inversion.capacity import capacity_within, unbounded_within

    free, held = free_memory(), resident()
    if free is None:
        return classifier
    # What the process holds is not free, and its to keep.
    most = held + free // 2
    if unbounded_within(most, classifier, clean, held=held, fit=fit):
        return classifier
    return_buffers()
    capacity = capacity_within(most, classifier, clean, held=held, fit=fit)
    say(
        f"half of the free memory, {free / 2e6:,.0f} MB, bounds what is computed at a time; "
        "--memory SIZE allows more"
    )
    return classifier.limited(capacity)


@dataclass(frozen=True)
class BudgetOptions:
    """What a command may cost."""

    max_seconds: Annotated[
        float | None,
        typer.Option(
            help="End after so long; then no verdict is 'clean', and no repair is made. The same "
            "command with more goes on.",
            min=0.0,
            metavar="SECONDS",
            rich_help_panel=RUN_PANEL,
        ),
    ] = None
    max_passes: Annotated[
        int | None,
        typer.Option(
            help="The same after so many images went forward and backward.",
            min=1,
            metavar="NUMBER",
            rich_help_panel=RUN_PANEL,
        ),
    ] = None

    @property
    def budget(self) -> Budget:
        from undoor.inversion.meter import Budget

        return Budget(passes=self.max_passes, seconds=self.max_seconds)


def go_on(
    journal: Journal | None,
    classifier: Classifier,
    clean: CleanSet,
    options: Mapping[str, Any],
) -> None:
    """Say what becomes of an earlier run in the folder.

    Forget one of another model, of other images or of another version, of which no step applies.

    Parameters
    ----------
    options
        Of the command; steps that do not depend on those that differ are still used.
    """
    if journal is None:
        return
    from importlib.metadata import version

    import torch

    from undoor.device import array, described, fast_bfloat16
    from undoor.journal import digest

    now = {
        "version of undoor": version("undoor"),
        "version of torch": torch.__version__,
        "number of threads": torch.get_num_threads(),
        "device": described(classifier.device),
        "arithmetic": "bfloat16" if fast_bfloat16(classifier.device) else "float32",
        "model": classifier.fingerprint(),
        "images": digest(array(clean.images), array(clean.labels)),
        "options": json.loads(json.dumps(dict(options), default=str)),
    }
    file = journal.folder / RUN_FILE
    before = _read(file)
    differs = [name for name in now if before.get(name) != now[name]]
    if not journal.empty:
        earlier, steps = f"the earlier run in {journal.folder.parent}", journal.steps
        if not differs:
            kept = "1 step of it is" if steps == 1 else f"{steps} steps of it are"
            say(f"going on with {earlier}: {kept} kept")
        elif differs == ["options"]:
            say(f"{earlier} had other options; steps that do not depend on them are used")
        else:
            not_same = f"did not have the same {differs[0]}" if before else "left no description"
            say(f"{earlier} {not_same}; beginning anew")
            journal.clear()
    write_json(file, now)


def size(text: str) -> int:
    """Bytes, of a text such as 2GB, 1.5GiB or 800MB.

    >>> size("2GB"), size("1.5 GiB")
    (2000000000, 1610612736)
    """
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise UsageError(f"--memory: expected a size such as 2GB or 800MB, got {text!r}") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
