"""Refusals of MLflow's recipe; tests/docs/test_deploy.py logs and loads."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from helpers.exported_files import exported
from undoor.deploy.mlflow_model import CODE, PACKAGES, log_model
from undoor.errors import UndoorError

ROOT = Path(__file__).parents[2]


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", None)
    with pytest.raises(UndoorError, match=r"library mlflow; .*pip install '\.\[mlflow\]'"):
        log_model(exported().file)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="no such file"):
        log_model(tmp_path / "a.onnx")


def test_code_is_a_file_of_the_package() -> None:
    assert CODE.is_file()
    assert "set_model" in CODE.read_text()


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_installed_and_declared(package: str) -> None:
    assert version(package)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    items = [*project["dependencies"], *extras["deploy"], *extras["mlflow"]]
    assert package in {re.split(r"[<>=;\[ ]", item)[0] for item in items}
