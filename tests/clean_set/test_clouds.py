"""Files of points in folders, as a model of points takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import read_clean_set
from undoor.clean_set.inputs import read_images
from undoor.errors import UndoorError
from undoor.point_networks import PointNet
from undoor.spaces.points import POINTS

COUNT = 16
POINT = "property float x\nproperty float y\nproperty float z\n"


def seer(channels: int = 3) -> Classifier:
    return Classifier(
        PointNet(2, channels),
        input_shape=(COUNT, channels),
        bounds=(-1, 1),
        class_names=("no", "yes"),
        space=POINTS.name,
    )


def drawn(seed: int, count: int = COUNT, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, channels)).astype(np.float32)


def ply(kind: str, values: np.ndarray, properties: str = POINT, more: str = "") -> bytes:
    header = f"ply\nformat {kind} 1.0\nelement vertex {len(values)}\n{properties}{more}end_header\n"
    if kind == "ascii":
        return header.encode() + "\n".join(" ".join(map(str, row)) for row in values).encode()
    end = "<" if "little" in kind else ">"
    return header.encode() + values.astype(f"{end}f4").tobytes()


def in_order(x: torch.Tensor) -> np.ndarray:
    rows = x.numpy()
    return rows[np.lexsort(rows.T[::-1])]


def same_points(found: torch.Tensor, values: np.ndarray) -> None:
    np.testing.assert_allclose(in_order(found), in_order(torch.from_numpy(values)), atol=1e-6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label, name in enumerate(("no", "yes")):
        (tmp_path / name).mkdir()
        for index in range(3):
            np.savetxt(tmp_path / name / f"{index}.xyz", drawn(10 * label + index))
    return tmp_path


def test_a_folder_of_text_files(folder: Path) -> None:
    clean = read_clean_set(folder, classifier=seer())
    assert clean.images.shape == (6, COUNT, 3)
    assert clean.labels.tolist() == [0, 0, 0, 1, 1, 1]
    same_points(clean.images[4], drawn(11))


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_every_kind_of_ply_means_the_same(folder: Path, kind: str) -> None:
    more = "element face 0\nproperty list uchar int vertex_indices\n"
    (folder / "no" / "0.ply").write_bytes(ply(kind, drawn(3), more=more))
    x, names, _ = read_images([folder / "no" / "0.ply"], seer())
    assert names == [str(folder / "no" / "0.ply")]
    same_points(x[0], drawn(3))


def test_places_come_first_and_other_properties_in_their_order(folder: Path) -> None:
    properties = "property float velocity\n" + POINT + "property float intensity\n"
    values = drawn(4, channels=5)
    (folder / "no" / "0.ply").write_bytes(ply("ascii", values, properties))
    x, _, _ = read_images([folder / "no" / "0.ply"], seer(5))
    same_points(x[0], values[:, [1, 2, 3, 0, 4]])


@pytest.mark.parametrize("count", [5, 40])
def test_as_many_points_as_the_model_takes(folder: Path, count: int) -> None:
    np.savetxt(folder / "no" / "0.xyz", drawn(5, count), delimiter=",")
    first, second = (read_clean_set(folder, classifier=seer()) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert first.reading.changed["number of points"] == 1
    known = {tuple(row) for row in drawn(5, count).round(5)}
    assert {tuple(row) for row in first.images[0].numpy().round(5)} <= known
    assert len(first.images[0].unique(dim=0)) == min(count, COUNT)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"plain text", "no header of PLY"),
        (ply("ascii", drawn(0)).replace(b"float z", b"float w"), "vertices without x, y and z"),
        (ply("binary_little_endian", drawn(0))[:-9], f"fewer than {COUNT} vertices of 3 numbers"),
        (ply("ascii", drawn(0)).replace(b"ascii", b"zipped"), "the format zipped of PLY"),
        (ply("ascii", drawn(0)).replace(b"float x", b"list uchar int x"), "vertices with lists"),
        (ply("ascii", drawn(0) * np.nan), "not finite"),
        (ply("ascii", drawn(0)[:0]), "no points in it"),
        (ply("ascii", drawn(0)[:, :2], POINT), f"fewer than {COUNT} vertices of 3 numbers"),
    ],
)
def test_files_that_cannot_be_used_are_named(folder: Path, content: bytes, reason: str) -> None:
    for index in range(3, 9):
        np.savetxt(folder / "no" / f"{index}.xyz", drawn(index))
    (folder / "no" / "x.ply").write_bytes(content)
    clean = read_clean_set(folder, classifier=seer())
    assert sum(clean.reading.lost.values()) == 1
    assert reason in clean.skipped[0]


def test_too_few_numbers_and_values_beyond_the_bounds(folder: Path) -> None:
    with pytest.raises(UndoorError, match="3 numbers per point, the model takes 4"):
        read_clean_set(folder, classifier=seer(4))
    np.savetxt(folder / "no" / "0.xyz", 3 * drawn(0))
    with pytest.raises(UndoorError, match="the model's bounds are -1 to 1"):
        read_clean_set(folder, classifier=seer())


def test_data_of_another_space_are_named(folder: Path, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    painter = Classifier(network, input_shape=(3, 8, 8), class_names=("no", "yes"))
    with pytest.raises(UndoorError, match=r"looks like point clouds \(a .xyz file\), the model"):
        read_clean_set(folder, classifier=painter)
    np.savez(tmp_path / "d.npz", points=np.zeros((4, 40, 3)), labels=np.arange(4) % 2)
    with pytest.raises(UndoorError, match=r"looks like point clouds .* takes images of 3 × 8 × 8"):
        read_clean_set(tmp_path / "d.npz", classifier=painter)
    np.savez(tmp_path / "e.npz", x=np.zeros((4, 8, 8, 3), np.uint8), y=np.arange(4) % 2)
    with pytest.raises(UndoorError, match=r"looks like images .* give a folder .* \.ply or \.xyz"):
        read_clean_set(tmp_path / "e.npz", classifier=seer())


def test_a_folder_without_a_readable_set_says_nothing_of_images(folder: Path) -> None:
    for file in folder.rglob("*.xyz"):
        file.write_text("1 2\n")
    with pytest.raises(UndoorError, match=r"holds no readable file \(6 left out, the first: ") as e:
        read_clean_set(folder, classifier=seer())
    assert "image" not in str(e.value)
    assert "2 numbers per point" in str(e.value)
