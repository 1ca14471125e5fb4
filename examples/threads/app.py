"""Three workers compress pages from a queue that a fourth thread fills. Who waits for whom?"""

import queue
import threading
import time
import zlib

WORKERS = 3
PAGES = 12
PAGE = b"The quick brown fox jumps over the lazy dog. " * 8_000


def feed(pages):
    """Pages come from somewhere slow."""
    for number in range(PAGES):
        time.sleep(0.001)
        pages.put((number, PAGE + bytes([number])))
    for _ in range(WORKERS):
        pages.put(None)


def work(pages, done):
    """Take pages until there are no more. zlib releases the GIL: here threads run side by side."""
    while (page := pages.get()) is not None:
        number, data = page
        done[number] = compress(data)
    threading.current_thread().name += " (done)"


def compress(data):
    return len(zlib.compress(data, level=6))


def check(done, number):
    """A short thread. The next one often gets the same id from the system."""
    assert done[number] < len(PAGE) // 10, f"page {number} did not become smaller"


def main():
    pages = queue.Queue(maxsize=4)
    done = {}
    workers = [
        threading.Thread(target=work, args=(pages, done), name=f"worker {number}")
        for number in range(WORKERS)
    ]
    feeder = threading.Thread(target=feed, args=(pages,), name="feeder")
    for thread in (*workers, feeder):
        thread.start()
    for thread in (*workers, feeder):
        thread.join()
    for number in range(3):
        thread = threading.Thread(target=check, args=(done, number), name=f"check {number}")
        thread.start()
        thread.join()
    print(f"{len(done)} pages, {sum(done.values())} bytes")


if __name__ == "__main__":
    main()
