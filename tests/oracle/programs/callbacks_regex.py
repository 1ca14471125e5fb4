"""re with functions as replacements, and a pattern compiled while recording."""

import re


def upper(match):
    return match.group(0).upper()


def number(match):
    return str(int(match[1]) + 1)


def main():
    pattern = re.compile(r"(\d+)|([a-z]+)oracle_(?P<name>x*)")
    text = re.sub(r"b+oracle", upper, "a bboracle c boracle")
    counts = pattern.sub(number, "1 22 333")
    found = [match.span() for match in pattern.finditer("12 aoracle_xx")]
    return text, counts, found, re.split(r"[,;]oracle", "a,oracleb;oraclec")


print(main())
try:
    re.compile("(oracle")
except re.error as error:
    print(error)
