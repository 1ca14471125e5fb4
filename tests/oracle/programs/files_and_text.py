"""Files in a temporary folder, text and bytes: methods of extension types."""

import io
import os
import tempfile


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(line + "\n")


def read(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip() for line in file]


folder = tempfile.gettempdir()
path = os.path.join(folder, f"oracle-{os.getpid()}.txt")
try:
    write(path, ["one", "two", "größe"])
    print(read(path), os.path.getsize(path))
finally:
    os.unlink(path)
buffer = io.BytesIO()
buffer.write(b"abc")
buffer.seek(1)
print(buffer.read(), io.StringIO("x\ny").readlines(), "a,b".split(","), b"\xff".hex())
try:
    open(path + ".missing")
except FileNotFoundError as error:
    print(type(error).__name__, error.errno)
