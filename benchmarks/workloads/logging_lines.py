"""logging: records formatted and handed to a stream that forgets them."""

import logging
import os

from timing import measure

logger = logging.getLogger("bench")
logger.setLevel(logging.INFO)
logger.propagate = False
stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the whole run
handler = logging.StreamHandler(stream)
handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
logger.addHandler(handler)


def work() -> int:
    for i in range(12_000):
        logger.info("line %d of %s", i, "many")
        logger.debug("never shown %d", i)
    return 12_000


measure(work)
