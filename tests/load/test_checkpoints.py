"""Members that torch.save does not write are no part of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.hostile.archived import checkpoint, zipped
from helpers.hostile.pickled import reduced
from undoor.load.check import examine


@pytest.mark.parametrize("name", ["weights.dat", "data/a", "data/1/2", "extra.json", "code.py"])
def test_strange_members(tmp_path: Path, name: str) -> None:
    file = tmp_path / "w.pt"
    file.write_bytes(zipped([*checkpoint(), (f"archive/{name}", b"x")]))
    (breach,) = examine(file).breaches
    assert "is not written by torch.save" in breach.why
    assert breach.member == f"archive/{name}"


@pytest.mark.parametrize("name", ["x.pkl", "x.P", "x.pickle", "x.bin", "sub/x.joblib"])
def test_pickles_by_other_names_are_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / "w.pt"
    file.write_bytes(zipped([*checkpoint(), (f"archive/{name}", reduced("true"))]))
    assert examine(file).unsafe == ["os.system"]


def test_two_roots(tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    file.write_bytes(zipped([*checkpoint(), ("other/data.pkl", reduced("true"))]))
    assert examine(file).unsafe == ["os.system"]
