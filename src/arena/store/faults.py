"""Faults of the file and the disk as sentences that say what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from arena.core.errors import ArenaError

DAMAGED = ("is damaged", "`arena doctor --repair` saves what can be read of it, and keeps the damaged file.")
_SENTENCES = {
    sqlite3.SQLITE_BUSY: ("is in use by another program that does not let go of it", "Try again when that is done."),
    sqlite3.SQLITE_LOCKED: ("is in use by another program that does not let go of it", "Try again when that is done."),
    sqlite3.SQLITE_FULL: ("can't grow: the disk is full", "Make room, or name another file with --db."),
    sqlite3.SQLITE_READONLY: ("can't be written", "Change its permissions, or name another file with --db."),
    sqlite3.SQLITE_PERM: ("can't be written", "Change its permissions, or name another file with --db."),
    sqlite3.SQLITE_CANTOPEN: ("can't be opened", "Change its permissions, or name another file with --db."),
    sqlite3.SQLITE_IOERR: ("can't be read or written: the disk reports an error", "Name another file with --db."),
    sqlite3.SQLITE_NOTADB: DAMAGED,  # what never was a database is refused before SQLite sees it
    sqlite3.SQLITE_CORRUPT: DAMAGED,
}


@contextlib.contextmanager
def spoken(path: Path) -> Iterator[None]:
    """Faults of the file and the disk as sentences; faults of this program (bad SQL, wrong thread) as they are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        sentence = _SENTENCES.get(primary(error))
        if sentence is None:
            raise
        raise ArenaError(f"The database {path} {sentence[0]}.", sentence[1]) from error


def primary(error: sqlite3.Error) -> int:
    """The primary result code of SQLite; 0 when the error is not SQLite's."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
