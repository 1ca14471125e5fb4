"""A Flask service. /order is quick for one thing, and slow for many; it asks the stock service."""

import os
import time

import requests
import telemetry
from flask import Flask, request
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor

STOCK = os.environ.get("STOCK", "http://127.0.0.1:8002")

telemetry.set_up("shop")
RequestsInstrumentor().instrument()
app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)
tracer = trace.get_tracer("shop")


@app.get("/order/<int:things>")
def order(things: int) -> dict[str, object]:
    prices = [price(thing) for thing in range(things)]
    with tracer.start_as_current_span("discount") as span:
        span.set_attribute("things", things)
        total = discount(sum(prices))
    left = stock() if request.args.get("stock") else None
    return {"total": total, "left": left}


def price(thing: int) -> float:
    time.sleep(0.01)
    return 1.5 * thing


def discount(total: float) -> float:
    return total * 0.9 if total > 10 else total


def stock() -> object:
    return requests.get(f"{STOCK}/stock/7", timeout=5).json()


@app.get("/count")
def count() -> dict[str, object]:
    return {"left": requests.get(f"{STOCK}/count/7", timeout=5).json()}


@app.get("/broken")
def broken() -> str:
    return str(price(1) / 0)
