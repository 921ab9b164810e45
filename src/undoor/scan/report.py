"""The report of a scan: data that is written and read, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undoor.errors import UndoorError
from undoor.files import why, write_json
from undoor.identity.binding import require_model, warn_of_weights_only
from undoor.identity.model import ModelIdentity, model_to_json
from undoor.kinds import checked
from undoor.scan.circumstances import Circumstances
from undoor.scan.coverage import Coverage
from undoor.scan.reason import Reason
from undoor.scan.schemas import SCHEMA, fields_by_schema, require_readable
from undoor.triggers import Trigger, load_trigger
from undoor.views import Viewed, reason_texts
from undoor.vocabulary import SCAN_FILE, Cause, Verdict, trigger_file

if TYPE_CHECKING:
    from undoor.classifier import Classifier

WAY_OUT = "scan this model again"


@dataclass(frozen=True)
class ClassEvidence:
    """How easily images are moved by one trigger of a family.

    Images of all other classes to `target`, or, in families that go by the source, those of
    `source` to any class.

    Attributes
    ----------
    target
        None where the images go to several classes.
    family
        The name of the trigger family.
    size
        Of the smallest trigger that worked, in the family's unit; None where none worked.
    score
        How many times smaller it is than those of the other classes, and than natural ones; of a
        margin, e to the power of how far it is above those of the other classes. In models of few
        classes than natural ones alone, and of the margin itself.
    p_value
        How often the highest score of a clean model's classes is as high in this family, in [0, 1].
    asr
        Share of held-out clean images of its sources that the trigger moves to `target`, in [0, 1];
        None where it was not measured.
    source
        None for all classes.
    margin
        Where the family looks for the clearest trigger of one size in the place of the smallest:
        how clearly it moves images (`undoor.inversion.margins`).
    """

    target: int | None
    family: str
    size: float | None
    score: float
    p_value: float
    asr: float | None = None
    source: int | None = None
    margin: float | None = None


@dataclass(frozen=True, eq=False)
class Finding:
    """A suspected target class with its re-estimated trigger.

    Fields as in `ClassEvidence`, but the p-value is over all families.

    Attributes
    ----------
    p_interval
        Interval of 90 % of the p-value, which was learned from some tens of models; None in reports
        of versions that did not give one.
    outcome
        As of `undoor.scan.reason.ClassFacts`.
    """

    target: int
    sources: tuple[int, ...]
    family: str
    p_value: float
    score: float
    size: float
    asr_on_clean_set: float
    trigger: Trigger
    margin: float | None = None
    p_interval: tuple[float, float] | None = None
    outcome: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return every field but the trigger, which is a file of its own."""
        return {
            "target": self.target,
            "sources": list(self.sources),
            "family": self.family,
            "p_value": self.p_value,
            "p_interval": None if self.p_interval is None else list(self.p_interval),
            "score": self.score,
            "size": self.size,
            "asr_on_clean_set": self.asr_on_clean_set,
            "margin": self.margin,
            "outcome": None if self.outcome is None else list(self.outcome),
        }


@dataclass(frozen=True, eq=False, repr=False)
class ScanReport(Viewed):
    """The verdict on a model with its reasons, the suspected targets and all the evidence.

    Attributes
    ----------
    reasons
        For the verdict, beside the gaps of `coverage`; `undoor.render.coverage.reasons` has both in
        words.
    coverage
        What was searched, on what the statistics were learned, and what is lacking.
    passes
        Sample passes: images that went forward and backward; forward alone counts half.
    fingerprint
        SHA-256 of the model.
    images
        How many clean images were used.
    seed
        Of the source of chance.
    seconds
        Of wall-clock time.
    identity
        The model's identity field by field, where it is known.
    date
        When the scan ended, in UTC.
    circumstances
        Options, software, machine and data.
    device
        Type and name of what the scan ran on; None where the file does not hold it.
    goals
        What the model's task learned of its goals from the clean inputs, as
        `undoor.tasks.task.Task.settings`.
    causes
        Of an inconclusive verdict, as far as they are known; "budget" also with another verdict,
        where not all was searched.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    findings: tuple[Finding, ...]
    evidence: tuple[ClassEvidence, ...]
    coverage: Coverage
    class_names: tuple[str, ...]
    fingerprint: str
    images: int
    seed: int
    seconds: float
    passes: int
    identity: ModelIdentity | None = None
    device: str | None = None
    causes: tuple[Cause, ...] = ()
    date: str | None = None
    circumstances: Circumstances = field(default_factory=Circumstances)
    goals: Mapping[str, float] = field(default_factory=dict)

    @property
    def detectable(self) -> dict[str, float]:
        """By family, the size below which a trigger would have been reported."""
        return self.coverage.detectable

    def __repr__(self) -> str:
        targets = [finding.target for finding in self.findings]
        return f"ScanReport({self.verdict}, targets={targets}, model={self.fingerprint[:12]})"

    def to_json(self) -> dict[str, Any]:
        """Return the content of scan.json: verdict, reasons, targets, evidence and coverage."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "reasons": [
                {**item.to_json(), "text": text}
                for item, text in zip(self.reasons, reason_texts(self), strict=True)
            ],
            "targets": [finding.to_json() for finding in self.findings],
            "evidence": [vars(item) for item in self.evidence],
            "coverage": self.coverage.to_json(),
            "class_names": list(self.class_names),
            "model_sha256": self.fingerprint,
            "model": model_to_json(self.fingerprint, self.identity),
            "images": self.images,
            "seed": self.seed,
            "seconds": self.seconds,
            "passes": self.passes,
            "date": self.date,
            "circumstances": self.circumstances.to_json(),
            "device": self.device,
            "causes": list(self.causes),
            "goals": dict(self.goals),
        }

    def require_model(self, classifier: Classifier, name: str = "the scan") -> None:
        """Refuse a model other than the one scanned.

        Parameters
        ----------
        classifier
            The model.
        name
            Of the report, in messages.

        Raises
        ------
        UndoorError
            It is another model, or predicts otherwise than the one scanned.
        """
        require_model(
            classifier,
            self.fingerprint,
            self.identity,
            name=name,
            what="this is the scan of",
            way_out=WAY_OUT,
        )

    @checked
    def save(self, folder: str | Path) -> None:
        """Write scan.json and one trigger_<target>.npz per finding; the JSON comes last."""
        folder = Path(folder)
        for finding in self.findings:
            finding.trigger.save(folder / trigger_file(finding.target))
        write_json(folder / SCAN_FILE, self.to_json())

    @staticmethod
    @checked
    def load(
        folder: str | Path, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> ScanReport:
        """Read what `save` wrote for a model with inputs of this shape and these bounds.

        Raises
        ------
        UndoorError
            There is no report in the folder, or it is not one.
        """
        folder = Path(folder)
        file = folder / SCAN_FILE
        try:
            data = json.loads(file.read_text())
            require_readable(data, file)
            findings = tuple(
                Finding(
                    **{
                        **item,
                        "sources": tuple(item["sources"]),
                        "p_interval": _pair(item, "p_interval"),
                        "outcome": _pair(item, "outcome"),
                    },
                    trigger=load_trigger(
                        folder / trigger_file(item["target"]), shape=shape, bounds=bounds
                    ),
                )
                for item in data["targets"]
            )
            report = ScanReport.from_json(data, findings)
        except OSError as error:
            raise UndoorError(
                f"{file}: {why(error)}; expected the --out folder of `undoor scan`"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UndoorError(f"{file}: not a scan report ({error!r}); scan again") from error
        warn_of_weights_only(report.identity, str(file), WAY_OUT)
        return report

    @staticmethod
    def from_json(data: Mapping[str, Any], findings: tuple[Finding, ...]) -> ScanReport:
        """Read what `to_json` gave, in this version or an older one that `load` reads.

        Parameters
        ----------
        data
            The content of scan.json.
        findings
            Its targets, with their triggers.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError
            `data` is not what `to_json` gives.
        """
        return ScanReport(
            verdict=data["verdict"],
            findings=findings,
            evidence=tuple(ClassEvidence(**item) for item in data["evidence"]),
            class_names=tuple(data["class_names"]),
            images=data["images"],
            seed=data["seed"],
            seconds=data["seconds"],
            passes=data["passes"],
            device=data.get("device"),
            causes=tuple(data.get("causes", ())),
            goals={str(name): float(value) for name, value in data.get("goals", {}).items()},
            **fields_by_schema(data),
        )


def _pair(item: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """Return an interval of a target; None in reports of versions without."""
    found = item.get(name)
    return None if found is None else (found[0], found[1])
