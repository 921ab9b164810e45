"""How runs resume after they ended early, and how much time and memory they may take."""

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
# Bytes that a run aims at on the CPU, unless --memory says otherwise or a model takes more.
USUAL_MEMORY = 3_000_000_000
# Of what is free on a GPU, unless --memory says otherwise.
SHARE_OF_FREE = 0.9


Memory = Annotated[
    str | None,
    typer.Option(
        help="Aim at this much resident memory, such as 2GB; with --device cuda, of the GPU. "
        "Slower where it is little. Default: 3GB where that suffices, and half of what is free at "
        "most; of a GPU nine tenths.",
        metavar="SIZE",
        rich_help_panel=RUN_PANEL,
    ),
]


Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Start over, whatever an earlier run left in --out.",
        rich_help_panel=RUN_PANEL,
    ),
]


@dataclass(frozen=True)
class RunOptions:
    """The memory of a run, and whether it resumes an earlier one."""

    memory: Memory = None
    fresh: Fresh = False
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            help="Print what the command will take (passes, seconds, memory) and do none of it.",
            rich_help_panel=RUN_PANEL,
        ),
    ] = False

    def folder(self, out: Path | None) -> Path | None:
        """Return the folder that the run writes to; None if it only estimates."""
        return None if self.estimate else out

    def bounded(self, classifier: Classifier, clean: CleanSet, *, fit: bool = False) -> Classifier:
        """Return the classifier, limited to as many inputs at a time as the memory allows.

        Parameters
        ----------
        fit
            Whether corrections will be fitted, too.
        """
        from undoor.device import free_memory

        free = free_memory(classifier.device)
        if self.memory is None and free is None:
            return _within_usual(classifier, clean, fit=fit)
        from undoor.inversion.capacity import capacity_within

        limit, held = self._of_cpu() if free is None else self._of_gpu(classifier, clean, free)
        try:
            capacity = capacity_within(limit, classifier, clean, held=held, fit=fit)
        except UndoorError as error:
            if self.memory is None:
                raise
            raise UsageError(str(error)) from None
        return classifier.limited(capacity)

    def _of_cpu(self) -> tuple[int, int]:
        """Return the bytes of memory to stay within, and those that are held already."""
        from undoor.cli.memory import resident, return_buffers

        assert self.memory is not None
        return_buffers()
        return size(self.memory), resident()

    def _of_gpu(self, classifier: Classifier, clean: CleanSet, free: int) -> tuple[int, int]:
        """Return the same for the memory of a GPU, which is still to take the clean images."""
        from undoor.device import held_memory

        held = held_memory(classifier.device)
        limit = held + int(SHARE_OF_FREE * free)
        limit = limit if self.memory is None else min(size(self.memory), held + free)
        return limit, held + clean.images.nbytes


def _within_usual(classifier: Classifier, clean: CleanSet, *, fit: bool) -> Classifier:
    """Return the classifier, limited only where the usual memory is too little.

    That is 3 GB, or as many more as the model takes, and half of what is available at most.
    Nothing is limited where the system does not report its memory.

    Raises
    ------
    UndoorError
        Half is too little for one input at a time.
    """
    from undoor.cli.available_memory import available_memory
    from undoor.cli.memory import resident, return_buffers
    from undoor.inversion.capacity import capacity_within, unbounded_within

    available, held = available_memory(), resident()
    if available is None:
        return classifier
    # What the process already holds is not counted as available.
    half = held + available // 2
    limit = min(half, max(held, USUAL_MEMORY))
    if unbounded_within(limit, classifier, clean, held=held, fit=fit):
        return classifier
    return_buffers()
    capacity = None
    while capacity is None:
        try:
            capacity = capacity_within(limit, classifier, clean, held=held, fit=fit)
        except UndoorError:
            if limit >= half:
                raise
            limit = min(half, limit + USUAL_MEMORY // 3)
    say(
        f"{limit / 1e6:,.0f} MB of memory bound what is computed at a time; --memory SIZE changes "
        "that"
    )
    return classifier.limited(capacity)


@dataclass(frozen=True)
class BudgetOptions:
    """What a command may cost."""

    max_seconds: Annotated[
        float | None,
        typer.Option(
            help="End after this time; then no verdict is 'clean', and no repair is made. The same "
            "command with a larger budget resumes.",
            min=0.0,
            metavar="SECONDS",
            rich_help_panel=RUN_PANEL,
        ),
    ] = None
    max_passes: Annotated[
        int | None,
        typer.Option(
            help="The same after this many sample passes (images that went forward and backward).",
            min=1,
            metavar="NUMBER",
            rich_help_panel=RUN_PANEL,
        ),
    ] = None

    @property
    def budget(self) -> Budget:
        """The budget that the options name."""
        from undoor.inversion.meter import Budget

        return Budget(passes=self.max_passes, seconds=self.max_seconds)


def resume(
    journal: Journal | None,
    classifier: Classifier,
    clean: CleanSet,
    options: Mapping[str, Any],
) -> None:
    """Resume an earlier run in the folder, or forget it, and report which.

    A run on another model, on other images or of another version is forgotten: none of its steps
    applies.

    Parameters
    ----------
    options
        Those of the command; steps that do not depend on changed ones are still used.
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
            finished = "1 finished step is" if steps == 1 else f"{steps} finished steps are"
            say(f"resuming {earlier}: {finished} used again")
        elif differs == ["options"]:
            say(f"{earlier} had other options; steps that do not depend on them are used")
        else:
            not_same = f"did not have the same {differs[0]}" if before else "left no description"
            say(f"{earlier} {not_same}; starting over")
            journal.clear()
    write_json(file, now)


def size(text: str) -> int:
    """Return the bytes that a text such as 2GB, 1.5GiB or 800MB names.

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
