"""httpx asks uvicorn, both in one loop: requests over kept connections, ten at a time."""

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "workloads"))

import httpx
import uvicorn
from timing import measure

REQUESTS, CLIENTS = 300, 10


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b"".join(str(number).encode() for number in range(20))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def ask(client: httpx.AsyncClient, url: str, times: int) -> list[int]:
    return [len((await client.get(url)).content) for _ in range(times)]


async def main() -> int:
    config = uvicorn.Config(application, port=0, log_level="error", lifespan="off", loop="asyncio")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.001)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{port}/"
        each = [ask(client, url, REQUESTS // CLIENTS) for _ in range(CLIENTS)]
        sizes = await asyncio.gather(*each)
    server.should_exit = True
    await serving
    return sum(map(sum, sizes))


measure(lambda: asyncio.run(main()))
