"""Refuse files and folders that are given as the model by mistake, and name where they belong."""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import islice
from pathlib import Path

from undoor.errors import UndoorError
from undoor.files import walk
from undoor.load.formats import sniff
from undoor.load.mistaken import read_text, text_in_place
from undoor.load.safetensors_header import require_safe_header

MODEL = (
    "a model.toml, a folder with one or of Transformers or timm, a checkpoint, or a .pt2, ONNX or "
    "TorchScript file"
)
# As undoor.repairs.file names the tensors of a repair.
REPAIR = "repair/"
AS_DATA = "if these are clean images, give them as --data"
PLACES = {
    "picture": "give it to `undoor check`, or a folder of class folders of such pictures as --data",
    "Parquet": AS_DATA,
    "NumPy array": f"{AS_DATA} in an .npz; of weights, give the state dict",
    **dict.fromkeys(
        ("tar", "7z", "rar", "gzip", "bzip2", "xz", "zstd"), "unpack it, and give the file inside"
    ),
}
CONFIG_KEYS = frozenset({"model_type", "architectures", "architecture", "id2label"})
MAX_JSON = 2**22
# Files of a folder that are examined; enough to know what it holds.
MAX_LOOKED_AT = 200


def refuse_other_kinds(path: Path) -> None:
    """Refuse code and settings given as a model, which no reader would recognise as such.

    Raises
    ------
    UndoorError
        The file is code or settings; the message names what to give instead.
    """
    suffix = path.suffix.lower()
    if suffix not in (".py", ".json") or not text_in_place(path):
        return
    if suffix == ".py":
        raise UndoorError(
            f"{path} is Python code, not a model; expected {MODEL}: give the checkpoint, and this "
            f"file as its architecture, --architecture {path}:CALLABLE"
        )
    raise UndoorError(f"{path} is {_kind_of_json(path)}")


def refuse_format(path: Path, kind: str) -> None:
    """Refuse a file of a format that holds no model.

    Parameters
    ----------
    path
        Of the file.
    kind
        Its format, as `undoor.load.formats.sniff` returns it.

    Raises
    ------
    UndoorError
        Always; the message names what to give instead.
    """
    what = f"a {kind}" if kind in ("picture", "PDF") else f"of the format {kind}"
    old = ", as torch wrote it before 2017" if kind == "tar" else ""
    place = f": {PLACES[kind]}" if kind in PLACES else ""
    raise UndoorError(
        f"{path} is {what}{old}, not a model; expected safetensors, a checkpoint written by "
        f"torch.save(model.state_dict(), file), or a .pt2, ONNX or TorchScript file{place}"
    )


def refuse_repair(path: Path, tensors: Collection[str]) -> None:
    """Refuse a repair given as a model, by the names of its tensors."""
    if tensors and all(name.startswith(REPAIR) for name in tensors):
        raise UndoorError(
            f"{path} is a repair, which holds corrections and no model; give the original weights "
            "as the model, and this file as --repair or to undoor.Repair.load"
        )


def refuse_repair_file(path: Path) -> None:
    """Refuse a repair given as a model, as `refuse_repair`, by the header of the file."""
    if path.is_file() and sniff(path) == "safetensors":
        refuse_repair(path, require_safe_header(path).keys())


def refuse_folder(folder: Path) -> None:
    """Refuse a folder of a repair, or of pictures, given as that of a model.

    Raises
    ------
    UndoorError
        The folder is one of these; the message names what to give instead.
    """
    try:
        files, some = _repairs_perhaps(folder), _some_files(folder)
    except OSError:
        # A folder that cannot be listed is reported where it is opened.
        return
    if any(_is_repair(file) for file in files):
        raise UndoorError(
            f"{folder} is the folder of a repair, not of a model; expected {MODEL}: give the "
            f"model that it repairs, and this folder as --repair {folder}"
        )
    if _are_pictures(some):
        raise UndoorError(
            f"{folder} is a folder of pictures, not of a model; expected {MODEL}: give the "
            "model, and these pictures as --data, or to `undoor check`"
        )


def _repairs_perhaps(folder: Path) -> list[Path]:
    files = (file for file in folder.iterdir() if file.suffix == ".safetensors")
    return list(islice(files, MAX_LOOKED_AT))


def _some_files(folder: Path) -> list[Path]:
    inside = (Path(root, name) for root, _, names in walk(folder) for name in names)
    visible = (file for file in inside if not file.name.startswith("."))
    return list(islice(visible, MAX_LOOKED_AT))


def _is_repair(file: Path) -> bool:
    try:
        refuse_repair_file(file)
    except UndoorError as error:
        return "is a repair" in str(error)
    return False


def _are_pictures(files: list[Path]) -> bool:
    try:
        kinds = [sniff(file) for file in files]
    except UndoorError:
        return False
    return bool(kinds) and 2 * kinds.count("picture") > len(kinds)


def _kind_of_json(path: Path) -> str:
    content = None
    if path.stat().st_size <= MAX_JSON:
        try:
            content = json.loads(read_text(path))
        except (ValueError, RecursionError):
            return f"no readable JSON, and not a model; expected {MODEL}"
    keys = content if isinstance(content, dict) else {}
    schema = keys.get("schema")
    if isinstance(schema, str) and schema.startswith("undoor/"):
        return f"a result of undoor ({schema[:40]}), not a model; expected {MODEL}"
    if CONFIG_KEYS & keys.keys():
        return (
            f"the configuration of a model, not the model itself; expected {MODEL}: give its "
            f"folder, {path.parent}, with the weights in it"
        )
    return (
        f"a JSON file ({text_in_place(path)}), not a model; expected {MODEL}: where it came in the "
        "place of a download, download it again"
    )
