"""html.parser over a page made of rows."""

from html.parser import HTMLParser

from timing import measure

PAGE = (
    "<html><body><table>"
    + "".join(
        f"<tr class='row'><td id=c{i}>cell &amp; {i}</td><td><a href='/x?{i}'>link</a></td></tr>"
        for i in range(2500)
    )
    + "</table></body></html>"
)


class Counter(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen += 1 + len(attrs)

    def handle_endtag(self, tag: str) -> None:
        self.seen += 1

    def handle_data(self, data: str) -> None:
        self.seen += len(data)


def work() -> int:
    parser = Counter()
    parser.feed(PAGE)
    return parser.seen


measure(work)
