"""Libraries in C that call back: expat, csv, sqlite3, struct and hashlib beside them."""

import csv
import hashlib
import io
import sqlite3
import struct
from xml.parsers import expat

log = []


def start(name, attributes):
    log.append((name, len(attributes)))


def text(data):
    log.append(data)


parser = expat.ParserCreate()
parser.StartElementHandler = start
parser.CharacterDataHandler = text
parser.Parse("<a x='1'><b>text</b><b/></a>", True)


def lines():
    yield "a,b\n"
    yield '"quoted, text",2\n'


def twice(x):
    if x == 3:
        raise ValueError("three")
    return x * 2


database = sqlite3.connect(":memory:")
database.create_function("twice", 1, twice)
print(log, list(csv.reader(lines())), database.execute("select twice(2)").fetchone())
try:
    database.execute("select twice(3)").fetchall()
except sqlite3.OperationalError as error:
    print(error)
database.close()
out = io.StringIO()
csv.DictWriter(out, ["a", "b"]).writerow({"a": 1, "b": 2})
print(out.getvalue(), struct.unpack("<h", b"\1\0"), hashlib.sha256(b"x").hexdigest()[:8])
