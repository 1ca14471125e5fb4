"""A daemon thread that is still inside its calls when the program ends."""

import threading

ready = threading.Event()
never = threading.Event()


def inner():
    ready.set()
    never.wait()


def outer():
    inner()


threading.Thread(target=outer, name="background", daemon=True).start()
ready.wait()
print("over")
