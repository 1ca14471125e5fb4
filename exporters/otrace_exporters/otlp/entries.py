"""Calls that handle a request: each is a trace of its own.

The outermost one counts, so that Django's inside gunicorn's is an ordinary call. A name stands
here when one call of it is one request: waiting for the next one on a connection is no part of
it, and neither is an application's life.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otrace.recording import Process

SERVER, CONSUMER = 2, 5  # the kinds of OTLP's spans

SERVERS = (
    "wsgiref.handlers.BaseHandler.run",  # Django's development server too
    "werkzeug.serving.WSGIRequestHandler.run_wsgi",
    "gunicorn.workers.sync.SyncWorker.handle_request",
    "gunicorn.workers.gthread.ThreadWorker.handle_request",
    "waitress.task.Task.service",
    "cheroot.server.HTTPRequest.respond",
    "aiohttp.web_protocol.RequestHandler._handle_request",
    "hypercorn.asyncio.task_group._handle",
    # Applications, for servers that are none of these or not written in Python.
    "django.core.handlers.asgi.ASGIHandler.handle",
    "django.core.handlers.wsgi.WSGIHandler.__call__",
    "flask.app.Flask.__call__",
    "bottle.Bottle.__call__",
)
CONSUMERS = ("celery.app.trace.build_tracer.<locals>.trace_task",)
PATTERNS = (
    # Handlers of http.server and xmlrpc.server are called by the request's method.
    re.compile(r".+\.do_(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH)"),
    re.compile(r"uvicorn\.protocols\.http\.\w+\.RequestResponseCycle\.run_asgi"),
)


class Entries:
    """Which functions of each process are requests."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """`patterns` are globs on names with their module, beside those that are known."""
        self._kinds = dict.fromkeys(SERVERS, SERVER) | dict.fromkeys(CONSUMERS, CONSUMER)
        self._own = [re.compile(translate(pattern)) for pattern in patterns]
        self._found: dict[str, bytearray] = {}

    def kinds_of(self, process: Process) -> bytes:
        """By name id the kind of a request's span, or 0; empty when there is no request.

        A process that is read again has more names: only those are looked at.
        """
        known = self._found.setdefault(process.path, bytearray())
        kinds = bytearray(known)
        all_known = True
        for number in range(len(known), len(process.functions)):
            function = process.functions[number]
            kinds.append(self._kind(function.name) if function.kind == "python" else 0)
            all_known = all_known and (number == 0 or function.kind != "unknown")
            if all_known:  # one that is just being written is known next time
                known.append(kinds[-1])
        return bytes(kinds) if any(kinds) else b""

    def _kind(self, name: str) -> int:
        kind = self._kinds.get(name, 0)
        known = any(pattern.fullmatch(name) for pattern in PATTERNS)
        if kind == 0 and (known or any(own.match(name) for own in self._own)):
            kind = SERVER
        return kind
