"""The viewer's server answers Perfetto's UI for one file, and nobody else."""

import http.client
import socket
import threading

import pytest

from otrace.errors import ViewError
from otrace.view import TraceServer

UI = "https://ui.perfetto.dev"


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "my trace.json"
    path.write_bytes(b'{"traceEvents":[]}' * 1000)
    (tmp_path / "secret").write_text("secret")
    return path


@pytest.fixture
def server(trace):
    with TraceServer(str(trace), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method="GET", path=None, host=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest(method, path or server.location, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.port}")
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_the_ui_gets_the_file(server, trace):
    response, body = ask(server, Origin=UI)
    assert response.status == 200
    assert body == trace.read_bytes()
    assert response.headers["Access-Control-Allow-Origin"] == UI
    assert server.url == f"http://127.0.0.1:{server.port}/my%20trace.json"
    assert server.ui_url == f"{UI}/#!/?url={server.url}"


def test_head_and_preflight(server, trace):
    response, body = ask(server, "HEAD")
    assert (response.status, body) == (200, b"")
    assert response.headers["Content-Length"] == str(trace.stat().st_size)
    response, _ = ask(server, "OPTIONS", Origin=UI, Access_Control_Request_Private_Network="true")
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == UI
    assert response.headers["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://ui.perfetto.dev.evil.example"},
        {"Origin": "http://ui.perfetto.dev"},
        {"host": "evil.example:9001"},
        {"host": "ui.perfetto.dev"},
        {"host": "127.0.0.1:1"},
        {"host": "127.0.0.1"},
    ],
)
def test_others_are_refused(server, method, headers):
    response, body = ask(server, method, **headers)
    assert response.status == 403
    assert b"traceEvents" not in body
    assert response.headers["Access-Control-Allow-Origin"] == UI


@pytest.mark.parametrize("path", ["/", "/secret", "/../secret", "/my%20trace.json/..", "/%2e%2e/x"])
def test_only_the_one_file(server, path):
    assert ask(server, path=path)[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE"])
def test_only_reading(server, method):
    assert ask(server, method)[0].status == 501


def test_a_file_that_vanished(server, trace):
    trace.unlink()
    assert ask(server)[0].status == 410


def test_bound_to_this_machine_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_once_ends_by_itself(trace):
    with TraceServer(str(trace), port=0, once=True) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        assert ask(server, "HEAD")[0].status == 200
        assert ask(server, path="/other")[0].status == 404
        assert thread.is_alive()
        assert ask(server)[0].status == 200
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_a_port_in_use_says_what_to_do(trace):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ViewError, match=rf"127.0.0.1:{port}: Address already in use.*--port"):
            TraceServer(str(trace), port=port)
    with pytest.raises(ViewError, match="cannot listen"):
        TraceServer(str(trace), port=70000)
