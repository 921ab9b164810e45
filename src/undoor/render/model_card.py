"""A model card as the Hugging Face Hub reads it: metadata as YAML, the summary as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from undoor.errors import UndoorError
from undoor.extras import how_to_install
from undoor.render import text
from undoor.render.markdown import markdown
from undoor.render.nouns import noun_of
from undoor.render.subject import Subject, version
from undoor.scan.report import ScanReport
from undoor.tasks.registry import find_task

if TYPE_CHECKING:
    from undoor.evaluate import Evaluation
    from undoor.repair import Repair

MEASURES = {
    "asr": "attack success rate with the recovered trigger",
    "sia": "triggered inputs predicted as their true class",
    "fpr": "clean inputs flagged",
}
TRUE = {
    "acc": "clean accuracy",
    "asr": "attack success rate with the true trigger",
    "sia": "inputs with the true trigger predicted as their true class",
    "fpr": "clean inputs flagged",
}


def model_card(
    scan: ScanReport,
    subject: Subject,
    repair: Repair | None = None,
    evaluation: Evaluation | None = None,
) -> str:
    """Return a block of metadata to merge into the card's, and a section for its text.

    The block stands between lines of three dashes.

    Raises
    ------
    UndoorError
        PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise UndoorError(f"a model card needs PyYAML; {how_to_install('model-card')}") from None
    block = yaml.safe_dump(
        _metadata(scan, subject, repair, evaluation), sort_keys=False, allow_unicode=True, width=96
    )
    return f"---\n{block}---\n\n{markdown(scan, subject, repair)}"


def _metadata(
    scan: ScanReport, subject: Subject, repair: Repair | None, evaluation: Evaluation | None
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "tags": [_kind(scan), "undoor", f"undoor-{scan.verdict}"],
        "backdoor_scan": {
            "tool": f"undoor {version()}",
            "verdict": scan.verdict,
            "model_sha256": scan.fingerprint,
            "clean_inputs": scan.images,
            "seed": scan.seed,
            "targets": [
                {
                    "class": text.plain(scan.class_names[item.target]),
                    "trigger": text.plain(item.family),
                    "p_value": item.p_value,
                    "works_on": item.asr_on_clean_set,
                }
                for item in scan.findings
            ],
        },
    }
    metrics = [*_repaired(repair, scan.class_names), *_evaluated(evaluation, scan.class_names)]
    if metrics:
        result = {
            "task": {"type": _kind(scan)},
            "dataset": {"name": text.plain(subject.data), "type": "other"},
            "metrics": metrics,
        }
        metadata["model-index"] = [{"name": text.plain(subject.model), "results": [result]}]
    return metadata


def _kind(scan: ScanReport) -> str:
    """Return what the Hub calls such models, for example "image-classification"."""
    task = None if scan.coverage.task is None else find_task(scan.coverage.task)
    does = "classification" if task is None or task.scores else "regression"
    return "-".join(filter(None, (noun_of(scan).adjective, does)))


def _repaired(repair: Repair | None, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        _metric(key, f"{measure}, target {text.class_label(item.target, names)}, repaired", value)
        for item in (repair.targets if repair else ())
        for key, measure in MEASURES.items()
        if (value := getattr(item, key)) is not None
    ]


def _evaluated(evaluation: Evaluation | None, names: tuple[str, ...]) -> list[dict[str, Any]]:
    if evaluation is None:
        return []
    label = text.class_label(evaluation.target, names)
    return [
        _metric(key, f"{measure}, target {label}, {when}", rates[key].value)
        for when, rates in (("before", evaluation.before), ("repaired", evaluation.after))
        for key, measure in TRUE.items()
        if key in rates and rates[key].value is not None
    ]


def _metric(kind: str, name: str, value: float | None) -> dict[str, Any]:
    return {"type": kind, "name": name, "value": value}
