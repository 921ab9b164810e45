"""Where and how precisely undoor computes: the device of a model, and its arithmetic."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from helpers.tiny import clean_images, toy_classifier
from undoor.device import (
    CPU,
    FLOAT32,
    array,
    available,
    beside,
    chosen,
    device_of,
    fast_bfloat16,
    from_array,
    memory_format,
)
from undoor.errors import UndoorError
from undoor.inversion.chunks import attack


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
        "import os, torch; torch.cpu._is_avx512_bf16_supported = lambda: True; "
        "from undoor.device import CPU, FLOAT32, fast_bfloat16; print(fast_bfloat16(CPU)); "
        "del os.environ[FLOAT32]; print(fast_bfloat16(CPU))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {FLOAT32: "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"]


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


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs of the Ampere generation, as PyTorch describes it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.delenv(FLOAT32, raising=False)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("auto", "cuda:0"),
        ("cuda", "cuda:0"),
        ("cuda:1", "cuda:1"),
        ("cpu", "cpu"),
        ("cpu:0", "cpu"),
    ],
)
def test_a_gpu_is_chosen(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert available() == ("cpu", "cuda:0", "cuda:1")
    assert chosen(name) == torch.device(device)
    assert chosen(torch.device(name) if name != "auto" else name) == torch.device(device)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_all_is_on_the_cpu() -> None:
    assert available() == ("cpu",)
    assert chosen("auto") == CPU


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "gpu", "", "cuda:x", "cpu:1", "meta"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(UndoorError) as refused:
        chosen(name)
    assert "devices of this machine (cpu)" in str(refused.value)
    assert repr(name) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("two_gpus")
def test_the_device_decides_arithmetic_and_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, apple = torch.device("cuda:1"), torch.device("mps")
    assert fast_bfloat16(gpu)
    assert memory_format(gpu) == torch.channels_last
    assert not fast_bfloat16(apple)
    assert memory_format(apple) == torch.contiguous_format
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not fast_bfloat16(gpu)
    assert memory_format(gpu) == torch.contiguous_format
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setenv(FLOAT32, "1")
    assert not fast_bfloat16(gpu)
    assert memory_format(CPU) == torch.channels_last


def test_a_network_on_several_devices_is_refused() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 3, device="meta"))
    with pytest.raises(UndoorError, match=r"0.weight is on cpu, 1.weight is on meta") as refused:
        device_of(network)
    assert "\n" not in str(refused.value)


def test_arrays_come_back_as_they_were() -> None:
    values = torch.rand(3, 4, generator=torch.Generator().manual_seed(0)).T
    assert torch.equal(from_array(array(values)), values)
    assert beside(values, values)[0] is values
