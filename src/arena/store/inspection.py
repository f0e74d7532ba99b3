"""What is looked at before a file is opened: whether it is there, whose it is, how new. Not a byte of it changes."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import BinaryIO

from arena.core.errors import ArenaError
from arena.core.folders import private_folder
from arena.store import schema
from arena.store.faults import DAMAGED

DATA_TABLES = """
SELECT name FROM sqlite_master
WHERE type = 'table' AND name NOT GLOB 'sqlite_*' AND name NOT GLOB '_sqlite_*' AND name NOT GLOB '*_fts*'
"""
"""The tables that hold what cannot be computed again."""
MAGIC = b"SQLite format 3\0"
_SEARCHED_BYTES = 2**22


def refuse_foreign(conn: sqlite3.Connection, path: Path) -> set[str]:
    """The steps that were applied. Raises ArenaError when a newer arena or another program made it. Writes nothing."""
    version = int(conn.execute("PRAGMA user_version").fetchone()[0])
    application = int(conn.execute("PRAGMA application_id").fetchone()[0])
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    applied: set[str] = set()
    if "_sqlite_migrations" in tables:
        found = conn.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ?", [schema.SET])
        applied = {name for (name,) in found}
    if applied - set(schema.STEPS) or (application == schema.APPLICATION_ID and version > len(schema.STEPS)):
        raise ArenaError(
            f"The database {path} was written by a newer arena.",
            "Update arena, or name another file with --db. The file was left as it is.",
        )
    if not applied and (version or application or tables):
        raise ArenaError(
            f"The database {path} belongs to another program.",
            "Name another file with --db. The file was left as it is.",
        )
    return applied


def holds_data(conn: sqlite3.Connection) -> bool:
    """Whether there is a row in any table that is not bookkeeping."""
    names = [name for (name,) in conn.execute(DATA_TABLES)]
    # Names of tables of this package.
    return any(conn.execute(f'SELECT EXISTS (SELECT 1 FROM "{name}")').fetchone()[0] for name in names)  # noqa: S608


def prepare_file(path: Path) -> None:
    """Create the file for its owner alone; one that exists keeps its permissions."""
    try:
        private_folder(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ArenaError(
            f"The database {path} can't be opened: {why}.", "Change its permissions, or name another file with --db."
        ) from error
    if not path.is_file():
        raise ArenaError(f"The database {path} is no file.", "Name another file with --db.")


def was_ours(file: BinaryIO) -> bool:
    """Whether the words of our schema stand near the beginning of a file whose own beginning is gone.

    It takes the open file: a repair holds a lock on it, which the close of another one would give away.
    """
    file.seek(0)
    return b"CREATE TABLE contestants" in file.read(_SEARCHED_BYTES)


def look_first(path: Path, wait_s: float) -> None:
    """Refuse what is not ours before anything is opened for writing: not a byte of it may change.

    A connection that writes may checkpoint, which changes the file; one that reads a WAL database leaves two small
    files beside it, unless it is told that the file stands still, as it does when there is no log.
    """
    with path.open("rb") as file:
        beginning = file.read(len(MAGIC))
        damaged = beginning != MAGIC and was_ours(file)
    if not beginning:
        return
    if beginning != MAGIC:  # SQLite itself takes a file of a few bytes for an empty database, and writes over it
        if damaged:
            raise ArenaError(f"The database {path} {DAMAGED[0]}.", DAMAGED[1])
        raise ArenaError(f"The database {path} is no database.", "Name another file with --db.")
    if Path(f"{path}-journal").exists():
        return  # a commit was cut short before WAL was on: only a writer can finish it
    still = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    conn = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{still}", uri=True, timeout=wait_s)
    try:
        refuse_foreign(conn, path)
    finally:
        conn.close()
