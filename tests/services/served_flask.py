"""served.py for `flask run`."""

import flask
import served

app = flask.Flask(__name__)


@app.get("/<int:times>")
def answer(times: int) -> str:
    return served.handle(f"/{times}")
