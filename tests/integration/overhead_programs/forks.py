"""Forks while a function is switched off."""

import os
import sys
import time


def tiny():
    pass


def spend():
    sum(range(2000))


def hot(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(500):
            tiny()
        spend()


def child():
    for _ in range(30):
        spend()
        time.sleep(0.02)
    for _ in range(7):
        tiny()
    spend()


hot(0.6)
if (pid := os.fork()) == 0:
    child()
    sys.exit()
os.waitpid(pid, 0)
print(pid)
