"""sys.exit(3) from inside nested calls: the SystemExit leaves every frame."""

# oracle: status=3

import sys


def leave(code):
    try:
        sys.exit(code)
    finally:
        note("leaving")


def note(text):
    print(text)


def main():
    leave(3)


main()
