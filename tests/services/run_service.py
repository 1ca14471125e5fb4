"""Runs a service of examples/services with an independent witness.

    python run_service.py shop|stock|ledger|jobs PORT TRUTH.json

On SIGTERM it writes what the witness saw, {trace id: [tree of a local root, ...]}, and ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "examples" / "services"), str(HERE.parent)]


def serve(name: str, port: int) -> None:
    app = __import__(name).app
    if name == "jobs":  # it has no port, and handles SIGTERM itself
        app.conf.broker_transport_options = folders(os.environ["JOBS"])
        app.worker_main(["worker", "--pool=solo", "--loglevel=ERROR", "--without-gossip"])
        return
    if name in {"shop", "ledger"}:
        from werkzeug.serving import make_server

        server = make_server("127.0.0.1", port, app, threaded=True)
        stop = server.shutdown
    else:
        import uvicorn

        uvicorn_server = uvicorn.Server(
            uvicorn.Config(app, port=port, log_level="warning", loop="asyncio", http="h11")
        )
        server = type("", (), {"serve_forever": uvicorn_server.run})

        def stop() -> None:
            uvicorn_server.should_exit = True

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop).start())
    server.serve_forever()


def folders(folder: str) -> dict[str, str]:
    """What takes the place of a broker."""
    return {"data_folder_in": folder, "data_folder_out": folder, "control_folder": f"{folder}/c"}


def main() -> None:
    name, port, target = sys.argv[1:]
    __import__(name)
    from opentelemetry import trace
    from oracle.service_truth import Truth

    truth = Truth()
    truth.install()
    provider = trace.get_tracer_provider()
    provider.add_span_processor(truth)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(name, int(port))
    sys.monitoring.set_events(2, 0)
    trees = {key: [root.tree() for root in roots] for key, roots in truth.by_trace.items()}
    Path(target).write_text(json.dumps(trees))
    provider.shutdown()


main()
