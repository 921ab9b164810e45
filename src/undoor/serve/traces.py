"""OpenTelemetry traces of requests, sent where the ``OTEL_`` variables of the environment say."""

from __future__ import annotations

from typing import Any

from undoor.errors import UndoorError
from undoor.extras import how_to_install

SERVICE = "undoor"
# Probes and scrapes say nothing of requests.
LEFT_OUT = "/v2/health/.*,/metrics"


def traced(app: Any) -> Any:
    """Return the ASGI application with a span around each request.

    Raises
    ------
    UndoorError
        OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.util.http import parse_excluded_urls
    except ImportError as error:
        raise UndoorError(
            f"traces take the library {error.name}, which is not installed; "
            f"{how_to_install('traces')}"
        ) from None
    # What the environment names wins.
    resource = Resource({SERVICE_NAME: SERVICE}).merge(Resource.create())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetryMiddleware(
        app, excluded_urls=parse_excluded_urls(LEFT_OUT), tracer_provider=provider
    )
