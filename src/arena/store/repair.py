"""The repair of a damaged database: a new file with all that is readable of it takes its place, and it is kept aside.

Nothing is done to the damaged file but that it gets another name, and only when the new one is complete.
"""

from __future__ import annotations

import glob
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from arena.core.errors import ArenaError
from arena.core.rounds import RoundState
from arena.store import migrations, schema
from arena.store.afterwards import OF_A_ROUND
from arena.store.backup import free_name, sync_folder
from arena.store.faults import spoken
from arena.store.inspection import was_ours
from arena.store.ledger import SqliteLedger
from arena.store.salvage import Haul, Sink, Source, carry

DAMAGED = "damaged"
"""The flag of a round that lost an answer or a seat: it is void."""
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510
"""The bytes of the file on which every open connection of SQLite holds a lock, in write-ahead mode all the time."""
_STRANGERS = {
    "import_battles": """
DELETE FROM import_battles WHERE 2 > (
    SELECT count(*) FROM import_contestants AS known
    WHERE known.import = import_battles.import AND known.id IN (import_battles.a, import_battles.b))
""",
    "import_rounds": """
DELETE FROM import_rounds WHERE EXISTS (
    SELECT 1 FROM json_each(import_rounds.seats) AS place WHERE place.value NOT IN (
        SELECT known.id FROM import_contestants AS known WHERE known.import = import_rounds.import))
""",
}
"""What was imported and names contestants of its file that are gone."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair has saved."""

    path: Path
    kept: Path
    """The damaged file under its new name."""
    rounds: int
    votes: int
    """Those that stand."""
    void: int
    """Rounds among the saved ones that lost an answer or a seat, and can't be judged or counted any more."""
    hauls: Mapping[str, Haul]
    """What became of each table."""
    stand_ins: Mapping[str, int]
    """How many rows of a table had to be made up from their key, so that votes count on."""


def repair(path: Path) -> Repaired | None:
    """Save what is readable of a damaged database. None: it is whole, and was left as it is.

    Raises ArenaError when another arena has it open, when it is of a newer arena or of another program, or when the new
    file can't be written; then all is as it was.
    """
    path = path.resolve()  # behind a link the log stands beside the file, and the link stays one
    name = f".{path.name}-repair-"
    try:
        with _alone(path) as file:
            for left in path.parent.glob(f"{glob.escape(name)}*"):  # of a repair that was killed
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(prefix=name, dir=path.parent) as scratch:
                return _repair(path, file, Path(scratch))
    except OSError as error:
        raise ArenaError(
            f"The database {path} can't be repaired: {error.strerror or error}.",
            "Make room, or allow writing there. The damaged file is as it was.",
        ) from error


def _repair(path: Path, file: BinaryIO, scratch: Path) -> Repaired | None:
    copy, fresh = scratch / "copy.db", scratch / "fresh.db"
    with copy.open("wb") as to:
        shutil.copyfileobj(file, to)
    log = Path(f"{path}-wal")
    if log.exists():
        shutil.copyfile(log, f"{copy}-wal")
    with closing(sqlite3.connect(copy, isolation_level=None)) as conn:
        if _is_whole(conn):
            return None
        steps = _steps(conn, path, file)
        with spoken(path):
            hauls, stand_ins = _rebuilt(Source(conn), fresh, steps)
    with SqliteLedger(fresh) as ledger:
        void = _settle(ledger, hauls)
        _settle_imports(ledger, hauls)
        (found,) = ledger._connection.rows(  # noqa: SLF001 - the same room
            "SELECT (SELECT count(*) FROM rounds) AS rounds,"
            " (SELECT count(*) FROM votes WHERE retracted_at IS NULL) AS votes"
        )
    kept = free_name(path, f"damaged-{datetime.now().astimezone().date()}")
    _take_the_place(path, file, fresh, kept)
    return Repaired(path, kept, found["rounds"], found["votes"], void, hauls, stand_ins)


@contextmanager
def _alone(path: Path) -> Iterator[BinaryIO]:
    """The file, locked against every other program. Raises ArenaError when one has it open, or when there is none."""
    if not path.is_file():
        raise ArenaError(f"There is no database {path}.", "Name another file with --db.")
    with path.open("r+b") as file:
        if os.name != "nt":
            import fcntl  # noqa: PLC0415 - not on Windows, where an open file can't be replaced anyway

            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
            except OSError:
                raise ArenaError(
                    f"The database {path} is in use by another arena.", "Close that one, and repair then."
                ) from None
        yield file


def _is_whole(conn: sqlite3.Connection) -> bool:
    with suppress(sqlite3.DatabaseError):
        sound = [row[0] for row in conn.execute("PRAGMA integrity_check(1)")] == ["ok"]
        return sound and not conn.execute("PRAGMA foreign_key_check").fetchall()
    return False


def _steps(conn: sqlite3.Connection, path: Path, file: BinaryIO) -> int:
    """The steps of the schema that the damaged file has. Raises ArenaError when it is not one of ours."""
    version = application = 0
    with suppress(sqlite3.DatabaseError):
        version = int(conn.execute("PRAGMA user_version").fetchone()[0])
        application = int(conn.execute("PRAGMA application_id").fetchone()[0])
    if application == schema.APPLICATION_ID and version > len(schema.STEPS):
        raise ArenaError(f"The database {path} was written by a newer arena.", "Update arena, and repair then.")
    if application != schema.APPLICATION_ID and not was_ours(file):
        raise ArenaError(f"The file {path} is no database of arena.", "Name another with --db. It was left as it is.")
    return version if 0 < version <= len(schema.STEPS) else len(schema.STEPS)


def _rebuilt(source: Source, fresh: Path, steps: int) -> tuple[dict[str, Haul], dict[str, int]]:
    """Make a file of the shape that the damaged one had, with all that is readable. The ordinary migration follows."""
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with spoken(fresh), closing(sqlite3.connect(fresh, isolation_level=None)) as conn:
        conn.row_factory = sqlite3.Row
        conn.execute("PRAGMA foreign_keys = ON")
        conn.execute("BEGIN IMMEDIATE")
        migrations.apply(conn, steps)
        sink = Sink(conn)
        hauls = carry(source, sink)
        conn.execute("COMMIT")
    return hauls, sink.stand_ins


def _settle(ledger: SqliteLedger, hauls: Mapping[str, Haul]) -> int:
    """Read every round as arena does: what it can't read goes, what is not complete is void. Returns how many are."""
    void = 0
    for row in ledger._connection.rows("SELECT id FROM rounds"):  # noqa: SLF001
        key = row["id"]
        try:
            complete = _is_complete(ledger, key)
        except (ArenaError, ValueError, TypeError, KeyError, IndexError):
            _drop(ledger, key, hauls)
            continue
        if not complete:
            ledger.void(key, DAMAGED)
            void += 1
    return void


def _settle_imports(ledger: SqliteLedger, hauls: Mapping[str, Haul]) -> None:
    """Leave out what nobody is known to have fought; the board's tallies are counted from what is left."""
    with ledger._connection.writing() as db:  # noqa: SLF001
        for table, strangers in _STRANGERS.items():
            _lose(hauls, table, db.execute(strangers).rowcount)
    ledger.retally()


def _lose(hauls: Mapping[str, Haul], table: str, count: int) -> None:
    """Count rows as lost that had been saved at first. An old shape has no hauls of tables that came later."""
    if table in hauls:
        hauls[table].kept, hauls[table].lost = hauls[table].kept - count, hauls[table].lost + count


def _is_complete(ledger: SqliteLedger, key: str) -> bool:
    """Whether a round has its seats, the answers that its vote needs, and the vote that it says it has."""
    record = ledger.round(key)
    seats = [seat.index for seat in record.round.seats]
    if record.state is RoundState.VOID:
        return True
    if len(seats) < 2 or seats != list(range(len(seats))):
        return False
    if record.state is RoundState.VOTED and record.vote is None:
        return False
    named = {seat for group in record.vote.verdict.ranking for seat in group} if record.vote else set()
    if not named <= set(seats):
        return False
    to_be_read = record.state in (RoundState.READY, RoundState.CONTINUED)
    return not to_be_read or len(record.answers) == len(seats)


def _drop(ledger: SqliteLedger, key: str, hauls: Mapping[str, Haul]) -> None:
    with ledger._connection.writing() as db:  # noqa: SLF001
        db.execute("UPDATE rounds SET continues = NULL WHERE continues = ?", [key])
        for table in OF_A_ROUND:
            _lose(hauls, table, db.execute(f"DELETE FROM {table} WHERE round = ?", [key]).rowcount)  # noqa: S608
        db.execute("DELETE FROM rounds WHERE id = ?", [key])
    _lose(hauls, "rounds", 1)


def _take_the_place(path: Path, file: BinaryIO, fresh: Path, kept: Path) -> None:
    """Give the damaged file and its log their new names, and the new file theirs."""
    with fresh.open("rb") as done:
        os.fsync(done.fileno())
    log = Path(f"{path}-wal")
    _second_name(file, path, kept)
    if log.exists():
        _second_name(None, log, Path(f"{kept}-wal"))
    sync_folder(path.parent)
    # Never the new file beside the old log: SQLite would play it into that. It is kept with its file.
    log.unlink(missing_ok=True)
    Path(f"{path}-shm").unlink(missing_ok=True)
    if os.name == "nt":
        file.close()  # an open file can't be replaced there
    fresh.replace(path)
    sync_folder(path.parent)


def _second_name(file: BinaryIO | None, path: Path, kept: Path) -> None:
    """Have a file under another name as well: by a link, else by a copy. Raises OSError."""
    try:
        os.link(path, kept)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with kept.open("xb") as to:
            if file is None:
                to.write(path.read_bytes())
            else:  # by the open file: closing another one on it would give its lock away
                file.seek(0)
                shutil.copyfileobj(file, to)
            to.flush()
            os.fsync(to.fileno())
