"""One reason of a verdict for each code."""

from __future__ import annotations

from undoor.scan.reason import (
    AccuracyFacts,
    ClassFacts,
    FamilyFacts,
    Reason,
    ShareFacts,
    SpentFacts,
    UnfinishedFacts,
    written,
)
from undoor.scrutiny import Disagreement, GraphFinding
from undoor.vocabulary import (
    ACCEPTED_GRAPH,
    AS_NATURAL,
    BUDGET_ENDED,
    FLAT_SCORES,
    GRAPH_NOT_READ,
    MOVES_FEW,
    NEAR_CHANCE,
    NO_HEAD,
    NOTHING_STANDS_OUT,
    NOTHING_WORKS,
    ODD_GRAPH,
    RUNS_DISAGREE,
    SEVERAL_TARGETS,
    STANDS_OUT,
    TARGET_FOUND,
)

BRANCH = GraphFinding("comparison", "net.py:7", "aten::gt", 2)
EVERY_REASON = (
    Reason(TARGET_FOUND, ClassFacts(1, "patch", 3.0, 20.0, 0.001, asr=0.93, sources=2)),
    Reason(STANDS_OUT, ClassFacts(1, "additive", 3.0, 20.0, 0.05, asr=0.9)),
    Reason(MOVES_FEW, ClassFacts(2, "shared patch", 2.0, 9.0, 0.01, asr=0.3)),
    Reason(AS_NATURAL, ClassFacts(0, "patch by source", 0.8, 6.0, 0.01, asr=0.9)),
    Reason(SEVERAL_TARGETS, FamilyFacts("patch")),
    Reason(NOTHING_WORKS),
    Reason(NOTHING_STANDS_OUT),
    Reason(NEAR_CHANCE, AccuracyFacts(0.12, 10, "multiplied by 255", 0.91)),
    Reason(NO_HEAD),
    Reason(FLAT_SCORES, ShareFacts(0.75)),
    Reason(ODD_GRAPH, BRANCH),
    Reason(ACCEPTED_GRAPH, BRANCH),
    Reason(GRAPH_NOT_READ, SpentFacts(20_000, 61.5)),
    Reason(RUNS_DISAGREE, Disagreement("batch", "predictions depend on the batch")),
    Reason(BUDGET_ENDED, UnfinishedFacts(20_000, 61.5, ("warp", "blend"), ("patch",), False)),
    written("as somebody wrote it"),
)
