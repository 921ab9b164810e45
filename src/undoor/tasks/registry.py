"""The registry of tasks: those of undoor, and those that installed packages add."""

from __future__ import annotations

from functools import cache

from undoor.extensions import by_name, require_named
from undoor.tasks.multi_label import MULTI_LABEL
from undoor.tasks.regression import REGRESSION
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.tasks.task import Task
from undoor.vocabulary import TASK_GROUP

REGISTRY: tuple[Task, ...] = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)


def task_named(name: str) -> Task:
    """Return the task with this name.

    It is one of `REGISTRY`, or one that a package adds through an entry point of the group
    ``undoor.tasks``, which names an instance of a subclass of `undoor.tasks.task.Task`.

    Raises
    ------
    UndoorError
        There is no such task; or an entry point cannot be loaded, is no task, or its name is taken.
    """
    return require_named(_by_name(), name, "a task")


def find_task(name: str) -> Task | None:
    """Return the task with this name; None where it is not installed."""
    return _by_name().get(name)


@cache
def _by_name() -> dict[str, Task]:
    return by_name(TASK_GROUP, Task, REGISTRY, "tasks")  # type: ignore[type-abstract]
