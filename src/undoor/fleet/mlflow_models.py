"""Models of an MLflow registry: fetched to be examined, and tagged with what was found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError, first_line
from undoor.extras import how_to_install
from undoor.fleet.entry import FleetEntry
from undoor.fleet.sources import Found, find_models
from undoor.vocabulary import EXPORT_KEY, EXPORT_OUTPUTS

TAG = "undoor"
READY = "READY"


class MlflowModels:
    """All versions of the models that are registered at a URI.

    Parameters
    ----------
    uri
        Of the registry and of its runs.

    Raises
    ------
    UndoorError
        MLflow is not installed.
    """

    def __init__(self, uri: str) -> None:
        # Nothing is reported to whoever made the library.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            import mlflow
        except ImportError:
            raise UndoorError(
                "--mlflow needs a library that is not installed (mlflow); "
                + how_to_install("mlflow")
            ) from None
        self._mlflow: Any = mlflow
        self._uri = uri
        self._client: Any = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        # By the path of what was fetched.
        self._versions: dict[str, Any] = {}
        # By name@version.
        self._guarded: dict[str, Any] = {}

    def fetched(self, downloads: Path) -> list[Found]:
        """Return every version that is ready, fetched unless it is there already.

        Guarded models that undoor exported are left out.

        Parameters
        ----------
        downloads
            Where the models are put.

        Raises
        ------
        UndoorError
            The registry does not answer, or a version cannot be fetched.
        """
        try:
            listed = self._all(self._client.search_model_versions)
            versions = sorted(listed, key=lambda v: (v.name, int(v.version)))
            out = []
            for version in versions:
                if version.status == READY:
                    path = self._fetch(version, downloads)
                    name = f"{version.name}@{version.version}"
                    if says_guarded(Path(path)):
                        self._guarded[name] = version
                        continue
                    self._versions[path] = version
                    out.append(Found(path, (version.name, name)))
        except (self._mlflow.exceptions.MlflowException, OSError) as error:
            reason = first_line(error)
            raise UndoorError(
                f"--mlflow {self._uri}: the registry cannot be read ({reason}); check the URI, "
                "and that the files of its models are there"
            ) from error
        return out

    @property
    def guarded(self) -> tuple[str, ...]:
        """The versions that say they are guarded models, as name@version."""
        return tuple(self._guarded)

    def tag(self, entries: Sequence[FleetEntry], folder: Path, report: str) -> None:
        """Tag the versions with what was found, and attach the reports to their runs.

        A version that has the same tags already is left as it is.

        Parameters
        ----------
        entries
            Of the fleet; those of other sources are passed over.
        folder
            Of the fleet.
        report
            The name of the report in the folder of a model.

        Raises
        ------
        UndoorError
            The registry does not take them.
        """
        try:
            for version in self._guarded.values():
                self._set(version, {"state": "guarded", "verdict": ""})
            for entry in entries:
                if (version := self._versions.get(entry.model)) is not None:
                    self._tag(version, entry, folder / (entry.folder or "") / report)
        except (self._mlflow.exceptions.MlflowException, OSError) as error:
            reason = first_line(error)
            raise UndoorError(
                f"--mlflow {self._uri}: the registry does not take the verdicts ({reason}); they "
                "are in the folder of the fleet: run it again when it does"
            ) from error

    def _tag(self, version: Any, entry: FleetEntry, report: Path) -> None:
        tags = {
            "state": entry.state,
            "verdict": entry.verdict or "",
            "targets": ", ".join(f"{t.target} {t.class_name}" for t in entry.targets),
            "model_sha256": entry.model_sha256 or "",
            "key": entry.key or "",
        }
        known = self._client.get_model_version(version.name, version.version)
        if _has(known, tags):
            return
        if entry.state == "finished" and known.run_id:
            # One run may have logged several versions.
            place = f"{TAG}/{version.name}-{version.version}"
            self._client.log_artifact(known.run_id, str(report), artifact_path=place)
            tags["report"] = f"runs:/{known.run_id}/{place}/{report.name}"
        elif entry.state == "finished":
            tags["report"] = str(report.resolve())
        self._set(known, tags)

    def _set(self, version: Any, tags: Mapping[str, str]) -> None:
        if _has(version, tags):
            return
        for name, value in tags.items():
            self._client.set_model_version_tag(
                version.name, version.version, f"{TAG}.{name}", value
            )

    def _fetch(self, version: Any, downloads: Path) -> str:
        """Return the path of a version's model, which never changes once it is registered."""
        folder = downloads / "mlflow" / version.name / str(version.version)
        if not folder.is_dir():
            staging = folder.with_name(f".{folder.name}")
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            uri = self._client.get_model_version_download_uri(version.name, version.version)
            self._mlflow.artifacts.download_artifacts(
                artifact_uri=uri, dst_path=str(staging), tracking_uri=self._uri
            )
            staging.rename(folder)
        found = find_models([str(folder)], downloads, may_be_empty=True)
        # Of several, or none that looks like one, the refusal names the reason.
        return found[0].path if len(found) == 1 else str(folder)

    @staticmethod
    def _all(search: Any) -> list[Any]:
        """Return all pages of a search."""
        out: list[Any] = []
        token = None
        while True:
            page = search(page_token=token) if token else search()
            out += page
            token = page.token
            if not token:
                return out


def says_guarded(path: Path) -> bool:
    """Return whether a file says that it is a guarded model which undoor exported as ONNX."""
    if path.suffix != ".onnx":
        return False
    # The extra of MLflow brings it.
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception:
        # What is wrong with it, the scan says.
        return False
    outputs = {item.name for item in model.graph.output}
    return outputs == {*EXPORT_OUTPUTS} and any(
        item.key == EXPORT_KEY for item in model.metadata_props
    )


def _has(version: Any, tags: Mapping[str, str]) -> bool:
    return all(version.tags.get(f"{TAG}.{name}") == value for name, value in tags.items())
