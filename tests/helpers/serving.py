"""An engine without a network, and a service around it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvicorn
from starlette.testclient import TestClient

from undoor.contract import Contract
from undoor.preparation import Preparation
from undoor.resizing import Resizing
from undoor.serve.app import application
from undoor.serve.limits import Limits
from undoor.serve.served_model import Array, Engine, Outputs, ServedModel, TargetGuard
from undoor.serve.settings import Settings
from undoor.vocabulary import NO_SCORE, Policy

SHAPE = (1, 4, 4)
NAMES = ("stop", "yield", "go")
TARGET = 1
# The value of the first pixel: the class, and what is special about the input.
CLASS_0, CLASS_1, CLASS_2, TRIGGERED, POISONED = 0.0, 0.1, 0.2, 0.5, 0.9


def served(
    policy: Policy = "relabel", shape: tuple[int, ...] = SHAPE, promised: float = 0.05
) -> ServedModel:
    resizing = Resizing((shape[1], shape[2])) if len(shape) == 3 else None
    return ServedModel(
        name="signs",
        platform="fake",
        preparation=Preparation(Contract(shape, (0.0, 1.0), NAMES), resizing, 1.0, (), ()),
        policy=policy,
        guards=(TargetGuard(TARGET, 1.5, promised),),
        model_sha256="a" * 64,
        repair_sha256="b" * 64,
        triggers={TARGET: b"\x89PNG"},
    )


@dataclass
class FakeEngine:
    """Predicts by the first value; raises where one input of a batch is poisoned."""

    model: ServedModel = field(default_factory=served)
    # Sizes of the batches that it ran.
    batches: list[int] = field(default_factory=list)
    # Cleared: the engine waits, as with a long batch.
    go_on: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    def run(self, x: Array) -> Outputs:
        self.batches.append(len(x))
        self.started.set()
        assert self.go_on.wait(20)
        first = x.reshape(len(x), -1)[:, 0]
        if (first == np.float32(POISONED)).any():
            raise RuntimeError("this input breaks the network")
        triggered = first == np.float32(TRIGGERED)
        logits = np.eye(len(NAMES), dtype=np.float32)[
            np.where(triggered, 2, np.nan_to_num(first * 10).round().clip(0, 2)).astype(int)
        ]
        score = np.where(triggered, 3.0, np.where(logits[:, TARGET] == 1, 0.25, NO_SCORE))
        logits[triggered, TARGET] = NO_SCORE
        return Outputs(logits, triggered, score.astype(np.float32))


def inputs(*first: float, shape: tuple[int, ...] = SHAPE) -> Array:
    """Inputs with these first values, else zero."""
    x = np.zeros((len(first), *shape), np.float32)
    x.reshape(len(x), -1)[:, 0] = first
    return x


@contextmanager
def serving(
    folder: Path,
    engine: Engine | None = None,
    *,
    keep: int = 0,
    limits: Limits | None = None,
    tokens: Path | None = None,
    fleet: str | None = None,
) -> Iterator[TestClient]:
    """A client of a service in this process."""
    settings = Settings(
        database=f"sqlite:///{folder / 'flags.sqlite'}",
        keep=keep,
        limits=limits or Limits(delay=0.0),
        tokens=tokens,
        fleet=fleet,
    )
    app = application(engine or FakeEngine(), settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@contextmanager
def listening(engine: Engine, settings: Settings) -> Iterator[str]:
    """The address of a service in a thread of this process, for a browser."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        app = application(engine, settings)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", ws="none", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while thread.is_alive() and not server.started:
                time.sleep(0.02)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
