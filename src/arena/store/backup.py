"""Copies of a database: whole, of one moment, and never in place of another file.

`VACUUM INTO` reads inside one transaction. In write-ahead mode it neither waits for a writer nor keeps one waiting.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from itertools import count
from pathlib import Path

from arena.core.errors import ArenaError
from arena.store.faults import primary, spoken
from arena.store.inspection import look_first

Tell = Callable[[int, int], None]
_WAIT_S = 10.0
_STEPS = 20_000
"""Instructions of SQLite between two looks at how far a copy is."""
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def free_name(path: Path, word: str) -> Path:
    """`PATH.word`, or `PATH.word-2` where that is taken, and so on: a name beside the database."""
    names = (path.with_name(f"{path.name}.{word}{f'-{n}' if n > 1 else ''}") for n in count(1))
    return next(name for name in names if not name.exists())


def back_up_database(path: Path, target: Path | None = None, tell: Tell | None = None) -> Path:
    """A backup under a name that is free: `target`, or one with the day beside the database, or in a folder `target`.

    Raises ArenaError as `back_up`, and when there is no database, or one that is not ours.
    """
    if not path.is_file() or not path.stat().st_size:
        raise ArenaError(f"There is no database {path}.", "Name another with --db.")
    with spoken(path):
        look_first(path, _WAIT_S)
    if target is None or target.is_dir():
        target = free_name(path if target is None else target / path.name, f"{datetime.now().astimezone().date()}")
    return back_up(path, target, tell)


def back_up(source: Path, target: Path, tell: Tell | None = None) -> Path:
    """Copy a database as it stands now, for its owner alone (0600); others may write to it meanwhile.

    The copy has been opened and checked, and is on the disk, before it gets its name. Returns `target`. Raises
    ArenaError when there is a file of that name, when the disk is full, or when the source is damaged; then there is no
    copy, nor a part of one. `tell` hears now and then how many bytes are written, and of how many at most.
    """
    try:
        handle, name = tempfile.mkstemp(".part", f"{target.name}.", target.parent.absolute())
    except OSError as error:
        raise _failed(target, error.strerror) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "rb") as file:
            _copy(source, part, target, tell)
            os.fsync(file.fileno())
        _give_name(part, target)
        sync_folder(target.parent)
    except OSError as error:
        raise _failed(target, error.strerror) from error
    finally:
        part.unlink(missing_ok=True)
        Path(f"{part}-journal").unlink(missing_ok=True)
    return target


def _copy(source: Path, part: Path, target: Path, tell: Tell | None) -> None:
    """Fill an empty file, and see that a whole database stands in it."""
    # Where nobody can write there is no log to wait for, and none can be made.
    still = "" if os.access(source.parent, os.W_OK) or Path(f"{source}-wal").exists() else "&immutable=1"
    uri = f"{source.absolute().as_uri()}?mode=rw{still}"
    try:
        with spoken(source), closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None)) as conn:
            if tell is not None:
                whole = source.stat().st_size
                conn.set_progress_handler(lambda: tell(part.stat().st_size, whole), _STEPS)
            conn.execute("VACUUM INTO ?", [str(part)])
        with closing(sqlite3.connect(f"{part.as_uri()}?mode=ro", uri=True)) as conn:
            found = [row[0] for row in conn.execute("PRAGMA integrity_check(1)")]
    except ArenaError as fault:
        cause = fault.__cause__
        if isinstance(cause, sqlite3.Error) and primary(cause) in _NO_ROOM:
            full = primary(cause) == sqlite3.SQLITE_FULL
            raise _failed(target, "the disk is full" if full else "the disk reports an error") from cause
        raise
    if found != ["ok"]:
        raise ArenaError(f"The backup {target} is not whole: {found[0]}.", "`arena doctor` looks at the database.")


def _give_name(part: Path, target: Path) -> None:
    """Move it to its name without ever taking the place of another file. Raises OSError, ArenaError."""
    try:
        os.link(part, target)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not target.exists():
            part.rename(target)
            return
    else:
        return
    raise ArenaError(f"There is a file {target} already.", "It was left as it is. Name another one.")


def sync_folder(folder: Path) -> None:
    """Have the new name on the disk, where a folder can be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(target: Path, why: str | None) -> ArenaError:
    return ArenaError(
        f"The backup {target} can't be written: {why or 'the disk reports an error'}.",
        "Make room, or allow writing there. The database is as it was.",
    )
