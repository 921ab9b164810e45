"""Data sets that Hugging Face `datasets` 5.2 wrote: tests/data/hf_saved with save_to_disk (train,
six images of values 0 to 5 in two shards; test, four of 100 to 103), tests/data/hf_hub with
to_parquet (the same test split). Labels are row % 3 of dog, cat, owl."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from helpers.pictures import encoded
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, read_clean_set
from undoor.errors import UndoorError

Make = Callable[..., Classifier]
DATA = Path(__file__).parents[1] / "data"


def values(clean: CleanSet) -> list[int]:
    return (clean.images[:, 0, 0, 0] * 255).round().int().tolist()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "hf_saved", tmp_path / "saved"))


def test_save_to_disk() -> None:
    clean = read_clean_set(DATA / "hf_saved", split="train")
    assert values(clean) == [0, 1, 2, 3, 4, 5]
    assert clean.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert clean.class_names == ("dog", "cat", "owl")
    assert values(read_clean_set(DATA / "hf_saved" / "test")) == [100, 101, 102, 103]


def test_drawn_across_shards() -> None:
    whole = read_clean_set(DATA / "hf_saved", split="train")
    for seed in range(4):
        drawn = read_clean_set(DATA / "hf_saved", split="train", per_class=1, seed=seed)
        assert torch.equal(drawn.images, whole.balanced(1, seed).images)
        assert torch.equal(drawn.labels, whole.balanced(1, seed).labels)


@pytest.mark.parametrize(("folder", "split"), [("hf_saved", "test"), ("hf_hub", "test")])
def test_by_name_whatever_the_order(folder: str, split: str, make_classifier: Make) -> None:
    classifier = make_classifier(class_names=["owl", "dog", "cat"])
    clean = read_clean_set(DATA / folder, split=split, classifier=classifier)
    assert clean.labels.tolist() == [1, 2, 0, 1]
    other = make_classifier(class_names=["fowl", "dog", "cat"])
    with pytest.raises(UndoorError, match=r"not the model's: 'owl' \(nearest: 'fowl'\)"):
        read_clean_set(DATA / folder, split=split, classifier=other)
    unnamed = read_clean_set(DATA / folder, split=split, classifier=make_classifier())
    assert unnamed.labels.tolist() == [0, 1, 2, 0]
    assert "0 dog, 1 cat, 2 owl" in unnamed.reading.notes[0]


def test_splits(saved: Path) -> None:
    with pytest.raises(UndoorError, match=r"holds the splits train, test; choose with --split"):
        read_clean_set(saved)
    with pytest.raises(UndoorError, match=r"has no split 'dev'; its splits are: train, test"):
        read_clean_set(saved, split="dev")
    with pytest.raises(UndoorError, match=r"one data set without splits"):
        read_clean_set(saved / "train", split="train")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("dataset_dict.json", "{", r"dataset_dict.json cannot be read"),
        ("dataset_dict.json", '{"splits": ["../train"]}', r"names no splits"),
        ("train/state.json", "[]", r"holds no JSON object"),
        ("train/state.json", '{"_data_files": [{"filename": "../test/x.arrow"}]}', r"its own fold"),
        ("train/state.json", '{"_data_files": ["a"]}', r"names no files in its own folder"),
        ("train/state.json", '{"_data_files": [{"filename": "x.arrow"}]}', r"x.arrow is not a rea"),
        ("train/state.json", '{"_indices_data_files": [{}]}', r"a selection of rows as old ver"),
        ("train/data-00001-of-00002.arrow", "noise", r"data-00001-of-00002.arrow is not a readab"),
    ],
)
def test_damaged(saved: Path, file: str, content: str, message: str) -> None:
    (saved / file).write_text(content)
    with pytest.raises(UndoorError, match=message):
        read_clean_set(saved, split="train")


def test_every_truncation_and_flipped_byte_is_an_error_or_harmless(saved: Path) -> None:
    file = saved / "test" / "data-00000-of-00001.arrow"
    whole = file.read_bytes()
    for at in range(0, len(whole), 17):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            file.write_bytes(data)
            try:
                assert len(read_clean_set(saved, split="test")) <= 4
            except UndoorError:
                continue


def write(folder: Path, columns: dict[str, Any], state: dict[str, Any] | None = None) -> Path:
    folder.mkdir()
    table = pa.table(columns)
    with (
        pa.OSFile(str(folder / "a.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "a.arrow"}]}))
    return folder


def test_images_that_are_not_embedded(tmp_path: Path) -> None:
    cells = [{"bytes": encoded(9), "path": None}, {"bytes": None, "path": "/etc/passwd"}]
    clean = read_clean_set(write(tmp_path / "d", {"image": cells, "label": ["a", "b"]}))
    assert values(clean) == [9]
    assert clean.reading.lost == {"missing": 1}
    assert "lies in another file" in clean.skipped[0]


def test_labels_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"\(column 'label'\) are double; expected whole"):
        read_clean_set(write(tmp_path / "d", {"image": [encoded()], "label": [0.5]}))


def test_without_pyarrow(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UndoorError, match=r"save_to_disk needs pyarrow; .* '\.\[parquet\]'"):
        read_clean_set(saved, split="train")


def test_shards_that_disagree(saved: Path, tmp_path: Path) -> None:
    """Silently taken for one, they would be labelled wrongly."""
    other = write(tmp_path / "d", {"image": [encoded()], "label": [0]})
    shutil.copy(other / "a.arrow", saved / "train" / "data-00001-of-00002.arrow")
    with pytest.raises(UndoorError, match=r"declare different class names"):
        read_clean_set(saved, split="train")


# As the hub has them


@pytest.mark.parametrize(
    "names",
    [
        ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
        ["data/train-00000-of-00001-a09b74b3ef9c3b56.parquet"],
        ["train.parquet"],
        ["train/0000.parquet", "train/0001.parquet"],
        ["default/train/0000.parquet"],
    ],
)
def test_parquet_folders(tmp_path: Path, names: list[str]) -> None:
    stored = DATA / "hf_hub" / "data" / "test-00000-of-00001.parquet"
    for name in [*names, *(name.replace("train", "test") for name in names[:1])]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stored, tmp_path / name)
    clean = read_clean_set(tmp_path, split="train")
    assert values(clean) == [100, 101, 102, 103] * len(names)
    assert len(read_clean_set(tmp_path, split="test")) == 4
    with pytest.raises(UndoorError, match=r"holds the splits test, train; choose with --split"):
        read_clean_set(tmp_path)
    with pytest.raises(UndoorError, match=r"has no split 'dev'; its splits are: test, train"):
        read_clean_set(tmp_path, split="dev")


def test_several_data_sets_in_one_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(DATA / "hf_hub" / "data", tmp_path / name)
    with pytest.raises(UndoorError, match=r"holds several data sets \(.*one, .*two\); give one"):
        read_clean_set(tmp_path)
    assert len(read_clean_set(tmp_path / "one")) == 4
