"""FastAPI + SQLAlchemy (SQLite) + httpx with the standard instrumentations, and one tracer more.

    python service.py VARIANT PORT OTHER_SERVICE_URL DATABASE

OTEL_EXPORTER_OTLP_ENDPOINT says where spans go.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

SLOW_S = 5.0  # nothing is: the flight recorder runs, and sends nothing


def provider_for(variant: str) -> Any:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    batches = BatchSpanProcessor(OTLPSpanExporter())
    if variant == "logfire":
        import logfire

        logfire.configure(
            send_to_logfire=False,
            console=False,
            metrics=False,
            additional_span_processors=[batches],
            inspect_arguments=False,
        )
        logfire.install_auto_tracing(modules=["shop"], min_duration=0)
        return trace.get_tracer_provider()
    provider = TracerProvider()
    provider.add_span_processor(processor_for(variant, batches))
    trace.set_tracer_provider(provider)
    return provider


def processor_for(variant: str, batches: Any) -> Any:
    options: dict[str, Any] | None = {
        "otrace": {"overhead": 0.05},
        "otrace_ungoverned": {"overhead": 0},
        "otrace_own_code": {"overhead": 0, "include": ["shop", "__main__"]},
        "otrace_always": {"mode": "always"},
    }.get(variant)
    if options is None:
        return batches
    from otrace.otel import OtraceSpanProcessor

    return OtraceSpanProcessor(batches, slow=SLOW_S, **options)


def span_per_function(module: Any) -> None:
    """The SDK's own way: each function of the module opens a span."""
    from opentelemetry import trace

    tracer = trace.get_tracer("shop")
    for name, function in vars(module).copy().items():
        if isinstance(function, FunctionType) and function.__module__ == module.__name__:
            setattr(module, name, tracer.start_as_current_span(name)(function))


def usage() -> dict[str, Any]:
    """CPU seconds so far; KiB of memory: anonymous, files and shared memory.

    Pss, not Rss: a page of the ring that is being read is mapped twice, and counted once.
    """
    spent = resource.getrusage(resource.RUSAGE_SELF)
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    kib = {key: int(value.split()[0]) for key, value in (line.split(":") for line in lines)}
    found: dict[str, Any] = {"cpu_s": spent.ru_utime + spent.ru_stime, "kib": kib["Pss"]}
    found["anonymous_kib"] = kib["Pss_Anon"]
    otel = sys.modules.get("otrace.otel")
    if otel is not None:
        found["stats"] = otel.stats()
    return found


def application(provider: Any, shop: Any, other: str, database: str) -> Any:
    import httpx
    from fastapi import FastAPI, Response
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    engine = shop.open_database(database)
    SQLAlchemyInstrumentor().instrument(engine=engine, tracer_provider=provider)
    client, asynchronous = httpx.Client(base_url=other), httpx.AsyncClient(base_url=other)
    app = FastAPI()

    @app.get("/order/{customer}")
    def order(customer: int) -> dict[str, int]:
        found: dict[str, int] = shop.order(engine, client, customer)
        return found

    @app.get("/quote/{count}")
    async def quote(count: int) -> dict[str, int]:
        found: dict[str, int] = await shop.quote(asynchronous, count)
        return found

    @app.get("/usage")
    def told() -> Response:
        return Response(json.dumps(usage()), media_type="application/json")

    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls="usage")
    return app


def main(variant: str, port: int, other: str, database: str) -> None:
    import uvicorn

    provider = provider_for(variant)
    import shop

    if variant == "sdk":
        span_per_function(shop)
    app = application(provider, shop, other, database)
    stop: Callable[[], object] = lambda: None  # noqa: E731
    if variant == "viztracer":
        from viztracer import VizTracer

        tracer = VizTracer(ignore_c_function=True, verbose=0, output_file=os.devnull)
        tracer.enable_thread_tracing()
        tracer.start()
        stop = tracer.stop
    uvicorn.run(app, port=port, log_level="warning", access_log=False)
    stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
