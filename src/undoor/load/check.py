"""Check whether a file is safe to open, from its bytes, which are read and never run."""

from __future__ import annotations

import mmap
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from undoor.errors import UndoorError
from undoor.load.archives import open_screened
from undoor.load.checkpoints import screen_checkpoint
from undoor.load.foreign import is_foreign
from undoor.load.formats import Format, sniff
from undoor.load.mistaken import refuse_mistaken, text_in_place
from undoor.load.not_a_model import AS_DATA, refuse_format, refuse_other_kinds
from undoor.load.onnx_file import screen_onnx
from undoor.load.pickles import Breach, Screening, is_safe, screen_stream
from undoor.load.pt2_archive import is_pt2, screen_pt2
from undoor.load.regular import open_regular
from undoor.load.safetensors_header import require_safe_header
from undoor.load.torch_script import is_script, screen_script

SHOWN = 4
MODULE = re.compile(r"torch\.nn\.modules\.|torch\.nn\.parallel\.")
CHECKPOINT, PT2, ONNX = "torch checkpoint", "torch.export archive", "ONNX"
SCRIPT, XGBOOST = "TorchScript archive", "XGBoost"
# Formats that hold a network as well as its weights.
GRAPHS = (PT2, ONNX, SCRIPT, XGBOOST)
# What files of these names should be, as messages call it.
PROMISED = {".onnx": "ONNX file", ".pt2": "torch.export archive"}
WEIGHTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".onnx", ".pt2", ".tar", ".pkl")
# Libraries whose estimators people pickle, and what to do instead.
ESTIMATORS = re.compile(r"(sklearn|xgboost|lightgbm|catboost|joblib)\b")
CONVERT = (
    "convert it where it was made: model.save_model('model.json') of XGBoost, or "
    "skl2onnx.to_onnx(model, x[:1]) of scikit-learn, saved as .onnx"
)
WAY_OUT = "re-save the state dict as safetensors on a machine you trust"


@dataclass(frozen=True)
class FileSafety:
    """The format of a file, and what keeps it from being opened.

    Attributes
    ----------
    format
        By its content, as "torch checkpoint"; see `undoor.load.formats`.
    globals
        Every name that its pickles import, with the opcode that does so first.
    breaches
        What keeps it from being opened; empty where it may be opened.
    """

    format: str
    globals: tuple[tuple[str, str], ...] = ()
    breaches: tuple[Breach, ...] = ()

    @property
    def whole_module(self) -> bool:
        """Whether it is a pickled `nn.Module`, which `trust_pickle` would open."""
        return any(MODULE.match(name) for name, _ in self.globals)

    @property
    def inert(self) -> bool:
        """Whether it cannot be read, and yet nothing in it would run."""
        return bool(self.breaches) and all(breach.inert for breach in self.breaches)

    @property
    def unsafe(self) -> list[str]:
        """The names that are not part of a state dict, those outside of torch first."""
        names = {breach.name for breach in self.breaches if breach.name}
        return sorted(names, key=lambda name: (name.startswith("torch."), name))


def examine(path: Path) -> FileSafety:
    """Return the format of a file of weights, and what keeps it from being opened.

    Nothing of it is run.

    Raises
    ------
    UndoorError
        It is no ordinary file, is damaged, or is of a format that holds no state dict.
    """
    kind = _kind(path)
    if kind == XGBOOST:  # Numbers alone, which the reader checks.
        return FileSafety(kind)
    if kind == "safetensors":
        require_safe_header(path)
        return FileSafety(kind)
    if kind == "zip":
        return _examine_zip(path)
    if kind == ONNX:
        return FileSafety(kind, breaches=screen_onnx(path))
    if kind == "polyglot":
        raise UndoorError(
            f"{path} is a zip archive behind other data, which programs read as different files; "
            f"expected one checkpoint: {WAY_OUT}"
        )
    if kind != "pickle":
        refuse_format(path, kind)
    found = Screening()
    with open_regular(path) as stream, _mapped(stream.fileno(), path) as mapped:
        screen_stream(mapped, len(mapped), found)  # type: ignore[arg-type]
    return _safety("pickle", found, path)


def _kind(path: Path) -> Format:
    """Return the format of a file that may be a model."""
    if (found := sniff(path)) == XGBOOST:  # JSON, which is otherwise no model.
        return found
    refuse_mistaken(path)
    refuse_other_kinds(path)
    return found


def brings_network(path: Path) -> bool:
    """Return whether a file holds a network as well as its weights, without screening it.

    Raises
    ------
    UndoorError
        It is no ordinary file, or an archive that readers could take differently.
    """
    kind = _kind(path)
    if kind != "zip":
        return kind in (ONNX, XGBOOST)
    with open_screened(path) as archive:
        names = _files_in(archive)
    return is_pt2(names) or is_script(names)


def require_safe(path: Path) -> FileSafety:
    """Refuse a torch checkpoint of anything beyond tensors, containers and values that run nothing.

    Returns
    -------
    FileSafety
        Of a checkpoint that may be opened.

    Raises
    ------
    UndoorError
        Names the offending globals and the way out; or the file is damaged.
    """
    safety = examine(path)
    refuse_unsafe(path, safety)
    if safety.format in GRAPHS:
        raise UndoorError(
            f"{path} is of the format {safety.format}, not a checkpoint; expected a state dict: "
            "save model.state_dict() as safetensors"
        )
    return safety


def refuse_unsafe(path: Path, safety: FileSafety) -> None:
    """Refuse a file that was examined, as `require_safe` does."""
    if not safety.breaches:
        return
    unsafe = safety.unsafe
    shown = ", ".join(unsafe[:SHOWN])
    more = f" and {len(unsafe) - SHOWN} more" if len(unsafe) > SHOWN else ""
    if any(MODULE.match(name) for name in unsafe):
        raise UndoorError(
            f"{path} holds a whole pickled module, which runs code when it is opened ({shown}"
            f"{more}); expected a state dict: save model.state_dict() as safetensors on a machine "
            f"you trust{_trusting(unsafe)}"
        )
    if any(ESTIMATORS.match(name) for name in unsafe):
        raise UndoorError(
            f"{path} is a pickled estimator, which runs code when it is opened ({shown}{more}); "
            f"{CONVERT}"
        )
    if unsafe:
        would = "would" if any(is_foreign(name) for name in unsafe) else "may"
        raise UndoorError(
            f"{path} {would} run code when it is opened: it names {shown}{more}; expected tensors "
            f"and plain settings alone: {WAY_OUT}"
        )
    if safety.inert:
        raise UndoorError(f"{path} {unreadable(safety)}")
    first = next(breach for breach in safety.breaches if not breach.inert)
    where = f" (in {first.member})" if first.member else ""
    what = "graph of tensors" if safety.format in GRAPHS else "state dict"
    raise UndoorError(f"{path} is no plain {what}: {first.why}{where}; {WAY_OUT}")


def unreadable(safety: FileSafety) -> str:
    """Return why a file that runs nothing cannot be read, and how to convert it."""
    opcodes = ", ".join(breach.opcode for breach in safety.breaches[:SHOWN])
    more = ", ..." if len(safety.breaches) > SHOWN else ""
    again = "torch.load" if safety.format == CHECKPOINT else "pickle.load or torch.load"
    return (
        f"is not readable as plain weights: its pickle is of another protocol than the 2 that "
        f"torch.save writes ({opcodes}{more}), which torch.load(weights_only=True) does not take; "
        f"nothing in it would run. Convert it where it was made: open it ({again}), and save the "
        "state dict with torch.save(state_dict, file), without pickle_protocol, or as safetensors"
    )


def _trusting(unsafe: list[str]) -> str:
    """Return the advice on trusting the file, as far as it applies."""
    foreign = [name for name in unsafe if is_foreign(name)]
    if foreign:
        return f"; it also names {foreign[0]}, which --trust-pickle refuses"
    return ", or, if you trust this file, give --trust-pickle (trust_pickle=True)"


def unsafe_globals(path: Path) -> list[str]:
    """Return the names in a checkpoint's pickles that are not part of a state dict.

    Those outside of torch come first.
    """
    return examine(path).unsafe


def _mapped(handle: int, path: Path) -> mmap.mmap:
    # Reading beyond the end takes no memory, whatever length a string declares.
    try:
        return mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise UndoorError(f"{path} cannot be read ({error}); check the disk") from error


def _safety(kind: str, found: Screening, path: Path) -> FileSafety:
    """Return what was found; damage is an error unless other breaches were found before it."""
    # What was not followed to its end might run something there.
    if found.damage and all(breach.inert for breach in found.breaches):
        text = text_in_place(path) if kind == "pickle" else ""
        raise UndoorError(f"{path} is {_unreadable(path, text, found.damage)}")
    return FileSafety(kind, tuple(found.globals.items()), tuple(found.breaches))


def _unreadable(path: Path, text: str, damage: str) -> str:
    """Return what a file is instead of a model, by what its name promises, and what to do.

    Parameters
    ----------
    text
        How it begins, if it is a text.
    damage
        Why it is no checkpoint.
    """
    promised = PROMISED.get(path.suffix.lower())
    if text and promised:
        return f"a text ({text}), no {promised}; download or export it again"
    if text:
        return (
            f"a text ({text}), not a model; expected safetensors or a torch checkpoint: download "
            "or save it again"
        )
    if promised:
        return f"no {promised}, nor a readable torch checkpoint ({damage}); copy or export it again"
    return (
        f"neither a safetensors file nor a readable torch checkpoint ({damage}); it may be "
        "truncated: copy it again"
    )


def _examine_zip(path: Path) -> FileSafety:
    with open_screened(path) as archive:
        names = _files_in(archive)
        found = Screening()
        if is_pt2(names):
            screen_pt2(archive, path, found)
            return _safety(PT2, found, path)
        if is_script(names):
            screen_script(archive, path, found)
            return _safety(SCRIPT, found, path)
        _require_checkpoint(path, names)
        screen_checkpoint(archive, path, found)
    return _safety(CHECKPOINT, found, path)


def _files_in(archive: zipfile.ZipFile) -> list[str]:
    return [name for name in archive.namelist() if not name.endswith("/")]


def _require_checkpoint(path: Path, names: list[str]) -> None:
    if {"config.json", "model.weights.h5"} & set(names) or "metadata.json" in names:
        raise UndoorError(
            f"{path} is a Keras archive, which may hold code (lambda layers); expected a state "
            "dict of PyTorch"
        )
    if names and all(name.endswith(".npy") for name in names):
        raise UndoorError(
            f"{path} is an archive of NumPy arrays (.npz), not a checkpoint; expected a state dict "
            f"written by torch.save or as safetensors; {AS_DATA}"
        )
    if not any(name.rpartition("/")[2] == "data.pkl" for name in names):
        inside = next((name for name in names if name.lower().endswith(WEIGHTS)), None)
        if inside is not None:
            raise UndoorError(
                f"{path} is a zip archive that holds {inside[:80]!r}; expected the checkpoint "
                "itself: unpack it, and give that file"
            )
        raise UndoorError(
            f"{path} is a zip archive without data.pkl, not a checkpoint; "
            "expected a file written by torch.save(model.state_dict(), file)"
        )


__all__ = [
    "FileSafety",
    "examine",
    "is_safe",
    "refuse_unsafe",
    "require_safe",
    "unreadable",
    "unsafe_globals",
]
