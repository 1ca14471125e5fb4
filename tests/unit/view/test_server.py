"""The viewer's server answers the UI for what it shows, and nobody else."""

import http.client
import json
import os
import socket
import threading
from contextlib import contextmanager

import pytest
from unit.recording import synth

from otrace.errors import ViewError
from otrace.view import ui
from otrace.view.items import Library
from otrace.view.server import ViewServer, range_of
from otrace.view.ui import LocalUi, choose

UI = "https://ui.perfetto.dev"
TRACE = b'{"traceEvents":[]}' * 1000


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "my trace.json"
    path.write_bytes(TRACE)
    (tmp_path / "secret").write_text("secret")
    return path


@pytest.fixture
def recorded(tmp_path):
    segment = synth.Segment()
    segment.name(1, "main", "__main__", "/app/main.py", 3)
    segment.thread().call(1, 10, 20)
    return segment.write(tmp_path / "recorded").parent


@contextmanager
def serving(path, folder, **arguments):
    library = Library(str(path), str(folder))
    with ViewServer(library, port=0, **arguments) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        server.thread = thread
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(trace, tmp_path_factory):
    with serving(trace, tmp_path_factory.mktemp("converted")) as server:
        yield server


@pytest.fixture
def local_ui(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ui")
    (folder / "index.html").write_text("<!doctype html>the UI")
    (folder / "service_worker.js").write_text("")
    (folder / "v1").mkdir()
    (folder / "v1" / "engine.wasm").write_bytes(b"\0asm")
    (folder / "v1" / "link").symlink_to("/etc/passwd")
    return LocalUi(str(folder))


def ask(server, path="/trace/my%20trace.json", method="GET", host=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.port}")
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_the_ui_gets_the_file(server):
    response, body = ask(server, Origin=UI)
    assert response.status == 200
    assert body == TRACE
    assert response.headers["Access-Control-Allow-Origin"] == UI
    assert response.headers["Accept-Ranges"] == "bytes"


def test_head_and_preflight(server):
    response, body = ask(server, method="HEAD")
    assert (response.status, body) == (200, b"")
    assert response.headers["Content-Length"] == str(len(TRACE))
    response, _ = ask(
        server, method="OPTIONS", Origin=UI, Access_Control_Request_Private_Network="true"
    )
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == UI
    assert response.headers["Access-Control-Allow-Private-Network"] == "true"
    assert response.headers["Access-Control-Allow-Headers"] == "Range"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/trace/my%20trace.json", "/list", "/open/my%20trace.json"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://ui.perfetto.dev.evil.example"},
        {"Origin": "http://ui.perfetto.dev"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"host": "evil.example:9001"},
        {"host": "ui.perfetto.dev"},
        {"host": "127.0.0.1:1"},
        {"host": "127.0.0.1"},
    ],
)
def test_others_are_refused(server, method, path, headers):
    response, body = ask(server, path, method, **headers)
    assert response.status == 403
    assert b"traceEvents" not in body
    assert b"my trace" not in body
    assert response.headers["Access-Control-Allow-Origin"] == UI


def test_the_ui_of_a_folder_is_not_the_public_ones(trace, tmp_path, local_ui):
    with serving(trace, tmp_path, ui=local_ui) as server:
        response, _ = ask(server, Origin=UI)
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers
        assert ask(server, Origin=server.origin)[0].status == 200
        assert ask(server, Sec_Fetch_Site="same-origin")[1] == TRACE


@pytest.mark.parametrize(
    "path",
    [
        "/secret",
        "/trace/secret",
        "/trace/../secret",
        "/../secret",
        "/trace/a.pftrace/..",
        "/trace/%2e%2e%2fsecret",
        "/trace/..%2fmy%20trace.json",
        "/trace/my%20trace.json",
        "/trace/",
        "/open/secret",
    ],
)
def test_only_what_is_shown(tmp_path, trace, path):
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "a.pftrace").write_bytes(b"\x0a")
    (tmp_path / "shown" / "secret").write_text("secret")
    with serving(tmp_path / "shown", tmp_path) as server:
        assert ask(server, "/trace/a.pftrace")[1] == b"\x0a"
        assert ask(server, "/trace/%61.pftrace")[1] == b"\x0a"
        response, body = ask(server, path)
        assert response.status == 404
        assert b"traceEvents" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE"])
def test_only_reading(server, method):
    assert ask(server, method=method)[0].status == 501


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, (0, 100)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=1-2,5-6", (0, 100)),
        ("bytes=20-10", (0, 100)),
        ("bytes=-", (0, 100)),
        ("lines=1-2", (0, 100)),
        ("bytes=100-", (1, 0)),
        ("bytes=-0", (1, 0)),
    ],
)
def test_ranges(header, expected):
    assert range_of(header, 100) == expected


def test_a_part_of_the_file(server):
    response, body = ask(server, Range="bytes=5-14")
    assert response.status == 206
    assert body == TRACE[5:15]
    assert response.headers["Content-Range"] == f"bytes 5-14/{len(TRACE)}"
    response, body = ask(server, Range=f"bytes={len(TRACE)}-")
    assert (response.status, body) == (416, b"")
    assert response.headers["Content-Range"] == f"bytes */{len(TRACE)}"
    assert ask(server, Range="bytes=5-14", If_Range='"x"')[1] == TRACE


def test_a_file_that_vanished(server, trace):
    trace.unlink()
    assert ask(server)[0].status == 410
    assert ask(server, "/open/my%20trace.json")[0].status == 404
    with pytest.raises(ViewError, match="vanished"):
        server.start_url  # noqa: B018


def test_bound_to_this_machine_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_once_ends_by_itself(trace, tmp_path):
    with serving(trace, tmp_path, once=True) as server:
        assert ask(server, method="HEAD")[0].status == 200
        assert ask(server, "/other")[0].status == 404
        assert ask(server, Range="bytes=0-9")[0].status == 206
        assert server.thread.is_alive()
        assert ask(server)[0].status == 200
        server.thread.join(timeout=30)
        assert not server.thread.is_alive()


def test_a_port_in_use(trace, tmp_path, monkeypatch):
    library = Library(str(trace), str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ViewError, match=rf"127.0.0.1:{port}: Address already in use.*--port"):
            ViewServer(library, port=port)
        monkeypatch.setattr("otrace.view.server.URL_PORT", port)
        with ViewServer(library) as server:  # nobody asked for a port: another will do
            assert server.port != port
            assert server.start_url == f"{server.origin}/open/my%20trace.json"
    with pytest.raises(ViewError, match="cannot listen"):
        ViewServer(library, port=70000)


def test_addresses(trace, tmp_path, monkeypatch, local_ui):
    library = Library(str(trace), str(tmp_path))
    with ViewServer(library, port=0, ui=local_ui) as server:
        url = f"http://127.0.0.1:{server.port}/trace/my%2520trace.json"  # the UI decodes it once
        assert server.start_url == f"{server.origin}/#!/?url={url}"
    with ViewServer(library, port=0) as server:
        assert server.start_url == f"{server.origin}/open/my%20trace.json"
        monkeypatch.setattr("otrace.view.server.URL_PORT", server.port)
        url = f"http://127.0.0.1:{server.port}/trace/my%2520trace.json"  # the UI decodes it once
        assert server.start_url == f"{UI}/#!/?url={url}"


def test_the_page_that_hands_over(server):
    response, body = ask(server, "/open/my%20trace.json")
    text = body.decode()
    assert response.status == 200
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    data = text.partition('<script type="application/json" id="trace">')[2].partition("</")[0]
    assert json.loads(data) == {"name": "my trace.json", "path": "/trace/my%20trace.json", "ui": UI}


def test_a_folder(tmp_path, recorded):
    names = ["<script>alert(1)<!--.pftrace", "a&b.json", os.fsdecode(b"\xff.json.gz")]
    folder = tmp_path / "shown"
    folder.mkdir()
    for number, name in enumerate(names):
        (folder / name).write_bytes(b'{"traceEvents":[]}')
        os.utime(folder / name, (1000 - number, 1000 - number))
    for name in ("package.json", ".hidden.pftrace", "notes.txt"):
        (folder / name).write_text("{}")
    (folder / "sub").mkdir()
    os.rename(recorded, folder / "app.otrace")
    with serving(folder, tmp_path) as server:
        assert server.start_url == f"{server.origin}/list"
        assert ask(server, "/")[0].headers["Location"] == "/list"
        _, body = ask(server, "/list")
        text = body.decode()
        assert [item.name for item in server.library.items()] == ["app.otrace", *names]
        for hidden in ("package.json", ".hidden", "notes.txt", "sub<", "<script>"):
            assert hidden not in text
        for name in ("%3Cscript%3Ealert%281%29%3C%21--.pftrace", "a%26b.json"):
            assert f'href="/open/{name}"' in text
            assert ask(server, f"/trace/{name}")[1] == b'{"traceEvents":[]}'
        assert ask(server, "/trace/%FF.json.gz")[1] == b'{"traceEvents":[]}'
        assert ask(server, "/open/app.otrace")[0].status == 200
        _, trace = ask(server, "/trace/app.otrace")
        assert trace[:1] == b"\x0a"
        (folder / "app.otrace" / "1-1.segment").write_text("no")
        assert b"manifest" not in ask(server, "/trace/app.otrace")[1]


def test_a_recording_that_cannot_be_read(tmp_path):
    (tmp_path / "bad.otrace").mkdir()
    (tmp_path / "bad.otrace" / "1-1.segment").write_text("<b>no</b>")
    with serving(tmp_path, tmp_path) as server:
        response, body = ask(server, "/open/bad.otrace")
        assert response.status == 500
        assert b"holds nothing that can be read" in body


def test_a_ui_in_a_folder(trace, tmp_path, local_ui):
    with serving(trace, tmp_path, ui=local_ui) as server:
        response, body = ask(server, "/")
        assert body == b"<!doctype html>the UI"
        assert "connect-src 'self'" in response.headers["Content-Security-Policy"]
        response, body = ask(server, "/v1/engine.wasm")
        assert (body, response.headers["Content-Type"]) == (b"\0asm", "application/wasm")
        for path in ("/service_worker.js", "/v1/link", "/v1", "/../secret", "/v1/../index.html"):
            assert ask(server, path)[0].status == 404
        assert b"my trace.json" in ask(server, "/list")[1]
        response, _ = ask(server, "/open/my%20trace.json")
        assert response.headers["Location"] == server.start_url


def test_which_ui(tmp_path, monkeypatch, local_ui):
    monkeypatch.setattr(ui, "is_online", lambda: False)
    monkeypatch.setattr(ui, "installed_folder", lambda: None)
    assert choose("online") == (None, "")
    with pytest.raises(ViewError, match=r"no index\.html"):
        choose(str(tmp_path))
    with pytest.raises(ViewError, match=r"pip install 'otrace\[ui\]'"):
        choose("local")
    found, words = choose(None)
    assert found is None
    assert "--ui" in words
    (tmp_path / "index.html").write_text("")
    monkeypatch.setattr(ui, "installed_folder", lambda: str(tmp_path))
    assert choose("local")[0].find("/") == str(tmp_path / "index.html")
    found, words = choose(None)
    assert found is not None
    assert "cannot be reached" in words
    monkeypatch.setattr(ui, "is_online", lambda: True)
    assert choose(None) == (None, "")


def test_nothing_to_view(tmp_path):
    with pytest.raises(ViewError, match="no such file"):
        Library(str(tmp_path / "nothing"), str(tmp_path))
    with serving(tmp_path, tmp_path) as server:
        assert b"no traces" in ask(server, "/list")[1]
