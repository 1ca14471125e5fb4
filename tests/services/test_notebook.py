"""`%%otrace` in a real kernel, and what it shows in a real browser."""

from __future__ import annotations

import html
import re
import sys

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
    assert '<a href="otrace-cell-2.pftrace" download>' in shown["data"]["text/html"]

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

    pages.visit(page, act)


def test_the_frame_keeps_to_itself(kernel):
    _, (shown, *_) = run(kernel, "%load_ext otrace", "%%otrace --export chrome" + WORK)
    ((attributes, source),) = FRAME.findall(shown["data"]["text/html"])
    assert "allow-same-origin" not in attributes
    assert html.unescape(source).startswith("<!doctype html>")
    assert len(source) < 200_000
