"""The command line: the front door."""

from arena.cli import exchange, keeping, past, score_commands  # noqa: F401 - they add their commands to the others
from arena.cli.commands import main

__all__ = ["main"]
