"""A model card: YAML that the Hub's own library reads."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import yaml

from helpers.cli_fakes import FakeEvaluation, make_report
from helpers.render_work import HOSTILE, SUBJECT, VERDICTS, fixed, hostile, hostile_subject
from undoor.errors import UndoorError
from undoor.render.model_card import model_card
from undoor.vocabulary import Verdict


def metadata(card: str) -> dict[str, Any]:
    start, block, _ = card.split("---\n", 2)
    assert start == ""
    data = yaml.safe_load(block)
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdict(verdict: Verdict) -> None:
    card = model_card(make_report(verdict), SUBJECT)
    data = metadata(card)
    assert f"undoor-{verdict}" in data["tags"]
    assert data["backdoor_scan"]["verdict"] == verdict
    assert data["backdoor_scan"]["model_sha256"] == "0" * 64
    assert len(data["backdoor_scan"]["targets"]) == (verdict == "backdoored")
    assert "model-index" not in data
    assert "## " in card


def test_measures() -> None:
    evaluation: Any = FakeEvaluation()
    data = metadata(model_card(make_report(), SUBJECT, fixed(), evaluation))
    (index,) = data["model-index"]
    metrics = index["results"][0]["metrics"]
    told = {item["name"]: item["value"] for item in metrics}
    assert told["attack success rate with the recovered trigger, target 1 yield, repaired"] == 0.01
    assert told["attack success rate with the true trigger, target 1 yield, before"] == 0.9


def test_the_hub_reads_it() -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(model_card(make_report(), SUBJECT, fixed()))
    assert card.data.model_name == "models/sign 1.toml"
    assert {result.metric_type for result in card.data.eval_results} == {"asr", "sia", "fpr"}


def test_hostile_names() -> None:
    data = metadata(model_card(hostile("backdoored"), hostile_subject(), fixed()))
    (target,) = data["backdoor_scan"]["targets"]
    assert target["class"] == "a|b # c `d` [e](f)"
    assert HOSTILE[1] not in str(data)


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UndoorError, match=r"pip install '\.\[model-card\]'"):
        model_card(make_report(), SUBJECT)
