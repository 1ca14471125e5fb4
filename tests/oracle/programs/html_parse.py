"""html.parser over a small page: a real library with many small methods."""

from html.parser import HTMLParser


class Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.depth = 0
        self.lines = []

    def handle_starttag(self, tag, attrs):
        self.lines.append("  " * self.depth + tag + "".join(f" {k}={v}" for k, v in attrs))
        self.depth += 1

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_data(self, data):
        if data.strip():
            self.lines.append("  " * self.depth + repr(data))

    def handle_comment(self, data):
        self.lines.append("comment")


PAGE = (
    "<html><body class='x'><p>One &amp; two</p><!-- c --><br/><a href=\"/\">link</a></body></html>"
)
outline = Outline()
outline.feed(PAGE * 3)
outline.close()
print("\n".join(outline.lines))
