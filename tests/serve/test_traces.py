"""Spans of requests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from helpers.serving import FakeEngine
from undoor.errors import UndoorError
from undoor.serve.app import application
from undoor.serve.settings import Settings
from undoor.serve.traces import traced

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_request_is_part_of_the_clients_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = InMemorySpanExporter()
    monkeypatch.setattr(trace_exporter, "OTLPSpanExporter", lambda: spans)
    monkeypatch.setattr(export, "BatchSpanProcessor", export.SimpleSpanProcessor)
    app = traced(application(FakeEngine(), Settings(f"sqlite:///{tmp_path / 'f.sqlite'}")))
    with TestClient(app) as client:
        client.get("/v2/models/signs", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
        client.get("/metrics")
        client.get("/v2/health/live")
    found = {format(span.context.trace_id, "032x") for span in spans.get_finished_spans()}
    assert found == {TRACE}


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(UndoorError, match=r"pip install '\.\[traces\]'"):
        traced(None)
