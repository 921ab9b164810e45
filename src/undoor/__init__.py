"""Find a backdoor in a trained classifier, close it without retraining, flag inputs that use it.

>>> import undoor
>>> sorted(undoor.__all__)[:4]
['Budget', 'Calibration', 'Classifier', 'CleanSet']
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspect import Signature

    from undoor.adapt import adapt
    from undoor.calibrate import calibrate
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet
    from undoor.errors import UndoorError
    from undoor.evaluate import Evaluation, evaluate
    from undoor.export import export
    from undoor.families.calibration import Calibration
    from undoor.guard import Guarded, guard
    from undoor.inspect import inspect
    from undoor.journal import Journal
    from undoor.load import load
    from undoor.load.estimators import from_estimator
    from undoor.progress import Progress
    from undoor.repair import Repair, repair
    from undoor.resizing import Resizing
    from undoor.scan import Budget, Finding, ScanReport, Thresholds, Verdict, scan
    from undoor.triggers import Trigger

# Imported on first use: `undoor --help` and a look at the version need no torch.
_HOMES = {
    "Budget": "undoor.scan",
    "Calibration": "undoor.families.calibration",
    "Classifier": "undoor.classifier",
    "CleanSet": "undoor.clean_set",
    "Evaluation": "undoor.evaluate",
    "Finding": "undoor.scan",
    "Guarded": "undoor.guard",
    "Journal": "undoor.journal",
    "Progress": "undoor.progress",
    "Repair": "undoor.repair",
    "Resizing": "undoor.resizing",
    "ScanReport": "undoor.scan",
    "Thresholds": "undoor.scan",
    "Trigger": "undoor.triggers",
    "UndoorError": "undoor.errors",
    "Verdict": "undoor.scan",
    "adapt": "undoor.adapt",
    "calibrate": "undoor.calibrate",
    "evaluate": "undoor.evaluate",
    "export": "undoor.export",
    "from_estimator": "undoor.load.estimators",
    "guard": "undoor.guard",
    "inspect": "undoor.inspect",
    "load": "undoor.load",
    "repair": "undoor.repair",
    "scan": "undoor.scan",
}

__all__ = [
    "Budget",
    "Calibration",
    "Classifier",
    "CleanSet",
    "Evaluation",
    "Finding",
    "Guarded",
    "Journal",
    "Progress",
    "Repair",
    "Resizing",
    "ScanReport",
    "Thresholds",
    "Trigger",
    "UndoorError",
    "Verdict",
    "adapt",
    "calibrate",
    "evaluate",
    "export",
    "from_estimator",
    "guard",
    "inspect",
    "load",
    "repair",
    "scan",
]


class _Room(ModuleType):
    """A module of this package that imports its submodules on first use.

    So `undoor.render.reports` works after ``import undoor`` alone.
    """

    def __getattr__(self, name: str) -> Any:
        # Python and its tools look up private names in any module.
        if not name.startswith("_") and hasattr(self, "__path__"):
            from importlib.util import find_spec  # Costs more than the rest of this file.

            whole = f"{self.__name__}.{name}"
            if find_spec(whole):
                return import_module(whole)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system sets each imported submodule as an attribute here.
        if isinstance(value, ModuleType) and value.__name__ == f"{self.__name__}.{name}":
            value.__class__ = _Verb if _HOMES.get(name) == value.__name__ else _Room
        super().__setattr__(name, value)


class _Verb(_Room):
    """A module named for what its main function does: called, it is that function.

    So `undoor.scan(...)` and ``import undoor.scan.decide as d`` both work.
    """

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._function(*args, **options)

    @property
    def __signature__(self) -> Signature:
        from inspect import signature

        return signature(self._function)

    @property
    def _function(self) -> Callable[..., Any]:
        verb: Callable[..., Any] = vars(self)[self.__name__.rpartition(".")[2]]
        return verb

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        # Functions can be pickled, as for processes that work side by side.
        return import_module, (self.__name__,)


class _Package(_Room):
    def __dir__(self) -> list[str]:
        return sorted({*(name for name in vars(self) if name.startswith("__")), *__all__})

    def __getattr__(self, name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            return super().__getattr__(name)
        module = import_module(home)
        return module if home == f"{self.__name__}.{name}" else getattr(module, name)


sys.modules[__name__].__class__ = _Package
