"""`python -m arena` is the program `arena`."""

from arena.cli import main

main()
