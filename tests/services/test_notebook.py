"""`%%otrace` in a real kernel, and what it shows in a real browser."""

from __future__ import annotations

import gzip
import html
import re
import sys
from pathlib import Path

import pytest

WORK = """
def work(n):
    return sum(range(n))
for i in range(100):
    work(i)
"</script>"
"""
FRAME = re.compile(r'<iframe ([^>]*?)srcdoc="([^"]*)"')


def run(folder, *cells):
    """Run cells in a new kernel; returns the outputs of each."""
    import nbformat
    from nbclient import NotebookClient

    kernel = {"name": "here", "display_name": "here", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": kernel},
    )
    client = NotebookClient(
        notebook, timeout=100, allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    manager = client.create_kernel_manager()
    manager.kernel_spec.argv[0] = sys.executable
    client.execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.fixture
def kernel(tmp_path, monkeypatch, notebooks):
    """A kernel of the Python that runs the tests, whatever others are installed."""
    import json

    folder = tmp_path / "jupyter" / "kernels" / "here"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "here", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return tmp_path


def test_a_recorded_cell(kernel, pages):
    loaded, recorded, after, failed, wrong, last = run(
        kernel,
        "%load_ext otrace",
        "%%otrace" + WORK,
        "work(4)",
        "%%otrace --export chrome=x.json --export perfetto\n1 / 0",
        "%%otrace --nonsense\n1",
        "1 + 1",
    )
    assert loaded == []
    shown, value = recorded
    assert value["data"]["text/plain"] == repr("</script>")
    assert after[0]["data"]["text/plain"] == "6"  # what the cell defined is there
    text = shown["data"]["text/plain"]
    assert re.search(r"^ .* 100  __main__\.work$", text, re.MULTILINE)
    assert not re.search("ipykernel|IPython|zmq", text)
    assert (kernel / "otrace-cell-2.pftrace").read_bytes()[:1] == b"\x0a"

    assert [output["output_type"] for output in failed] == ["display_data", "error"]
    assert failed[1]["ename"] == "ZeroDivisionError"
    assert (kernel / "x.json").read_bytes().startswith(b'{"traceEvents"')
    assert (kernel / "otrace-cell-4.pftrace").exists()
    assert "unrecognized arguments: --nonsense" in str(wrong)
    assert "Traceback" not in str(wrong)
    assert last[0]["data"]["text/plain"] == "2"

    page = kernel / "notebook.html"
    page.write_text(f"<!doctype html><html data-ready>{shown['data']['text/html']}")

    def act(page):
        inside = page.frame_locator("iframe")
        inside.locator("html[data-ready]").wait_for(state="attached")
        inside.locator("#search").fill("work")
        inside.locator("#search").press("Enter")
        assert inside.locator("#chosen-name").inner_text() == "__main__.work"
        assert "100" in inside.locator("#chosen-facts").inner_text()
        inside.locator("#theme").click()  # nothing can be kept in a sandbox, and it works
        assert inside.locator("html").get_attribute("data-theme") == "light"
        with page.expect_download() as started:
            page.click("text=otrace-cell-2.pftrace")
        assert started.value.suggested_filename == "otrace-cell-2.pftrace.gz"
        return gzip.decompress(Path(started.value.path()).read_bytes())

    trace = (kernel / "otrace-cell-2.pftrace").read_bytes()
    (kernel / "otrace-cell-2.pftrace").unlink()  # as where the kernel is on another machine
    assert pages.visit(page, act) == trace


AWAITING = """
import asyncio
async def fetch(n):
    await asyncio.sleep(0.01)
    for _ in range(100_000):
        pass
    return n
found = await asyncio.gather(*(fetch(n) for n in range(3)))
async with asyncio.timeout(9):
    await fetch(3)
"""


def test_cells_that_await(kernel):
    twice = "%load_ext otrace\n%reload_ext otrace"
    _, plain, value, quiet, failed, after, sync = run(
        kernel,
        twice,
        "%%otrace" + AWAITING,
        "%%otrace --export chrome=x.json\nawait fetch(found[2])",
        "%%otrace\nawait fetch(4);",
        "%%otrace\nawait asyncio.gather(fetch(5))\n1 / 0",
        "await fetch(len(found))",
        "%%otrace\nasyncio.get_running_loop() and found",
    )
    text = plain[0]["data"]["text/plain"]
    assert re.search(r"^ .* 4  __main__\.fetch$", text, re.MULTILINE)
    assert not re.search("ipykernel|IPython|zmq", text)
    assert FRAME.findall(plain[0]["data"]["text/html"])
    assert len(plain) == len(quiet) == 1
    assert value[1]["data"]["text/plain"] == "2"
    assert [output["output_type"] for output in failed] == ["display_data", "error"]
    assert failed[1]["ename"] == "ZeroDivisionError"
    assert after[0]["data"]["text/plain"] == "3"
    assert sync[1]["data"]["text/plain"] == "[0, 1, 2]"


def test_the_frame_keeps_to_itself(kernel):
    _, (shown, *_) = run(kernel, "%load_ext otrace", "%%otrace --export chrome" + WORK)
    ((attributes, source),) = FRAME.findall(shown["data"]["text/html"])
    assert "allow-same-origin" not in attributes
    assert html.unescape(source).startswith("<!doctype html>")
    assert len(source) < 200_000


def test_a_file_that_is_too_large_is_named(tmp_path, monkeypatch):
    from otrace import notebook

    small, large = tmp_path / "a<b.json", tmp_path / "large.json.gz"
    small.write_bytes(b"x" * 1000)
    large.write_bytes(b"x" * 1001)
    monkeypatch.setattr(notebook, "LARGEST_READ", 1000)
    assert 'download="a&lt;b.json.gz">' in notebook.link(str(small))
    assert "too large" in notebook.link(str(large))
    assert notebook.link("http://x/<") == "http://x/&lt;"
