"""Opens Chrome files in chrome://tracing, and prints what is there: a program of its own.

    python chrome_tracing_host.py FILE...

Qt's web engine is a Chromium that still has the page. A line of JSON comes out for each file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PyQt6.QtCore import QPoint, Qt, QTimer, QUrl
from PyQt6.QtTest import QTest
from PyQt6.QtWebEngineCore import QWebEnginePage
from PyQt6.QtWebEngineWidgets import QWebEngineView
from PyQt6.QtWidgets import QApplication

ADDRESS = "chrome://tracing"
SIZE = (1400, 800)
LOOK_AGAIN_MS = 50
BUTTON = """
(() => {
    const box = document.querySelector("#load-button")?.getBoundingClientRect();
    return box ? [box.x + box.width / 2, box.y + box.height / 2] : [];
})()
"""
# What the page made of the file; empty until it is done.
SHOWN = (Path(__file__).parent / "chrome_tracing.js").read_text(encoding="utf-8")


class Tracing(QWebEnginePage):
    """Presses the page's button for each file in turn, and answers its file chooser."""

    def __init__(self, view: QWebEngineView, files: list[str]) -> None:
        super().__init__(view)
        self._view = view
        self._files = files
        self.loadFinished.connect(lambda _: self._press())

    def begin(self) -> None:
        """The next file, in a fresh page."""
        if self._files:
            self.load(QUrl(ADDRESS))
        else:
            QApplication.quit()

    def chooseFiles(self, *_: object) -> list[str]:  # noqa: N802
        return [self._files[0]]

    def _press(self) -> None:
        self.runJavaScript(BUTTON, self._press_at)

    def _press_at(self, place: list[float]) -> None:
        if not place:
            QTimer.singleShot(LOOK_AGAIN_MS, self._press)
            return
        # A chooser opens for a person's click alone.
        point = QPoint(*map(round, place))
        QTest.mouseClick(self._view.focusProxy(), Qt.MouseButton.LeftButton, pos=point)
        self._look()

    def _look(self) -> None:
        self.runJavaScript(SHOWN, self._seen)

    def _seen(self, shown: str) -> None:
        if not shown:
            QTimer.singleShot(LOOK_AGAIN_MS, self._look)
            return
        print(shown, flush=True)
        del self._files[0]
        self.begin()


def main() -> None:
    app = QApplication(sys.argv[:1])
    view = QWebEngineView()
    view.resize(*SIZE)
    page = Tracing(view, sys.argv[1:])
    view.setPage(page)
    view.show()
    page.begin()
    app.exec()


if __name__ == "__main__":
    main()
