"""What a result depends on changes its digest, and nothing else does."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.fleet_work import data_file, model_folder
from undoor.errors import UndoorError
from undoor.fleet.digests import Digests
from undoor.fleet.job import Job, Value


@pytest.fixture
def job(tmp_path: Path) -> Job:
    data_file(tmp_path)
    model_folder(tmp_path / "a")
    return Job("a", str(tmp_path / "a"), str(tmp_path / "clean.npz"))


def key(job: Job) -> str:
    return Digests().key(job)


@pytest.mark.parametrize("file", ["w.safetensors", "model.toml", "net.py", "../clean.npz"])
def test_every_file_counts(job: Job, file: str) -> None:
    before = key(job)
    path = Path(job.model) / file
    path.write_bytes(path.read_bytes() + b"\n")
    assert key(job) != before


def test_python_beside_the_named_file_counts(job: Job) -> None:
    """It may be imported."""
    before = key(job)
    (Path(job.model) / "layers.py").write_text("x = 1")
    assert key(job) != before


def test_options_count_and_budgets_do_not(job: Job, tmp_path: Path) -> None:
    before = key(job)
    calibration = tmp_path / "own.toml"
    calibration.write_text("a")
    own = replace(job, options={"calibration": str(calibration)})
    keys = {before, key(replace(job, options={"alpha": 0.1})), key(own)}
    calibration.write_text("b")
    keys |= {key(own), key(replace(job, verb="repair")), Digests(threads=2).key(job)}
    assert len(keys) == 6
    without: dict[str, Value] = {"max_passes": 3, "max_seconds": 1.0, "memory": "2GB"}
    assert key(replace(job, options=without)) == before


def test_where_it_lies_and_what_it_is_called_does_not_count(job: Job, tmp_path: Path) -> None:
    before = key(job)
    (tmp_path / "link").symlink_to(job.model)
    Path(job.model).rename(tmp_path / "b")
    assert key(replace(job, name="b", model=str(tmp_path / "b"))) == before
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert key(replace(job, model=str(tmp_path / "link"))) == before


def test_an_architecture_of_the_command_line(job: Job, tmp_path: Path) -> None:
    code = tmp_path / "nets.py"
    code.write_text("def net(): ...")
    weights = f"{job.model}/w.safetensors"
    own = replace(job, model=weights, options={"architecture": f"{code}:net"})
    before = key(own)
    code.write_text("def net(): return 1")
    assert key(own) != before


def test_tensors_beside_a_graph_count(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    folder.mkdir()
    for name in ("m.onnx", "tensors.data", "other.onnx"):
        (folder / name).write_bytes(b"x")
    own = replace(job, model=str(folder / "m.onnx"))
    before = key(own)
    (folder / "other.onnx").write_bytes(b"y")
    assert key(own) == before
    (folder / "tensors.data").write_bytes(b"y")
    assert key(own) != before


def test_folders_of_data(job: Job, tmp_path: Path) -> None:
    data = tmp_path / "images" / "stop"
    data.mkdir(parents=True)
    (data / "a.png").write_bytes(b"a")
    (data / "empty.png").touch()
    os.mkfifo(data / "pipe")
    (tmp_path / "images" / "up").symlink_to(tmp_path / "images")
    own = replace(job, data=str(tmp_path / "images"))
    before = key(own)
    assert key(own) == before
    (data / "a.png").rename(data / "b.png")
    assert key(own) != before


def test_what_was_written_since_is_read_again(job: Job) -> None:
    digests = Digests()
    before = digests.key(job)
    assert digests.key(job) == before
    data = Path(job.data)
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    os.utime(data, ns=(1, 1))
    assert digests.key(job) != before


@pytest.mark.parametrize("missing", ["model", "data"])
def test_missing_files(job: Job, missing: str) -> None:
    model, data = ("/nowhere/x.pt" if missing == name else "" for name in ("model", "data"))
    lacking = replace(job, model=model or job.model, data=data or job.data)
    with pytest.raises(UndoorError, match="no such file"):
        key(lacking)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files(job: Job) -> None:
    Path(job.data).chmod(0)
    with pytest.raises(UndoorError, match="permission denied"):
        key(job)
