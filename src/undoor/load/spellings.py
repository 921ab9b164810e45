"""The keys of a state dict without the parts that wrappers add to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from undoor.errors import UndoorError
from undoor.load.state_dicts import AVERAGE, StateDict

# DataParallel, torch.compile, FSDP and activation checkpointing put these anywhere in a key.
WRAPPED = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
# What training modules call their network, beside losses and metrics.
PREFIXES = ("module.", "model.", "net.", "network.", "backbone.")
COUNTER = "num_batches_tracked"


class AmbiguousError(UndoorError):
    """Several sets of weights fit, and which of them the model uses is not known."""


def respelt(state: StateDict, expected: Mapping[str, Tensor], source: str) -> StateDict:
    """Return the tensors of a state dict by the names that a network expects, where found.

    Parameters
    ----------
    state
        As a checkpoint has it.
    expected
        The state dict of the network.
    source
        What does not fit what, for messages.

    Raises
    ------
    AmbiguousError
        A part of the keys fits, and another part fits as well or is its moving average, or the part
        has a prefix that no known wrapper adds.
    """
    wanted = {_bare(key): key for key in expected}
    if len(wanted) < len(expected):
        # The network itself has such names.
        wanted = {key: key for key in expected}
    needed = [key for key in wanted if not key.endswith(COUNTER)]
    for plain in _readings(state, wanted):
        part = _network_part(plain, wanted, needed, source)
        if part is not None:
            return {wanted.get(key, key): value for key, value in part.items()}
    plain = next(iter(_readings(state, wanted)))
    counts = _prefixes(plain, wanted)
    prefix = max(counts, key=lambda start: (counts[start], not start), default="")
    if not _is_known(prefix) and not all(key.startswith(prefix) for key in plain):
        prefix = ""
    part = {key.removeprefix(prefix): v for key, v in plain.items() if key.startswith(prefix)}
    return {wanted.get(key, key): value for key, value in part.items()}


def _readings(state: StateDict, wanted: Mapping[str, str]) -> Iterator[StateDict]:
    """Yield readings of the keys: without wrappers, those of a "module" alone, and as they are."""
    # "n_averaged" counts the models of a moving average.
    counted = {key: v for key, v in state.items() if key != "n_averaged" or key in wanted}
    yield _without_wrappers(counted)
    held = {key: value for key, value in counted.items() if key.startswith("module.")}
    if held and len(held) < len(counted):
        yield _without_wrappers(held)
    yield counted


def _network_part(
    plain: StateDict, wanted: Mapping[str, str], needed: list[str], source: str
) -> StateDict | None:
    """Return the part of a state dict that is all of the network; None where there is none."""
    if plain.keys() <= wanted.keys() and all(key in plain for key in needed):
        return plain
    whole = [p for p in _prefixes(plain, wanted) if all(f"{p}{key}" in plain for key in needed)]
    if len(whole) > 1:
        names = ", ".join(prefix.rstrip(".") or "no prefix" for prefix in whole)
        example = next(prefix for prefix in whole if prefix).rstrip(".")
        raise AmbiguousError(
            f"{source} as it stands: several networks in it fit, by the prefixes of their "
            f"keys ({names}); choose the one that the model uses, as by --weights-key {example}"
        )
    if not whole or not whole[0]:
        return None
    prefix = whole[0]
    beside = [key for key in plain if not key.startswith(prefix)]
    _require_complete(prefix, beside, len(needed), source)
    return {k.removeprefix(prefix): v for k, v in plain.items() if k.startswith(prefix)}


def _require_complete(prefix: str, beside: list[str], needed: int, source: str) -> None:
    """Refuse to leave out keys that may be the network's own weights in another state."""
    averages = [key for key in beside if any(AVERAGE.fullmatch(p) for p in key.split(".")[:-1])]
    if 4 * len(averages) >= needed:
        first = averages[0]
        raise AmbiguousError(
            f"{source} as it stands: it holds weights ({prefix.rstrip('.')}) and what seems a "
            f"moving average of them ({first} and {len(averages) - 1} more keys); choose the "
            f"one that the model uses, as by --weights-key {prefix.rstrip('.')}"
        )
    if not _is_known(prefix):
        more = f", and {len(beside)} others do not ({', '.join(beside[:3])})" if beside else ""
        raise AmbiguousError(
            f"{source} as it stands: its keys begin with {prefix}{more}; if the rest of "
            f"each key belongs to the model, give --weights-key {prefix.rstrip('.')}"
        )


def _is_known(prefix: str) -> bool:
    return all(f"{part}." in PREFIXES for part in prefix.split(".")[:-1])


def _bare(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in WRAPPED)


def _without_wrappers(state: StateDict) -> StateDict:
    plain = {_bare(key): value for key, value in state.items()}
    # Two keys that become one were different tensors.
    return plain if len(plain) == len(state) else dict(state)


def _prefixes(names: Iterable[str], wanted: Iterable[str]) -> Counter[str]:
    """Count the names that are wanted ones after each prefix, which is "" or ends in a dot."""
    expected = frozenset(wanted)
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in expected:
                counts[".".join(parts[:start]) + "." if start else ""] += 1
    return counts
