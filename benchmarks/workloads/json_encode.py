"""The standard library's JSON encoder in pure Python."""

import json.encoder

from timing import measure

DATA = {
    "users": [
        {"id": i, "name": f"user {i}", "tags": ["a", "b", str(i)], "score": i / 7, "extra": None}
        for i in range(1500)
    ]
}


def work() -> int:
    json.encoder.c_make_encoder = None  # type: ignore[attr-defined]
    encoder = json.encoder.JSONEncoder(indent=1)
    return sum(len(encoder.encode(DATA)) for _ in range(4))


measure(work)
