"""A Celery worker: bill() is slow for many things."""

import os
import time

import telemetry
from celery import Celery
from opentelemetry.instrumentation.celery import CeleryInstrumentor

telemetry.set_up("jobs")  # once, before the worker forks
CeleryInstrumentor().instrument()
app = Celery("jobs", broker=os.environ.get("BROKER", "redis://localhost"))


@app.task
def bill(things: int) -> float:
    return sum(price(thing) for thing in range(things))


def price(thing: int) -> float:
    time.sleep(0.02)
    return 1.5 * thing
