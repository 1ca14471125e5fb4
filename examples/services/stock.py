"""A FastAPI service: /stock waits in a coroutine, /count in a thread of the pool."""

import asyncio
import time

import telemetry
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

telemetry.set_up("stock")
app = FastAPI()
FastAPIInstrumentor.instrument_app(app)


@app.get("/stock/{thing}")
async def stock(thing: int) -> dict[str, int]:
    here, there = await asyncio.gather(shelf(thing), shelf(thing + 1))
    return {"left": here + there}


async def shelf(thing: int) -> int:
    await asyncio.sleep(0.15)
    return look(thing)


def look(thing: int) -> int:
    time.sleep(0.08)
    return thing * 3


@app.get("/count/{thing}")
def count(thing: int) -> dict[str, int]:
    return {"left": look(thing) + look(thing) + look(thing)}
