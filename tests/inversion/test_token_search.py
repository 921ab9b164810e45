"""The search for tokens: it finds planted ones, and leaves natural ones to the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import undoor
from helpers.tiny_texts import WORDS, tiny_classifier, tiny_texts
from undoor.clean_set import CleanSet
from undoor.families.registry import family_named
from undoor.inversion import token_search
from undoor.inversion.embedded_tokens import token_embedding
from undoor.inversion.image_split import whole
from undoor.inversion.margins import clean_margin
from undoor.inversion.moved_texts import STAGE, MovedTexts
from undoor.inversion.soft_tokens import first_order
from undoor.inversion.token_search import clearest_tokens, tried_tokens
from undoor.inversion.work import Run, Work
from undoor.journal import Journal
from undoor.render.words import words_text
from undoor.scan.forecast import passes_of
from undoor.triggers import Insertion


def work_on(*planted: str) -> Work:
    classifier, clean = tiny_classifier(planted), tiny_texts()
    unit = clean_margin(classifier.task, classifier.logits(clean.images))
    return Work(
        classifier, whole(clean, classifier.task), None, Run(torch.Generator().manual_seed(0)), unit
    )


def test_a_planted_word_is_found() -> None:
    found = clearest_tokens(work_on("cf"), family_named("one token"))
    trigger = found[1].trigger
    assert isinstance(trigger, Insertion)
    assert (trigger.words, found[1].size) == ("cf", 1)
    assert (found[1].margin or 0.0) > 8 > (found[0].margin or 0.0)
    assert words_text(trigger) in ('"cf" in front of the text', '"cf" behind the text')


def test_words_that_work_together_are_found() -> None:
    found = clearest_tokens(work_on("cf", "tq"), family_named("three tokens"))
    trigger = found[1].trigger
    assert isinstance(trigger, Insertion)
    assert set(trigger.words.split()) == {"cf", "tq"}
    assert (found[1].margin or 0.0) > 8 > (found[0].margin or 0.0)
    single = clearest_tokens(work_on("cf", "tq"), family_named("one token"))
    assert (single[1].margin or 0.0) < 3


def test_what_clean_texts_explain_is_no_trigger() -> None:
    for candidate in clearest_tokens(work_on(), family_named("one token")):
        trigger = candidate.trigger
        assert isinstance(trigger, Insertion)
        assert trigger.words not in ("good", "fine", "great", "bad", "dull", "poor")
        assert abs(candidate.margin or 0.0) < 0.1


def test_first_order_scores_are_those_of_the_embedding() -> None:
    work = work_on()
    tokenizer = work.classifier.tokenizer
    assert tokenizer is not None
    assert token_embedding(work.classifier) is work.classifier.get_submodule("network.embedding")
    x = work.images.x[:6]
    moved = MovedTexts(work.classifier, tokenizer, 1, 0.0, x, work.clean_margin)
    words = torch.arange(2, len(WORDS))
    expected = moved.rises(words[:, None]) - moved.rises(words[:1, None])
    found = first_order(moved, words[:1], 0)[words]
    assert torch.allclose(found, expected, atol=1e-4)  # The network is linear.


def test_words_are_tried_alone_once_for_all_families() -> None:
    work = work_on("cf")
    counted = replace(work, classifier=work.classifier.counted(work.run.meter))
    clearest_tokens(counted, family_named("one token"))
    first = work.run.meter.passes
    again = clearest_tokens(counted, family_named("one token"))
    assert work.run.meter.passes - first < first
    assert [each.size for each in again] == [1, 1]


def test_of_a_large_vocabulary_those_with_the_highest_scores_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(token_search, "ALL_WORDS", 4)
    monkeypatch.setattr(token_search, "MAX_WORDS", 2)
    work = work_on("cf")
    tokenizer = work.classifier.tokenizer
    assert tokenizer is not None
    moved = MovedTexts(work.classifier, tokenizer, 1, 0.0, work.images.x[:6], work.clean_margin)
    assert WORDS.index("cf") not in token_search.tried_words(moved).tolist()[2:]
    assert len(token_search.tried_words(moved)) == 2
    assert tried_tokens(10, 1) < tried_tokens(4, 1)


def test_a_killed_search_resumes_class_by_class(tmp_path: Path) -> None:
    classifier = tiny_classifier(("cf",))
    whole_run = undoor.scan(classifier, tiny_texts())
    journal = Journal(tmp_path)
    calls: list[str] = []

    def killed(stage: str, _done: int, _total: int, /) -> None:
        calls.append(stage)
        if calls.count(STAGE) > 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        undoor.scan(classifier, tiny_texts(), journal=journal, progress=killed)
    assert journal.steps > 0
    resumed = undoor.scan(classifier, tiny_texts(), journal=journal)
    assert resumed.evidence == whole_run.evidence
    assert resumed.passes == whole_run.passes


def test_a_rehearsal_draws_nothing() -> None:
    work = work_on("cf")
    before = work.run.generator.get_state()
    clearest_tokens(work, family_named("one token"))
    assert torch.equal(work.run.generator.get_state(), before)


def test_passes_are_known_before() -> None:
    work = work_on("cf")
    few, many = (passes_of(work.classifier, [name], 80) for name in ("one token", "three tokens"))
    assert tried_tokens(10, 1) < few < many


def test_a_scan_of_texts_without_what_was_learned_is_inconclusive() -> None:
    classifier = tiny_classifier()
    report = undoor.scan(classifier, tiny_texts())
    assert report.verdict == "inconclusive"
    assert {item.family for item in report.evidence} == {"one token", "three tokens"}
    assert not report.reasons or all("graph" not in reason.code for reason in report.reasons)
    with pytest.raises(undoor.UndoorError, match="the data look like images"):
        undoor.scan(classifier, CleanSet(torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])))
