"""The command line: the front door."""

from arena.cli import keeping  # noqa: F401 - it adds its commands to the others
from arena.cli.commands import main

__all__ = ["main"]
