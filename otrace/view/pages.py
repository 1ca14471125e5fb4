"""The viewer's own pages: the list of a folder, the hand-over to the public UI, and errors."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import time
from dataclasses import dataclass
from urllib.parse import quote

from otrace.view.items import Item, Library
from otrace.view.ui import ONLINE

STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1d2430, #e6e9ef);
  --soft: light-dark(#5c6675, #9aa5b5); --line: light-dark(#dfe3e9, #2c3440);
  --paper: light-dark(#ffffff, #14181f); --hover: light-dark(#f3f6fa, #1c222c);
  --accent: light-dark(#1a56c4, #7aa8ff); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 3rem 1.25rem; }
h1 { font-size: 1.35rem; font-weight: 600; margin: 0 0 .25rem; overflow-wrap: anywhere; }
p { color: var(--soft); margin: 0 0 1.5rem; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .85rem; }
th, td { padding: .5rem .75rem; border-bottom: 1px solid var(--line); }
tbody tr:hover { background: var(--hover); }
td { font-variant-numeric: tabular-nums; }
td:first-child { overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
button { font: inherit; color: #fff; background: #1a56c4; border: 0; border-radius: 6px;
  padding: .5rem 1rem; cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""

# The public UI hears messages only once it is loaded: it is asked until it answers.
HANDOVER = """
"use strict";
const trace = JSON.parse(document.getElementById("trace").textContent);
const said = document.getElementById("said");
let sending = false;

function openUi() {
  const ui = window.open(trace.ui);
  if (!ui) {
    said.textContent = "The browser kept the window back. Press the button.";
    return;
  }
  const asking = setInterval(() => ui.postMessage("PING", trace.ui), 100);
  window.addEventListener("message", function answer(event) {
    if (event.source !== ui || event.origin !== trace.ui || event.data !== "PONG") return;
    clearInterval(asking);
    window.removeEventListener("message", answer);
    hand(ui);
  });
}

async function hand(ui) {
  if (sending) return;
  sending = true;
  try {
    said.textContent = "Reading the trace…";
    const response = await fetch(trace.path);
    if (!response.ok) throw new Error(`the server says ${response.status}`);
    const buffer = await response.arrayBuffer();
    const message = {perfetto: {buffer, title: trace.name, fileName: trace.name}};
    ui.postMessage(message, trace.ui, [buffer]);
    said.textContent = "The trace is open in the other window. This one can be closed.";
  } catch (error) {
    said.textContent = `The trace could not be handed over: ${error.message}`;
  } finally {
    sending = false;
  }
}

document.getElementById("open").addEventListener("click", openUi);
openUi();
"""


@dataclass(frozen=True)
class Page:
    """A page and what it may do."""

    html: bytes
    policy: str


def page_of(title: str, body: str, script: str = "") -> Page:
    """A page. `body` is HTML; nothing but its own style and script runs in it."""
    policy = (
        f"default-src 'none'; style-src {hash_of(STYLE)}; "
        f"script-src {hash_of(script) if script else chr(39) + 'none' + chr(39)}; "
        "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
    code = f"<script>{script}</script>" if script else ""
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n"
        f"<body><main>{body}</main>\n{code}</body></html>\n"
    )
    return Page(text.encode(), policy)


def list_page(library: Library) -> Page:
    """The traces and recordings of a folder."""
    items = library.items()
    title = f"<h1>{escape(library.title)}</h1>"
    if not items:
        words = "There are no traces and no recordings in this folder."
        return page_of(library.title, f"{title}<p>{words}</p>")
    rows = "\n".join(map(row_of, items))
    return page_of(
        library.title,
        f"{title}<p>Each opens in Perfetto&rsquo;s UI; a recording is converted first.</p>"
        '<table><thead><tr><th scope="col">Name</th><th scope="col" class="number">Size</th>'
        f'<th scope="col" class="number">Written</th></tr></thead>'
        f"<tbody>\n{rows}\n</tbody></table>",
    )


def row_of(item: Item) -> str:
    """An item of the list."""
    href = f"/open/{quote(item.name, safe='', errors='surrogateescape')}"
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.changed))
    return (
        f'<tr><td><a href="{href}">{escape(item.name)}</a></td>'
        f'<td class="number">{item.size / 1e6:,.1f} MB</td><td class="number">{written}</td></tr>'
    )


def handover_page(name: str, path: str) -> Page:
    """Opens the public UI, and gives it the trace at `path`."""
    data = json.dumps({"name": name, "path": path, "ui": ONLINE}).replace("<", "\\u003c")
    return page_of(
        name,
        f"<h1>{escape(name)}</h1>"
        "<p>Opens in Perfetto&rsquo;s UI. The trace goes from this page to that one inside the "
        'browser, and nowhere else.</p><button type="button" id="open">Open in Perfetto</button>'
        '<p id="said" role="status"></p>'
        f'<script type="application/json" id="trace">{data}</script>',
        HANDOVER,
    )


def error_page(words: str) -> Page:
    """What went wrong."""
    return page_of("otrace", f"<h1>This cannot be shown</h1><p>{escape(words)}</p>")


def escape(text: str) -> str:
    """Text as HTML; lone surrogates become visible."""
    return html.escape(text.encode("utf-8", "backslashreplace").decode())


def hash_of(text: str) -> str:
    """The source of a policy that allows this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
