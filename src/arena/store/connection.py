"""One connection to one database file: how it is opened and brought up to date, and what a transaction is.

A connection belongs to the thread that opened it (sqlite3 enforces it). Several connections, of one process or of
several, may hold the same file: readers see the last commit, writers take turns and wait for at most `BUSY_S`.
"""

from __future__ import annotations

import contextlib
import glob
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from arena.core.errors import ArenaError
from arena.store import schema
from arena.store.backup import back_up, free_name
from arena.store.faults import primary, spoken
from arena.store.inspection import holds_data, look_first, prepare_file, refuse_foreign

BUSY_S = 10.0
"""How long a writer waits for another one. A transaction here takes milliseconds."""
_OLDEST_SQLITE = (3, 37, 0)  # strict tables


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
        with spoken(path):
            prepare_file(path)
            look_first(path, BUSY_S)
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
        with self._transaction("BEGIN IMMEDIATE") as conn:
            yield conn

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Several queries that see one and the same state."""
        conn = self._conn
        with spoken(self.path):
            conn.execute("BEGIN")
            try:
                yield
            finally:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")

    @contextlib.contextmanager
    def scratch(self) -> Iterator[sqlite3.Connection]:
        """One transaction on temporary tables alone: it may take long, and keeps nobody waiting."""
        with self._transaction("BEGIN") as conn:
            yield conn

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """On disk when the block is left, undone when it raises."""
        conn = self._conn
        with spoken(self.path):
            conn.execute(begin)
            try:
                yield conn
                conn.execute("COMMIT")
            except BaseException:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
                raise

    def rows(self, sql: str, **values: Any) -> list[sqlite3.Row]:  # noqa: ANN401 - what SQLite can store
        """The rows of a query with named parameters."""
        with spoken(self.path):
            found: list[sqlite3.Row] = self._conn.execute(sql, values).fetchall()
        return found

    def damage(self) -> str:
        """The first thing that is wrong with the file, in SQLite's words; '' where it is whole. Reads all of it."""
        try:
            (found,) = self._conn.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            return str(error)
        return "" if found == "ok" else str(found)

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
            if primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    # FULL: in WAL mode NORMAL does not reach the disk at a commit, and a power cut would take back votes that the
    # screen has confirmed and whose names it has shown. A vote a minute pays for an fsync.
    conn.execute("PRAGMA synchronous = FULL")


def _bring_up_to_date(conn: sqlite3.Connection, path: Path) -> None:
    """Run the steps that are missing. Another process may have changed the file since it was first looked at.

    A file with data in it is copied first, to a name that stands beside it from then on; without its copy nothing is
    changed. The write lock is held: the copy is what the steps begin with.
    """
    applied = refuse_foreign(conn, path)
    missing = [step for step in schema.STEPS if step not in applied]
    if not missing:
        return
    from arena.store import migrations  # noqa: PLC0415 - heavy, and only for a new file or a new version

    # What a migration left that was killed while it copied: only one at a time holds the lock.
    for part in path.parent.glob(f"{glob.escape(path.name)}.before-*.part*"):
        part.unlink(missing_ok=True)
    copy = back_up(path, free_name(path, f"before-{missing[0].partition('_')[0]}")) if holds_data(conn) else None
    try:
        migrations.apply(conn)
    except BaseException:
        if copy is not None:
            copy.unlink(missing_ok=True)  # all is as it was; a step that fails at every start must not fill the disk
        raise
