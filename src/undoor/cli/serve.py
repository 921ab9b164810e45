"""The command `undoor serve`: the guarded model behind HTTP."""

from __future__ import annotations

import ipaddress
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undoor.cli import pipeline
from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.console import say
from undoor.cli.exit_codes import ExitCode
from undoor.cli.model_options import ModelOptions
from undoor.cli.named_repair import RepairSha256
from undoor.cli.serve_options import KeepOptions, LimitOptions, ListenOptions
from undoor.cli.streams import messages
from undoor.errors import UsageError
from undoor.vocabulary import DEFAULT_POLICY, MODEL_FILE, Policy

if TYPE_CHECKING:
    from undoor.serve.served_model import Engine, ServedModel
    from undoor.serve.settings import Settings

SCHEMA = "undoor/serve/1"
EXPORTED = ".onnx"
# Not prometheus_client: it reads the environment of a worker when it is imported.
LIBRARIES = ("fastapi", "fastapi_offline", "uvicorn", "httptools", "python_multipart", "sqlalchemy")
MAX_NAME = 64

RepairToServe = Annotated[
    Path | None,
    typer.Option(
        "--repair",
        help="The --out folder of `undoor repair`. A file that `undoor export` wrote needs none: "
        "it is served by ONNX Runtime, without torch.",
        metavar="PATH",
    ),
]
PolicyToServe = Annotated[
    Policy | None,
    typer.Option(
        "--policy",
        help="What is predicted for flagged inputs: relabel (the default), reject, flag. An "
        "exported file has its own.",
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        help="Name of the model in the paths of requests. Default: that of its file or folder.",
        metavar="NAME",
    ),
]


@dataclass(frozen=True)
class LoadExported:
    """Loads an exported file in a process that serves it."""

    file: Path
    name: str
    sha256: str
    threads: int

    def __call__(self) -> Engine:
        """Return the engine; refuse a file that has changed."""
        from undoor.serve.onnx_engine import OnnxEngine

        return OnnxEngine(self.file, name=self.name, sha256=self.sha256, threads=self.threads)


@dataclass(frozen=True)
class LoadPair:
    """Loads a model and its repair in a process that serves them."""

    model: ModelOptions
    repair: Path
    repair_sha256: str | None
    name: str
    policy: Policy
    threads: int

    def __call__(self) -> Engine:
        """Return the engine; refuse a model or a repair that has changed."""
        import torch

        from undoor.serve.torch_engine import TorchEngine

        torch.set_num_threads(self.threads)
        classifier = self.model.load()
        repair = pipeline.read_repair(self.repair, classifier, self.repair_sha256)
        return TorchEngine(classifier, repair, name=self.name, policy=self.policy)


@command(
    app,
    examples=[
        "undoor serve model.toml --repair fix/",
        "undoor serve guarded.onnx --workers 2 --host 0.0.0.0 --tokens tokens.txt",
        "undoor serve guarded.onnx --keep-flagged 1000 --database sqlite:///flags.sqlite",
        "undoor serve guarded.onnx --fleet sqlite:///fleet.db",
    ],
    exit_codes="0 the service was told to end, and answered what it had accepted",
)
def serve(
    model: ModelOptions,
    listen: ListenOptions,
    limits: LimitOptions,
    keep: KeepOptions,
    repair: RepairToServe = None,
    repair_sha256: RepairSha256 = None,
    policy: PolicyToServe = None,
    name: Name = None,
) -> CommandResult:
    """Serve the guarded model over HTTP, with a page, metrics and an alarm.

    Open Inference Protocol v2 at /v2, pictures and rows at /classify, Prometheus at /metrics, a
    page at /, the API at /docs.
    """
    for library in LIBRARIES:
        pipeline.require_library(library)
    from undoor.serve.run import Address, LogStream, Worker
    from undoor.serve.run import serve as run

    load, served = _loaded(model, listen, repair, repair_sha256, policy, _name(model.model, name))
    document = _document(served)

    def ready(host: str, port: int) -> None:
        document["address"] = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        say(f"serving {served.name} at {document['address']}")
        if listen.tokens is None and not ipaddress.ip_address(host).is_loopback:
            say("WARNING: whoever reaches this address may use the service; give --tokens FILE")

    with tempfile.TemporaryDirectory(prefix="undoor-serve-") as temporary:
        settings = _settings(listen, limits, keep, Path(temporary))
        worker = Worker(load, settings, LogStream(messages()))
        run(worker, Address(listen.host, listen.port), listen.workers, ready)
    return CommandResult(
        ExitCode.CLEAN, document, lambda console: console.print("the service has ended")
    )


def _settings(
    listen: ListenOptions, limits: LimitOptions, keep: KeepOptions, temporary: Path
) -> Settings:
    from undoor.serve.settings import Settings

    return Settings(
        database=keep.url(temporary),
        keep=keep.keep_flagged,
        limits=limits.limits(),
        tokens=listen.tokens,
        fleet=keep.fleet,
        access_log=keep.access_log,
        traces=keep.traces,
    )


def _loaded(
    model: ModelOptions,
    listen: ListenOptions,
    repair: Path | None,
    repair_sha256: str | None,
    policy: Policy | None,
    name: str,
) -> tuple[Callable[[], Engine], ServedModel]:
    """Return what loads the engine in each worker, and what it serves; it is loaded once here."""
    if listen.threads is not None and listen.threads < 1:
        raise UsageError(f"--threads: expected at least 1, got {listen.threads}")
    threads = listen.threads or max(1, (os.cpu_count() or 1) // max(1, listen.workers))
    if repair is None:
        return _load_exported(model, repair_sha256, policy, name, threads)
    first = LoadPair(model, repair, repair_sha256, name, policy or DEFAULT_POLICY, threads)
    served = first().model
    # A worker that is started later must load the same.
    same = replace(model, model_sha256=served.model_sha256)
    return replace(first, model=same, repair_sha256=served.repair_sha256), served


def _load_exported(
    model: ModelOptions, repair_sha256: str | None, policy: Policy | None, name: str, threads: int
) -> tuple[Callable[[], Engine], ServedModel]:
    from undoor.serve.onnx_engine import sha256_of

    if model.model.suffix.lower() != EXPORTED:
        raise UsageError(
            f"{model.model}: expected --repair with the repair of the model, or an {EXPORTED} file "
            "that `undoor export` wrote, got neither"
        )
    if replace(model, model_sha256=None) != ModelOptions(model=model.model):
        raise UsageError(
            f"{model.model}: an exported file says itself what it takes; leave out the options "
            "that describe a model, its device and trust"
        )
    load = LoadExported(model.model.resolve(), name, sha256_of(model.model), threads)
    served = load().model
    wanted = {
        "--policy": (policy, served.policy),
        "--model-sha256": (model.model_sha256, served.model_sha256),
        "--repair-sha256": (repair_sha256, served.repair_sha256),
    }
    for option, (expected, found) in wanted.items():
        if expected is not None and expected.lower() != found:
            raise UsageError(
                f"{option}: expected {expected}, but the exported file has {found}; export again"
            )
    return load, served


def _name(model: Path, given: str | None) -> str:
    """Return a name that stands in a path as it is."""
    if given is not None:
        if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}", given):
            raise UsageError(
                f"--name: expected up to {MAX_NAME} letters, digits, '.', '_' or '-', got {given!r}"
            )
        return given
    path = model.resolve()
    stem = path.parent.name if path.name == MODEL_FILE else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:MAX_NAME] or "model"


def _document(served: ServedModel) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "model": served.name,
        "platform": served.platform,
        "policy": served.policy,
        "targets": list(served.targets),
        "model_sha256": served.model_sha256,
        "repair_sha256": served.repair_sha256,
        "address": None,
    }
