"""Folders as people have them: linked, split, nested, with what systems leave in them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from helpers.pictures import encoded, make_folder, picture
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, read_clean_set, read_images
from undoor.clean_set.folder import Walk
from undoor.errors import UndoorError

NAMES = ["apple", "banana"]


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """Class folders of one image and a link to a folder of three more."""
    real = make_folder(tmp_path / "real", NAMES, each=3)
    data = make_folder(tmp_path / "data", NAMES, each=1)
    for name in NAMES:
        (data / name / "batch").symlink_to(real / name)
    return data


def test_links_to_folders_are_followed_and_counted(linked: Path) -> None:
    clean = read_clean_set(linked)
    assert clean.labels.bincount().tolist() == [4, 4]
    assert any(note.startswith("6 files of") and "links" in note for note in clean.reading.notes)


def test_links_alone(linked: Path) -> None:
    for name in NAMES:
        (linked / name / "0.png").unlink()
    assert read_clean_set(linked).labels.bincount().tolist() == [3, 3]


def test_loops_end(linked: Path) -> None:
    (linked / "apple" / "up").symlink_to(linked)
    (linked / "apple" / "self").symlink_to(linked / "apple" / "self")
    for name in "abcdefgh":
        for other in "abcdefgh":
            (linked / "banana" / name).mkdir(exist_ok=True)
            (linked / "banana" / name / other).symlink_to(linked / "banana" / other)
    clean = read_clean_set(linked)
    # Images of other classes, which lie above, are none of this one.
    assert clean.labels.bincount().tolist() == [4, 4]
    assert any("is read already" in line for line in clean.skipped)
    assert any("around this one" in line for line in clean.skipped)


def test_links_to_nothing_are_images_that_are_lost(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, NAMES, each=6)
    (folder / "apple" / "9.png").symlink_to(folder / "gone.png")
    assert read_clean_set(folder).reading.lost == {"missing": 1}


def test_links_copied_as_text(linked: Path) -> None:
    (linked / "apple" / "batch").unlink()
    (linked / "apple" / "batch").write_text("../../real/apple")
    with pytest.raises(UndoorError, match=r"batch is a link to the folder .* copied as text"):
        read_clean_set(linked)
    (linked / "apple" / "batch").write_text("../../nowhere/apple")
    assert read_clean_set(linked).labels.bincount().tolist() == [1, 4]


def test_the_order_does_not_depend_on_links(linked: Path) -> None:
    files = [str(file.relative_to(linked)) for file in Walk(linked).files()]
    assert files == sorted(files)
    assert len(files) == 8


@pytest.mark.parametrize(
    "names",
    [
        ["train", "val"],
        ["Train", "Test", "valid"],
        ["train", "test", "meta"],
        ["training_set", "test_set"],
        ["train"],
        ["imgs-dev", "imgs-eval"],
    ],
)
def test_splits_are_no_classes(tmp_path: Path, names: list[str], classifier: Classifier) -> None:
    for name in names:
        make_folder(tmp_path / name, NAMES)
    for options in ({}, {"classifier": classifier}):
        with pytest.raises(UndoorError, match=r"look like parts of a data set.*--split"):
            read_clean_set(tmp_path, **options)  # type: ignore[arg-type]
    assert len(read_clean_set(tmp_path, split=names[0])) == 4


def test_splits_are_classes_where_the_model_or_the_user_says_so(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, ["test", "train"])
    assert CleanSet.from_folder(folder, class_names=["train", "test"]).labels.tolist() == [
        1,
        1,
        0,
        0,
    ]
    assert len(read_clean_set(folder, classes=["test", "train"])) == 4


@pytest.mark.parametrize(
    "names", [["car", "train"], ["bus", "car", "train"], ["trainer", "tester"]]
)
def test_trains_are_classes(tmp_path: Path, names: list[str]) -> None:
    assert len(read_clean_set(make_folder(tmp_path, names))) == 2 * len(names)


def test_one_folder_around_the_data(tmp_path: Path) -> None:
    make_folder(tmp_path / "imagenet", NAMES)
    with pytest.raises(UndoorError, match=r"one folder, imagenet, .* give .*imagenet"):
        read_clean_set(tmp_path)
    assert len(read_clean_set(tmp_path / "imagenet")) == 4
    assert len(CleanSet.from_folder(tmp_path, class_names=["imagenet", "other"])) == 4


def test_what_systems_leave(tmp_path: Path, classifier: Classifier) -> None:
    folder = make_folder(tmp_path, NAMES)
    for name in ("__MACOSX", ".thumbnails", "@eaDir", "apple/__MACOSX", "apple/.cache"):
        (folder / name).mkdir()
        picture().save(folder / name / "0.png")
    clean = read_clean_set(folder)
    assert clean.class_names == tuple(NAMES)
    assert len(clean) == 4
    assert clean.skipped == ()
    assert len(read_images([folder], classifier)[1]) == 4


def test_images_in_the_root_are_told(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, NAMES)
    picture().save(folder / "0.png")
    assert read_clean_set(folder).skipped == (f"{folder / '0.png'}: lies in no class folder",)


def shard(path: Path, value: int) -> None:
    with tarfile.open(path, "w") as archive:
        for number in range(2):
            for suffix, data in (("png", encoded(value)), ("cls", b"%d" % number)):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def test_shards_of_several_splits(tmp_path: Path) -> None:
    for name in ("train-000", "train-001", "._train-002"):
        shard(tmp_path / f"{name}.tar", 9)
    assert len(read_clean_set(tmp_path)) == 4
    shard(tmp_path / "val-000.tar", 9)
    with pytest.raises(UndoorError, match=r"shards of several splits \(train, val\)"):
        read_clean_set(tmp_path)
    assert len(read_clean_set(tmp_path / "train-{000..001}.tar")) == 4


def test_hidden_parquet_files(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"image": [encoded(i) for i in range(4)], "label": [0, 1] * 2})
    for name in ("data/test-00000-of-00001.parquet", "__MACOSX/train-00000-of-00001.parquet"):
        (tmp_path / name).parent.mkdir()
        parquet.write_table(table, tmp_path / name)
    (tmp_path / "data" / "._test-00000-of-00001.parquet").write_bytes(b"noise")
    assert len(read_clean_set(tmp_path)) == 4


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "pnm", "pgm", "ppm", "pbm", "JPE"])
def test_all_names_of_the_formats_are_images(tmp_path: Path, suffix: str) -> None:
    folder = make_folder(tmp_path, NAMES)
    kind = "JPEG" if suffix.lower().startswith("j") else "PPM"
    picture().save(folder / NAMES[0] / f"9.{suffix}", kind)
    clean = read_clean_set(folder)
    assert len(clean) == 5
    assert clean.reading.changed == {}


def test_images_of_two_classes_are_told(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, [*NAMES, "cherry"])
    (folder / "cherry" / "more").symlink_to(folder / NAMES[0])
    (folder / "cherry" / "9.png").symlink_to(folder / NAMES[1] / "0.png")
    (folder / "cherry" / "8.png").symlink_to(folder / "cherry" / "0.png")
    notes = " ".join(read_clean_set(folder).reading.notes)
    assert "3 images of" in notes
    assert f"can be read in two classes ({NAMES[0]} and cherry)" in notes
    (folder / "cherry" / "more").unlink()
    assert "1 image of" in " ".join(read_clean_set(folder).reading.notes)
    (folder / "cherry" / "9.png").unlink()
    assert read_clean_set(folder).reading.notes == ()


def test_links_from_outside_into_two_classes_are_told(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", NAMES)
    picture().save(tmp_path / "x.png")
    for name in NAMES:
        (folder / name / "x.png").symlink_to(tmp_path / "x.png")
    assert "1 image of" in " ".join(read_clean_set(folder).reading.notes)


def test_folders_that_repeat_are_told_of_inputs_too(tmp_path: Path, classifier: Classifier) -> None:
    folder = make_folder(tmp_path, NAMES)
    (folder / NAMES[1] / "again").symlink_to(folder / NAMES[0])
    _, names, reading = read_images([folder], classifier)
    assert len(names) == 4
    assert [line.partition(": ")[2] for line in reading.skipped] == [
        "leads to a folder that is read already"
    ]
