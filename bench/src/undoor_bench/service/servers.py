"""The same service with the guarded and with the bare model, as processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.serve.limits import Limits
from undoor.serve.onnx_engine import OnnxEngine
from undoor.serve.run import Address, LogStream, Worker, serve
from undoor.serve.served_model import Array, Engine, Outputs, ServedModel
from undoor.serve.settings import Settings
from undoor.vocabulary import NO_SCORE

START_SECONDS = 120
INPUT, OUTPUT = "images", "logits"


class BareEngine:
    """The bare model as an ONNX file, which flags nothing."""

    def __init__(self, file: Path, model: ServedModel, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._model = model
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )

    @property
    def model(self) -> ServedModel:
        """The interface of the guarded model."""
        return self._model

    def run(self, x: Array) -> Outputs:
        """Return the logits, no flag and no score of raw inputs [N, ...]."""
        (logits,) = self._session.run([OUTPUT], {INPUT: x})
        return Outputs(logits, np.zeros(len(x), bool), np.full(len(x), NO_SCORE, np.float32))


@dataclass(frozen=True)
class Load:
    """Loads one of the two in a process that serves it; the bare one where `bare` is given."""

    guarded: Path
    bare: Path | None
    threads: int

    def __call__(self) -> Engine:
        """Return the engine."""
        engine = OnnxEngine(self.guarded, name="model", threads=self.threads)
        if self.bare is None:
            return engine
        return BareEngine(self.bare, engine.model, self.threads)


def export_bare(classifier: Classifier, file: Path) -> None:
    """Write the bare model as an ONNX file, from raw inputs to logits."""
    example = classifier.examples(2, torch.Generator().manual_seed(0))
    made = torch.onnx.export(
        classifier.eval(),
        (example,),
        dynamo=True,
        verbose=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
    )
    assert made is not None
    made.save(file)


@dataclass(frozen=True)
class Running:
    """A service in a process of its own, which leads a group."""

    port: int
    process: int

    def memory(self) -> int:
        """Return the bytes of memory that it and its workers hold; 0 where Linux is not."""
        total = 0
        with suppress(OSError):
            for folder in Path("/proc").glob("[0-9]*"):
                with suppress(OSError, ValueError):
                    if os.getpgid(int(folder.name)) == self.process:
                        pages = int((folder / "statm").read_text().split()[1])
                        total += pages * os.sysconf("SC_PAGE_SIZE")
        return total


@contextmanager
def running(load: Load, folder: Path, *, workers: int, keep: int = 0) -> Iterator[Running]:
    """Start a service, wait until it answers, and end it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    name = "bare" if load.bare else "guarded"
    settings = Settings(f"sqlite:///{folder / name}.sqlite", keep=keep, limits=Limits())
    process = context.Process(target=_serve, args=(load, settings, workers, theirs))
    process.start()
    try:
        if not ours.poll(START_SECONDS):
            raise UndoorError("the service did not start; try it with undoor serve")
        port = ours.recv()
        _wait(lambda: _ready(port))
        yield Running(port, process.pid or 0)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, signal.SIGTERM)
        process.join(START_SECONDS)


def _serve(load: Callable[[], Engine], settings: Settings, workers: int, port: Connection) -> None:
    os.setpgid(0, 0)
    # What a service logs about itself is not of interest.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stderr = nowhere
        worker = Worker(load, settings, LogStream(nowhere))
        serve(worker, Address("127.0.0.1", 0), workers, lambda _, found: port.send(found))


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready") as answer:
            found: Any = json.load(answer)
            return bool(found["ready"])
    except (OSError, urllib.error.URLError):
        return False


def _wait(reached: Callable[[], bool]) -> None:
    import time

    deadline = time.monotonic() + START_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise UndoorError("the service does not get ready; try it with undoor serve")
        time.sleep(0.1)
