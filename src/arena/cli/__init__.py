"""The command line: the front door."""

from arena.cli.commands import main

__all__ = ["main"]
