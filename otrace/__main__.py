"""`python -m otrace`: the same as the command `otrace`."""

from otrace.cli import main

main()
