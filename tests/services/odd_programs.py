"""Programs whose recordings are odd in one way."""

DEEP = """
import sys
sys.setrecursionlimit(5000)
def recurse(n):
    return n and recurse(n - 1)
recurse(900)
"""
MANY = """
for start in range(0, 100_000, 1000):
    numbers = range(start, start + 1000)
    exec("\\n".join(f"def function_{n}(): pass\\nfunction_{n}()" for n in numbers))
"""
