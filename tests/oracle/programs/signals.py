"""Signal handlers in Python, raised by the program itself; one of them raises."""

import signal

seen = []


def handler(number, frame):
    seen.append(signal.Signals(number).name)


def raising(number, frame):
    raise InterruptedError("from the handler")


def work():
    signal.raise_signal(signal.SIGUSR1)
    return len(seen)


signal.signal(signal.SIGUSR1, handler)
print(work(), seen)
signal.signal(signal.SIGUSR2, raising)
try:
    signal.raise_signal(signal.SIGUSR2)
except InterruptedError as error:
    print(error)
