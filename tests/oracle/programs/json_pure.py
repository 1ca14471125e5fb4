"""The pure-Python JSON encoder (indent needs it) and decoder hooks."""

import json


class Encoder(json.JSONEncoder):
    def default(self, value):
        return sorted(value) if isinstance(value, set) else super().default(value)


def hook(pairs):
    return dict(pairs)


document = {"list": [1, 2.5, None, True], "nested": {"a": {"b": ["c"]}}, "text": 'q"uote\n'}
text = json.dumps(document, indent=1, sort_keys=True)
print(text)
print(json.loads(text, object_pairs_hook=hook) == document)
print(json.dumps({"s": {3, 1}}, cls=Encoder))
try:
    json.dumps(object(), indent=1)
except TypeError as error:
    print(type(error).__name__)
print(json.loads("[1.5, 2]", parse_float=str, parse_int=lambda text: -int(text)))
