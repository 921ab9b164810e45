"""The service on a cluster of Ray: replicas that are added and removed with the load.

``serve run undoor.serve.ray_serve:build file=guarded.onnx max_replicas=8``
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from undoor.errors import UndoorError
from undoor.extras import how_to_install
from undoor.serve.app import application
from undoor.serve.gate import Gate
from undoor.serve.limits import Limits
from undoor.serve.onnx_engine import OnnxEngine, sha256_of
from undoor.serve.served_model import warmed_up
from undoor.serve.settings import Settings

if TYPE_CHECKING:
    from ray.serve import Application

# Of requests at a replica: those in work, and those that wait. Beyond them, Ray answers 503.
ONGOING = 2 * Limits().batch


class Options(BaseModel):
    """The arguments of `build`.

    Attributes
    ----------
    file
        The exported ONNX file; every node of the cluster can read it.
    name
        Of the deployment, and of the model in paths.
    min_replicas, max_replicas
        How many replicas there are, at least and at most.
    target_requests
        Requests per replica that Ray aims at: with more, it adds replicas.
    max_waiting
        Requests that may wait; beyond, Ray answers 503.
    threads, cpus
        Of one replica.
    database
        Of counts, alarms and flagged inputs, by a URL that every node can reach. Without one, each
        replica counts for itself, and forgets it at its end.
    keep_flagged
        How many flagged inputs the database keeps, the newest.
    tokens
        A file of bearer tokens, which every node can read; None asks for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    name: str = Field(default="guarded", pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=4, ge=1)
    target_requests: float = Field(default=ONGOING / 2, gt=0)
    max_waiting: int = Field(default=8 * ONGOING, ge=0)
    threads: int = Field(default=1, ge=1)
    cpus: float = Field(default=1, gt=0)
    database: str | None = None
    keep_flagged: int = Field(default=0, ge=0)
    tokens: Path | None = None


def replica(options: Options, sha256: str) -> Gate:
    """Return the application of one replica: that of `undoor serve`.

    Parameters
    ----------
    sha256
        That the file must have.

    Raises
    ------
    UndoorError
        The file, the database or the tokens cannot be used.
    """
    engine = OnnxEngine(options.file, name=options.name, sha256=sha256, threads=options.threads)
    settings = Settings(
        options.database or _forgotten(), keep=options.keep_flagged, tokens=options.tokens
    )
    return application(warmed_up(engine), settings)


def build(options: Options) -> Application:
    """Return the application, for ``serve run`` or `ray.serve.run`.

    Raises
    ------
    UndoorError
        Ray is missing, the file is no guarded model, there would be fewer replicas at most than at
        least, or flagged inputs are to be kept without a database.
    """
    try:
        from ray import serve
    except ImportError:
        raise UndoorError(
            f"guarded models on Ray take the library ray[serve]; {how_to_install('ray')}"
        ) from None
    if options.max_replicas < options.min_replicas:
        raise UndoorError(
            f"expected max_replicas of at least min_replicas ({options.min_replicas}), got "
            f"{options.max_replicas}"
        )
    if options.keep_flagged and options.database is None:
        raise UndoorError(
            "expected a database for the flagged inputs to keep, got none; give the URL of one "
            "that every node can reach, such as postgresql://USER@HOST/NAME"
        )
    options = options.model_copy(update={"file": options.file.resolve()})
    sha256 = sha256_of(options.file)
    OnnxEngine(options.file, name=options.name, sha256=sha256)

    # Ray calls it in each replica; it takes functions alone, no partial ones.
    def app() -> Gate:
        return replica(options, sha256)

    deployed = serve.deployment(
        name=options.name,
        max_ongoing_requests=ONGOING,
        max_queued_requests=options.max_waiting,
        ray_actor_options={"num_cpus": options.cpus},
        autoscaling_config={
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            "target_ongoing_requests": options.target_requests,
        },
    )(serve.ingress(app)())
    return deployed.bind()


def _forgotten() -> str:
    """Return the URL of a database that ends with this process."""
    folder = tempfile.mkdtemp(prefix="undoor-serve-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return f"sqlite:///{folder}/undoor-serve.sqlite"
