"""Guarded models on a cluster of Ray: replicas that are added and removed with the load.

``serve run undoor.deploy.ray_serve:build file=guarded.onnx max_replicas=8``
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from undoor.clean_set.images import MAX_BYTES
from undoor.deploy.exported_model import ExportedModel
from undoor.deploy.prediction import Prediction
from undoor.errors import UndoorError
from undoor.extras import how_to_install

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from ray.serve import Application
    from starlette.requests import Request
    from starlette.responses import JSONResponse

# Inputs that wait for one another, in number and in seconds.
MAX_BATCH = 16
MAX_WAIT = 0.002
# Of requests at a replica: those in work, and those that wait. Beyond them, Ray answers 503.
ONGOING = 2 * MAX_BATCH


class Options(BaseModel):
    """The arguments of `build`.

    Attributes
    ----------
    file
        The exported ONNX file; every node of the cluster can read it.
    name
        Of the deployment.
    min_replicas, max_replicas
        How many replicas there are, at least and at most.
    target_requests
        Requests per replica that Ray aims at: with more, it adds replicas.
    max_waiting
        Requests that may wait; beyond, Ray answers 503.
    threads, cpus
        Of one replica.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    name: str = "guarded"
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=4, ge=1)
    target_requests: float = Field(default=ONGOING / 2, gt=0)
    max_waiting: int = Field(default=8 * ONGOING, ge=0)
    threads: int = Field(default=1, ge=1)
    cpus: float = Field(default=1, gt=0)


class Replica:
    """One copy of a guarded model, behind HTTP and for other deployments.

    Parameters
    ----------
    file, threads
        As of `ExportedModel`.
    """

    def __init__(self, file: str, threads: int) -> None:
        self._model = ExportedModel(file, threads=threads)

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer POST with the bytes of an image file as its body by the prediction, as JSON.

        What cannot be read is answered with 400, a body that is too large with 413.
        """
        from starlette.responses import JSONResponse

        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                message = f"expected an image of at most {MAX_BYTES // 2**20} MiB"
                return JSONResponse({"error": message}, 413)
        try:
            return JSONResponse((await self.predict(bytes(body))).to_json())
        except UndoorError as error:
            return JSONResponse({"error": str(error)}, 400)

    async def predict(self, given: bytes | NDArray[Any]) -> Prediction:
        """Return the prediction of one input, as `ExportedModel.prepare` takes it.

        For other deployments, which call it through a handle.

        Raises
        ------
        UndoorError
            It cannot be read, or does not fit the model.
        """
        prepared = await asyncio.to_thread(self._model.prepare, given)
        return await self._run(prepared)

    async def _run(self, prepared: NDArray[Any]) -> Prediction:
        (prediction,) = await self._run_all([prepared])
        return prediction

    async def _run_all(self, prepared: list[NDArray[Any]]) -> list[Prediction]:
        return await asyncio.to_thread(self._model.run, prepared)


def build(options: Options) -> Application:
    """Return the application, for ``serve run`` or `ray.serve.run`.

    Raises
    ------
    UndoorError
        Ray is missing, the file is no guarded model, or there would be fewer replicas at most than
        at least.
    """
    try:
        from ray import serve
    except ImportError:
        raise UndoorError(
            f"guarded models on Ray take the library ray[serve]; {how_to_install('ray')}"
        ) from None

    class Batching(Replica):
        """A replica that puts the inputs of several requests through together."""

        @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=MAX_WAIT)
        async def _run(self, prepared: list[NDArray[Any]]) -> list[Prediction]:
            return await self._run_all(prepared)

    ExportedModel(options.file)
    if options.max_replicas < options.min_replicas:
        raise UndoorError(
            f"expected max_replicas of at least min_replicas ({options.min_replicas}), got "
            f"{options.max_replicas}"
        )
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
    )(Batching)
    return deployed.bind(str(options.file.resolve()), options.threads)
