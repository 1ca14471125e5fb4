"""Pages that stand alone: style, scripts and data inside, and a policy that nothing else runs.

The files in `page/` are the sources. Scripts are joined into one, each in the order given.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from string import Template

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page")
COMPRESSION = 6
MARK = "<!doctype html>\n<!-- made by otrace -->"
"""How a page begins: what an export may overwrite unasked."""


def read(name: str, folder: str = FOLDER) -> str:
    """A source of a page."""
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


def fill(source: str, **texts: str) -> str:
    """A template with its `$names` replaced by HTML."""
    return Template(source).substitute(texts)


def document(
    title: str,
    body: str,
    *,
    styles: Sequence[str],
    scripts: Sequence[str],
    data: Mapping[str, object],
    packed: Mapping[str, bytes],
) -> bytes:
    """A whole page. `body` is HTML.

    `data` becomes JSON scripts by their ids, and `packed` compressed ones.
    """
    style = "\n".join(styles)
    script = '"use strict";\n{\n' + "\n".join(scripts) + "\n}\n"
    policy = (
        f"default-src 'none'; style-src '{hash_of(style)}'; script-src '{hash_of(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    parts = [
        MARK,
        '<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">',
        f"<style>{style}</style>\n</head>\n<body>",
        body,
        *(
            f'<script type="application/json" id="{name}">{encode(value)}</script>'
            for name, value in data.items()
        ),
        *(
            f'<script type="text/plain" id="{name}">{pack(value)}</script>'
            for name, value in packed.items()
        ),
        f"<script>{script}</script>\n</body>\n</html>\n",
    ]
    return "\n".join(parts).encode()


def hash_of(text: str) -> str:
    """What a content security policy calls a text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def encode(value: object) -> str:
    """JSON that cannot end the script element it stands in: nothing but ASCII, and no `<`."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def pack(value: bytes) -> str:
    """Bytes, deflated, in base64."""
    return base64.b64encode(zlib.compress(value, COMPRESSION)).decode()


def escape(text: str) -> str:
    """Text as HTML; lone surrogates become visible."""
    return html.escape(text.encode("utf-8", "backslashreplace").decode())


def unbroken(parts: Sequence[str]) -> str:
    """Texts as HTML with dots between them: lines end behind dots alone."""
    spans = (f'<span class="unbroken">{escape(part)}</span>' for part in parts)
    return "\u00a0\u00b7 ".join(spans)
