"""Two tasks that wake each other: 100,000 awaits of a future."""

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "workloads"))

from timing import measure

AWAITS = 100_000


async def player(box: list[Any], mine: int, other: int) -> int:
    loop = asyncio.get_running_loop()
    for _ in range(AWAITS // 2):
        box[mine] = loop.create_future()
        wake(box[other])
        await box[mine]
    wake(box[other])
    return AWAITS // 2


def wake(future: Any) -> None:
    if future is not None and not future.done():
        future.set_result(None)


async def main() -> list[int]:
    box: list[Any] = [None, None]
    return await asyncio.gather(player(box, 0, 1), player(box, 1, 0))


measure(lambda: sum(asyncio.run(main())))
