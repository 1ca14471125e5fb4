"""logging to a StringIO, with a filter, a formatter, an exception and a child logger."""

import io
import logging

logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging.logAsyncioTasks = False


class Only(logging.Filter):
    def filter(self, record):
        return "skip" not in record.getMessage()


stream = io.StringIO()
handler = logging.StreamHandler(stream)
handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
handler.addFilter(Only())
log = logging.getLogger("oracle")
log.propagate = False
log.addHandler(handler)
log.setLevel(logging.INFO)
for i in range(3):
    log.info("number %d", i)
log.debug("not shown")
log.warning("skip this")
logging.getLogger("oracle.child").error("from %s", "child")
try:
    1 / 0
except ZeroDivisionError:
    log.error("failed", exc_info=False)
print(stream.getvalue())
