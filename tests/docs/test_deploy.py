"""docs/deploy.md, as somebody would copy it; the container's files."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from helpers.exported_files import exported, pictures
from undoor.deploy import ExportedModel, Prediction
from undoor.serve.ray_serve import Options

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
RECIPES = ROOT / "recipes"


def block(section: str, number: int = 0) -> str:
    part = TEXT.split(f"## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", part, re.DOTALL)[number]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the page names."""
    shutil.copyfile(exported().file, tmp_path / "guarded.onnx")
    shutil.copyfile(exported(with_preprocessing=True).file, tmp_path / "pixels.onnx")
    Image.fromarray(pictures()[-4]).save(tmp_path / "sign.png")
    return tmp_path


def expected(folder: Path) -> Prediction:
    (prediction,) = ExportedModel(folder / "guarded.onnx").predict([folder / "sign.png"])
    return prediction


def run(code: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_in_a_python_program(folder: Path) -> None:
    wanted = expected(folder)
    told = run(block("In a Python program"), folder).split()
    assert told[:3] == [str(wanted.label), wanted.class_name, str(wanted.flagged)]


def test_onnx_runtime_alone(folder: Path) -> None:
    wanted = expected(folder)
    code = block("ONNX Runtime alone")
    assert len(code.splitlines()) <= 17
    assert "undoor." not in code
    name, flagged, score = run(code, folder).split()
    assert (name, flagged) == (wanted.class_name, str(wanted.flagged))
    assert float(score) == pytest.approx(wanted.score, abs=1e-4)


def test_pixels_alone(folder: Path) -> None:
    wanted = expected(folder)
    code = block("ONNX Runtime alone", 1) + "\nprint(logits.argmax(1)[0], flagged[0], score[0])"
    label, flagged, score = run(code, folder).split()
    assert (label, flagged) == (str(wanted.label), str(wanted.flagged))
    assert float(score) == pytest.approx(wanted.score, abs=1e-4)


def test_mlflow(folder: Path) -> None:
    store = f"sqlite:///{folder / 'mlflow.db'}"
    told = run(block("MLflow"), folder, MLFLOW_TRACKING_URI=store)
    wanted = expected(folder)
    assert [str(wanted.label), wanted.class_name, str(wanted.flagged)] == told.split()[-5:-2]
    assert not list(folder.rglob("*.pkl"))
    assert len(list(folder.rglob("mlflow_code.py"))) == 1


@pytest.mark.slow
def test_ray_serve(folder: Path) -> None:
    """A cluster on this machine, which takes half a minute to start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"""
import ray, urllib.request, urllib.error
ray.init(address="local", num_cpus=2, include_dashboard=False)
from ray import serve
serve.start(http_options={{"host": "127.0.0.1", "port": {port}}})
{block("Ray Serve").replace("8000", str(port))}
serve.shutdown()
ray.shutdown()
"""
    told = run(
        code, folder, RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0",
        RAY_raylet_start_wait_time_s="60",
    )  # fmt: skip
    # Ray prints the logs of its processes beside it.
    (answer,) = (line for line in told.splitlines() if line.startswith('{"model"'))
    (result,) = json.loads(answer)["results"]
    wanted = expected(folder)
    assert (result["label"], result["flagged"]) == (wanted.label, wanted.flagged)


def test_numbers_of_ray() -> None:
    options = Options(file=Path("a"))
    text = " ".join(TEXT.split())
    assert f"`target_requests` ({options.target_requests:g})" in text
    assert f"`max_waiting` requests ({options.max_waiting})" in text


def test_dockerfile() -> None:
    tool = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [tool, RECIPES / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (RECIPES / "Dockerfile").read_text(), re.M)
    sources = [name for line in copied for name in line.split()]
    assert sources[0] == "."
    assert all((ROOT / name).exists() for name in sources)
    sent = (ROOT / ".dockerignore").read_text().split()[1:]
    assert all((ROOT / name.removeprefix("!")).exists() for name in sent)
    assert {"!src", "!constraints.txt", "!recipes"} <= set(sent)


def test_requirements_of_the_container() -> None:
    """All of undoor's own but these, and nothing that is not pinned."""
    lines = (RECIPES / "requirements.txt").read_text().splitlines()
    named = {line for line in lines if not line.startswith("#")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = {re.split(r"[<>=;\[ ]", item)[0] for item in project["dependencies"]}
    assert own - named == {"torch", "scipy", "safetensors", "matplotlib"}
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert named <= {name.lower().replace("_", "-") for name in pinned}
