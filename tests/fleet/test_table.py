"""Tables of models in CSV and TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

from undoor.errors import UndoorError
from undoor.fleet.table import is_table, read_table


def table(folder: Path, text: str, name: str = "models.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "nets.py").touch()
    text = (
        "name,model,data,per-class,trust_code,architecture\n"
        'a,m/a.pt,clean.npz,20,true,nets.py:net\nb,"/abs/b, c.pt",,,,timm:resnet18\n'
    )
    first, second = read_table(table(tmp_path, text))
    assert first == {
        "name": "a",
        "model": f"{tmp_path}/m/a.pt",
        "data": f"{tmp_path}/clean.npz",
        "per_class": "20",
        "trust_code": True,
        "architecture": f"{tmp_path}/nets.py:net",
    }
    assert second == {"name": "b", "model": "/abs/b, c.pt", "architecture": "timm:resnet18"}


def test_toml(tmp_path: Path) -> None:
    text = (
        "data = 'clean/'\nseed = 3\n[[models]]\nmodel = 'a.pt'\n"
        "[[models]]\nmodel = 'b.pt'\nseed = 4\nforce_target = ['stop', 2]\n"
    )
    first, second = read_table(table(tmp_path, text, "models.toml"))
    assert first == {"data": f"{tmp_path}/clean", "seed": 3, "model": f"{tmp_path}/a.pt"}
    assert second["seed"] == 4
    assert second["force_target"] == ["stop", "2"]


def test_what_is_a_table(tmp_path: Path) -> None:
    assert is_table(table(tmp_path, "model\na.pt\n"))
    assert is_table(table(tmp_path, "[[models]]\nmodel = 'a'", "models.toml"))
    assert not is_table(table(tmp_path, "[model]\nweights = 'w'", "model.toml"))
    assert not is_table(tmp_path)
    assert not is_table(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "", "is an empty file"),
        ("m.csv", "model\n", "has no rows"),
        ("m.csv", "name\na\n", "model 1: expected the path of a model"),
        ("m.csv", "model,model\na,b\n", "columns of different names"),
        ("m.csv", "model,per-class,per_class\na,1,2\n", "per_class once, got it twice"),
        ("m.csv", "model,data\na.pt\n", "line 2: expected 2 cells"),
        ("m.csv", "model\na.pt,b,c\n", "line 2: expected 1 cells"),
        ("m.csv", 'model\n"a.pt\n', "not readable as CSV"),
        ("m.toml", "models = []", "has no rows"),
        ("m.toml", "models = [1]", r"expected tables \[\[models\]\]"),
        ("m.toml", "[[models]]\nmodel = 3", "model 1: expected the path of a model"),
        ("m.toml", "[[models]]\nmodel = 'a'\nseed = {a = 1}", "model 1: seed: expected text"),
        ("m.toml", "[[models]]\nmodel = 'a'\nseed = 2020-01-01", "expected text, a number"),
        ("m.toml", "[[models", "not a readable TOML"),
    ],
)
def test_nonsense(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        read_table(table(tmp_path, text, name))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_bytes(b"model\n\xff\xfe\x00")
    with pytest.raises(UndoorError):
        read_table(file)
