"""Find a backdoor in a trained classifier, close it without retraining, flag inputs that use it.

>>> import undoor
>>> sorted(undoor.__all__)[:4]
['Classifier', 'CleanSet', 'Evaluation', 'Guarded']
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from undoor.adapt import adapt
    from undoor.classifier import Classifier
    from undoor.clean_set import CleanSet
    from undoor.errors import UndoorError
    from undoor.evaluate import Evaluation, evaluate
    from undoor.export import export
    from undoor.guard import Guarded, guard
    from undoor.inspect import inspect
    from undoor.load import load
    from undoor.repair import Repair, repair
    from undoor.resizing import Resizing
    from undoor.scan import ScanReport, scan
    from undoor.triggers import Trigger

# Imported on first use: `undoor --help` and a look at the version need no torch.
_HOMES = {
    "Classifier": "undoor.classifier",
    "CleanSet": "undoor.clean_set",
    "Evaluation": "undoor.evaluate",
    "Guarded": "undoor.guard",
    "Repair": "undoor.repair",
    "Resizing": "undoor.resizing",
    "ScanReport": "undoor.scan",
    "Trigger": "undoor.triggers",
    "UndoorError": "undoor.errors",
    "adapt": "undoor.adapt",
    "evaluate": "undoor.evaluate",
    "export": "undoor.export",
    "guard": "undoor.guard",
    "inspect": "undoor.inspect",
    "load": "undoor.load",
    "repair": "undoor.repair",
    "scan": "undoor.scan",
}

__all__ = [
    "Classifier",
    "CleanSet",
    "Evaluation",
    "Guarded",
    "Repair",
    "Resizing",
    "ScanReport",
    "Trigger",
    "UndoorError",
    "adapt",
    "evaluate",
    "export",
    "guard",
    "inspect",
    "load",
    "repair",
    "scan",
]


class _Package(ModuleType):
    """`undoor.scan` is a function and a package of that name: the function wins.

    The import system sets each imported submodule as an attribute here; the verb is kept instead.
    ``from undoor.scan import ...`` works as ever; ``import undoor.scan.decide as d`` cannot.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOMES.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    # Modules too, as `undoor.repairs` after `import undoor` alone.
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'undoor' has no attribute {name!r}")
