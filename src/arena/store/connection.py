"""One connection to one database file: how it is opened, what a transaction is, which sentence a fault becomes.

A connection belongs to the thread that opened it (sqlite3 enforces it). Several connections, of one process or of
several, may hold the same file: readers see the last commit, writers take turns and wait for at most `BUSY_S`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from arena.core.errors import ArenaError
from arena.store import schema

BUSY_S = 10.0
"""How long a writer waits for another one. A transaction here takes milliseconds."""
_MAGIC = b"SQLite format 3\0"
_OLDEST_SQLITE = (3, 37, 0)  # strict tables
_SENTENCES = {
    sqlite3.SQLITE_BUSY: ("is in use by another program that does not let go of it", "Try again when that is done."),
    sqlite3.SQLITE_LOCKED: ("is in use by another program that does not let go of it", "Try again when that is done."),
    sqlite3.SQLITE_FULL: ("can't grow: the disk is full", "Make room, or name another file with --db."),
    sqlite3.SQLITE_READONLY: ("can't be written", "Change its permissions, or name another file with --db."),
    sqlite3.SQLITE_PERM: ("can't be written", "Change its permissions, or name another file with --db."),
    sqlite3.SQLITE_CANTOPEN: ("can't be opened", "Change its permissions, or name another file with --db."),
    sqlite3.SQLITE_IOERR: ("can't be read or written: the disk reports an error", "Name another file with --db."),
    sqlite3.SQLITE_NOTADB: ("is no database", "Name another file with --db. The file was left as it is."),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "Restore a copy, or name another file with --db."),
}


class Connection:
    """An open database. Close it, or use it as a context manager."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        """Take over a connection that `open` prepared."""
        self._conn = conn
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Connection:
        """Open the database, creating it (0600, its directory 0700) and bringing its schema up to date.

        Raises ArenaError when it can't be opened, is no database, or was written by a newer arena or another program;
        such a file is left as it is.
        """
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise ArenaError(
                f"Python's SQLite is {sqlite3.sqlite_version}, too old for arena.", "Use a Python with 3.37 or newer."
            )
        with _spoken(path):
            _prepare_file(path)
            _look_first(path)
            # No implicit transactions: every BEGIN is written out below.
            conn = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            conn.row_factory = sqlite3.Row
            try:
                _configure(conn)
                opened = cls(conn, path)
                with opened.writing():
                    _bring_up_to_date(conn, path)
            except BaseException:
                conn.close()
                raise
        return opened

    def close(self) -> None:
        """Give the file back. May be called twice."""
        self._conn.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that writes; on disk when the block is left, undone when it raises.

        It takes the write lock at once: a transaction that reads first and writes later fails, whatever the time-out,
        when another one has written in between.
        """
        conn = self._conn
        with _spoken(self.path):
            conn.execute("BEGIN IMMEDIATE")
            try:
                yield conn
                conn.execute("COMMIT")
            except BaseException:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Several queries that see one and the same state."""
        conn = self._conn
        with _spoken(self.path):
            conn.execute("BEGIN")
            try:
                yield
            finally:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")

    @contextlib.contextmanager
    def scratch(self) -> Iterator[sqlite3.Connection]:
        """One transaction on temporary tables alone: it may take long, and keeps nobody waiting."""
        conn = self._conn
        with _spoken(self.path):
            conn.execute("BEGIN")
            try:
                yield conn
                conn.execute("COMMIT")
            except BaseException:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
                raise

    def rows(self, sql: str, **values: Any) -> list[sqlite3.Row]:  # noqa: ANN401 - what SQLite can store
        """The rows of a query with named parameters."""
        with _spoken(self.path):
            found: list[sqlite3.Row] = self._conn.execute(sql, values).fetchall()
        return found

    def insert(self, table: str, row: Mapping[str, Any], *, unless_known: bool = False) -> None:
        """Add a row, given by its columns; with `unless_known` only when its key is new. Raises IntegrityError."""
        columns, values = ", ".join(row), ", ".join(f":{column}" for column in row)
        or_not = " ON CONFLICT DO NOTHING" if unless_known else ""
        # Tables and columns are names of this package, every value is a parameter.
        self._conn.execute(f"INSERT INTO {table} ({columns}) VALUES ({values}){or_not}", row)  # noqa: S608


def _configure(conn: sqlite3.Connection) -> None:
    """Foreign keys, the log, and when a commit counts as done."""
    conn.execute("PRAGMA foreign_keys = ON")
    # WAL: readers never wait for a writer, a killed process leaves a file that is whole.
    # The switch does not honour the time-out while another process switches, so it is asked for again.
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            conn.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    # FULL: in WAL mode NORMAL does not reach the disk at a commit, and a power cut would take back votes that the
    # screen has confirmed and whose names it has shown. A vote a minute pays for an fsync.
    conn.execute("PRAGMA synchronous = FULL")


def _bring_up_to_date(conn: sqlite3.Connection, path: Path) -> None:
    """Run the steps that are missing. Another process may have changed the file since it was first looked at."""
    if len(_refuse_foreign(conn, path)) == len(schema.STEPS):
        return
    from arena.store import migrations  # noqa: PLC0415 - heavy, and only for a new file or a new version

    migrations.apply(conn)


def _refuse_foreign(conn: sqlite3.Connection, path: Path) -> set[str]:
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


def _prepare_file(path: Path) -> None:
    """Create the file for its owner alone; one that exists keeps its permissions."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ArenaError(
            f"The database {path} can't be opened: {why}.", "Change its permissions, or name another file with --db."
        ) from error
    if not path.is_file():
        raise ArenaError(f"The database {path} is no file.", "Name another file with --db.")


def _look_first(path: Path) -> None:
    """Refuse what is not ours before anything is opened for writing: not a byte of it may change.

    A connection that writes may checkpoint, which changes the file; one that reads a WAL database leaves two small
    files beside it, unless it is told that the file stands still, as it does when there is no log.
    """
    with path.open("rb") as file:
        beginning = file.read(len(_MAGIC))
    if not beginning:
        return
    if beginning != _MAGIC:  # SQLite itself takes a file of a few bytes for an empty database, and writes over it
        raise ArenaError(f"The database {path} is no database.", "Name another file with --db.")
    if Path(f"{path}-journal").exists():
        return  # a commit was cut short before WAL was on: only a writer can finish it
    still = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    conn = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{still}", uri=True, timeout=BUSY_S)
    try:
        _refuse_foreign(conn, path)
    finally:
        conn.close()


@contextlib.contextmanager
def _spoken(path: Path) -> Iterator[None]:
    """Faults of the file and the disk as sentences; faults of this program (bad SQL, wrong thread) as they are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        sentence = _SENTENCES.get(_primary(error))
        if sentence is None:
            raise
        raise ArenaError(f"The database {path} {sentence[0]}.", sentence[1]) from error


def _primary(error: sqlite3.Error) -> int:
    """The primary result code of SQLite; 0 when the error is not SQLite's."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
