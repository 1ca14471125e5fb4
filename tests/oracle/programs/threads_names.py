"""Thread names of all kinds, and threads that are named by number."""

import threading


def work():
    return threading.current_thread().name


names = ["", "tab\tand\nline", "quote\" and \\", "größe 函数 😀", "x" * 300, "<script>"]
for name in names:
    thread = threading.Thread(target=work)
    thread.name = name
    thread.start()
    thread.join()
for _ in range(3):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
