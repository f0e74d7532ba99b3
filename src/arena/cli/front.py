"""What every command starts with and speaks through: its files, its Arena, its two streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from arena.wiring import Arena

F = TypeVar("F", bound=Callable[..., Any])
_PLACES = (
    click.option("--db", type=click.Path(path_type=Path), help="The SQLite file with rounds and votes.  [ARENA_DB]"),
    click.option("--config", type=click.Path(path_type=Path), help="The config file.  [ARENA_CONFIG]"),
)


def places(command: F) -> F:
    """Give a command --db and --config; it gets them as `db` and `config`."""
    for option in reversed(_PLACES):
        command = option(command)
    return command


@contextmanager
def opened(db: Path | None, config: Path | None) -> Iterator[Arena]:
    """An Arena on these files, closed afterwards. What stands before the command counts where it says nothing."""
    from arena.config import load  # noqa: PLC0415 - `arena --help` is quick because nothing is imported before its use
    from arena.wiring import Arena  # noqa: PLC0415

    given = click.get_current_context().find_root().params
    arena = Arena(load(config or given.get("config"), db or given.get("db")))
    try:
        yield arena
    finally:
        arena.close()


def narrate(text: str) -> None:
    """A line for the person, on stderr."""
    click.echo(text, err=True)


def print_json(value: object) -> None:
    """One line of JSON on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False))
