"""Whether a search computes in bfloat16, and the variable that forbids it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from helpers.tiny import clean_images, toy_classifier
from undoor.device import CPU, FLOAT32, fast_bfloat16
from undoor.inversion.chunks import attack

ROOT = Path(__file__).parents[2]


@pytest.fixture
def capable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that multiplies bfloat16."""
    monkeypatch.delenv(FLOAT32, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)


@pytest.mark.parametrize(
    ("value", "fast"), [("", True), ("0", True), ("1", False), ("yes", False), ("00", False)]
)
@pytest.mark.usefixtures("capable")
def test_the_variable_forbids_bfloat16(
    value: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fast_bfloat16(CPU)
    monkeypatch.setenv(FLOAT32, value)
    assert fast_bfloat16(CPU) == fast


@pytest.mark.usefixtures("capable")
def test_a_cpu_that_cannot_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where torch cannot say, it is not tried."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert not fast_bfloat16(CPU)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert not fast_bfloat16(CPU)


def test_subprocesses_compute_in_float32_as_well() -> None:
    code = (
        "import torch; torch.cpu._is_avx512_bf16_supported = lambda: True; "
        "from undoor.device import CPU, fast_bfloat16; print(fast_bfloat16(CPU))"
    )

    def answer(**variables: str) -> str:
        environment = {k: v for k, v in os.environ.items() if k != FLOAT32} | variables
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert answer() == "True"
    assert answer(**{FLOAT32: "1"}) == "False"


@pytest.mark.usefixtures("capable")
def test_float32_is_what_the_search_computes_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last digits that bfloat16 drops are there."""
    classifier, clean = toy_classifier(backdoored=True), clean_images()
    x, away = clean.images[None], torch.zeros(1, dtype=torch.bool)
    labels = torch.full((1, len(clean)), 4)
    exact = torch.nn.functional.cross_entropy(classifier(clean.images), labels[0])
    rounded, _ = attack(classifier, x, labels, away)
    assert abs(float(rounded[0] - exact)) > 1e-4
    monkeypatch.setenv(FLOAT32, "1")
    entropy, _ = attack(classifier, x, labels, away)
    assert float(entropy[0]) == pytest.approx(float(exact), abs=1e-5)


def _autocasts() -> Iterator[tuple[str, str]]:
    """Every use of autocast in the sources and scripts, as written: the file and the call."""
    for folder in ("src", "scripts", "bench"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("autocast"):
                    yield str(file.relative_to(ROOT)), ast.unparse(node)


def test_nothing_else_decides_the_arithmetic() -> None:
    # Asking a network in another precision is no choice of one.
    found = [use for use in _autocasts() if use[0] != "src/undoor/scrutiny/asking.py"]
    assert len(found) >= 8
    asked = "torch.autocast('cpu', torch.bfloat16, enabled=fast_bfloat16(CPU))"
    assert [use for use in found if use[1] != asked] == []
