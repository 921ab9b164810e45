"""Data sets of Hugging Face on disk, written here as `save_to_disk` does."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pictures import encoded

from undoor.clean_set import CleanSet, read_clean_set
from undoor.errors import UndoorError

NAMES = ["owl", "cat"]


def save(folder: Path, values: list[int], labels: list[int], *, files: int = 2) -> Path:
    """One split, its rows over several files."""
    folder.mkdir(parents=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    names = [f"data-{k:05d}-of-{files:05d}.arrow" for k in range(files)]
    for index, name in enumerate(names):
        cells = [{"bytes": encoded(v), "path": None} for v in values[index::files]]
        table = pa.table({"image": pa.array(cells, kind), "label": labels[index::files]})
        with (folder / name).open("wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    stored = [{"filename": name} for name in names]
    (folder / "state.json").write_text(json.dumps({"_data_files": stored, "_split": "train"}))
    features = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def test_read(tmp_path: Path) -> None:
    clean = read_clean_set(save(tmp_path / "d", [1, 2, 3], [0, 1, 1]))
    assert clean.class_names == ("owl", "cat")
    values = (clean.images[:, 0, 0, 0] * 255).round().int().tolist()
    assert dict(zip(values, clean.labels.tolist(), strict=True)) == {1: 0, 2: 1, 3: 1}


def test_splits(tmp_path: Path) -> None:
    save(tmp_path / "train", [1, 2], [0, 1])
    save(tmp_path / "test", [5, 6], [0, 1])
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    clean = CleanSet.from_arrow(tmp_path, split="test")
    assert (clean.images[:, 0, 0, 0] * 255).round().tolist() == [5, 6]
    with pytest.raises(UndoorError, match="holds the splits train, test; choose with --split"):
        read_clean_set(tmp_path)
    with pytest.raises(UndoorError, match="no split 'dev'"):
        read_clean_set(tmp_path, split="dev")


def test_numbered_by_name_not_by_order(tmp_path: Path, make_classifier) -> None:  # type: ignore[no-untyped-def]
    classifier = make_classifier(class_names=["cat", "dog", "owl"])
    folder = save(tmp_path / "d", [1, 2], [0, 1])
    clean = read_clean_set(folder, classifier=classifier, require_all_classes=False)
    assert clean.labels.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"_data_files": [{"filename": "../../etc/passwd"}]}, "names no data files in this folder"),
        ({"_data_files": []}, "names no data files"),
        ({"_data_files": [{"filename": "gone.arrow"}]}, "gone.arrow is not a readable Arrow file"),
        ({"_data_files": [{"filename": "x"}], "_indices_data_files": [{}]}, "flatten_indices"),
        ([], "holds no JSON object"),
    ],
)
def test_refused(tmp_path: Path, state: object, message: str) -> None:
    folder = save(tmp_path / "d", [1], [0])
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(UndoorError, match=message):
        read_clean_set(folder)


def test_damaged(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", [1, 2], [0, 1], files=1)
    file = next(folder.glob("*.arrow"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UndoorError, match="not a readable Arrow file"):
        read_clean_set(folder)
