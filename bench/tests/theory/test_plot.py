"""The picture of the theorem."""

from __future__ import annotations

from xml.etree import ElementTree

import torch

from undoor_bench.theory.cases import trained_model
from undoor_bench.theory.plot import LOOKS, theory_plot
from undoor_bench.theory.table import ALPHAS, curves


def test_a_panel_a_model_with_all_variants() -> None:
    models = {"narrow": trained_model(0.5), "wide": trained_model(2), "wider": trained_model(3)}
    found = curves(models, samples=50, generator=torch.Generator().manual_seed(0))
    root = ElementTree.fromstring(theory_plot(found))
    texts = ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text")]
    assert [text for text in texts if text in models] == list(models)
    assert texts.count("printed v*, v linear") == 1
    assert sum(text.startswith("alpha") for text in texts) == 3
    marks = [node for node in root.iter() if node.tag.endswith("}use")]
    colours = {colour for colour, *_ in LOOKS.values()}
    drawn = [node for node in marks if any(c in (node.get("style") or "") for c in colours)]
    assert len(drawn) >= 3 * 4 * len(ALPHAS)
    (title,) = (node.text or "" for node in root if node.tag.endswith("}title"))
    assert title.count("rises from") == 12


def test_no_models() -> None:
    assert "<title>No models</title>" in theory_plot([])
