"""A file of battles on its way into temporary tables, where nobody waits for it and nothing of it counts yet."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from typing import Any

from arena.core.battles import BadRow, Battle, ForeignRound, ForeignSeat
from arena.core.errors import ArenaError
from arena.core.text import counted
from arena.store import rows
from arena.store.battle_files import BattleFile
from arena.store.battle_rows import read_row

BAD_ROWS_LISTED = 20
MOST_CONTESTANTS = 5000
"""More names than that in one file are no models."""
_BATCH = 5000

_COME = (
    "CREATE TEMP TABLE incoming_battles (key, only_one, a, b, winner, blind, tags, language, cast_at)",
    """CREATE TEMP TABLE incoming_rounds
    (line, round, judge, seats, chars, kind, ranking, blind, flags, prompt, tags, language, cast_at, decided_ms)""",
)
_UNSETTLED = ("DROP TABLE IF EXISTS temp.fresh_battles", "DROP TABLE IF EXISTS temp.fresh_tallies")
_GONE = (*_UNSETTLED, "DROP TABLE IF EXISTS temp.incoming_battles", "DROP TABLE IF EXISTS temp.incoming_rounds")
COUNTED = """sum(n * (winner = 'model_a')) AS a_won, sum(n * (winner = 'model_b')) AS b_won,
    sum(n * (winner = 'tie')) AS ties, sum(n * (winner = 'both_bad')) AS both_bad"""
"""The columns of a tally."""
_FRESH = (
    """
CREATE TEMP TABLE fresh_battles AS
SELECT key, a, b, winner, blind, tags, language, cast_at, CASE WHEN only_one THEN 1 ELSE count(*) END
    - coalesce((SELECT sum(known.n) FROM import_battles AS known WHERE known.key = incoming.key), 0) AS n
FROM temp.incoming_battles AS incoming GROUP BY key HAVING n > 0
""",
    f"""
CREATE TEMP TABLE fresh_tallies AS
SELECT a, b, tags, language, {COUNTED} FROM temp.fresh_battles WHERE blind = 1 GROUP BY a, b, tags, language
""",  # noqa: S608 - all of it is written here
)
_ONE_BATTLE = "INSERT INTO temp.incoming_battles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ONE_ROUND = "INSERT INTO temp.incoming_rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CONTRADICTIONS = """
SELECT max(line), round, judge FROM temp.incoming_rounds GROUP BY round, judge
HAVING count(DISTINCT kind || ranking || seats) > 1 ORDER BY 1
"""
_OUT = "DELETE FROM temp.incoming_rounds WHERE round = ? AND judge = ?"
_UNITS = """
WITH judged AS (SELECT DISTINCT round, judge FROM temp.incoming_rounds)
SELECT (SELECT count(*) FROM temp.incoming_battles) + (SELECT count(*) FROM judged),
    (SELECT count(*) FROM judged WHERE round IN (SELECT id FROM rounds))
"""


class Incoming:
    """One file, read row by row into `temp.incoming_battles` and `temp.incoming_rounds`, and then settled."""

    def __init__(self, voter: str, progress: Callable[[int, int], None]) -> None:
        """`progress` is told how many bytes and rows were read."""
        self.voter = voter
        self.rows_read = 0
        self.bad_count = 0
        self.bad: list[BadRow] = []
        self._progress = progress
        self._seats: dict[str, tuple[int, ForeignSeat]] = {}
        self._named: dict[str, int] = {}
        self._battles: list[tuple[Any, ...]] = []
        self._rounds: list[tuple[Any, ...]] = []
        self._texts: dict[tuple[str, ...], str] = {}

    def seated(self) -> list[tuple[int, str, str, str]]:
        """The contestants of the file, each with its number in it."""
        return [(number, seat.fingerprint, seat.name, seat.quantization) for number, seat in self._seats.values()]

    def read(self, file: BattleFile, db: sqlite3.Connection) -> None:
        """Read all rows. Raises ArenaError when the file holds something else."""
        for statement in _COME:
            db.execute(statement)
        for line, row in file.rows():
            if isinstance(row, str):
                self._complain(line, row)
            else:
                try:
                    self._keep(line, read_row(row))
                except ValueError as fault:
                    self._complain(line, str(fault))
            self.rows_read += 1
            if not self.rows_read % _BATCH:
                self._flush(file, db)
        self._flush(file, db)
        for line, round_id, judge in db.execute(_CONTRADICTIONS).fetchall():
            self._complain(line, f"rows of round {round_id} contradict each other")
            db.execute(_OUT, [round_id, judge])

    def settle(self, db: sqlite3.Connection) -> None:
        """Make `temp.fresh_battles` and `temp.fresh_tallies`: what of it is not in the database yet."""
        for statement in (*_UNSETTLED, *_FRESH):
            db.execute(statement)

    def units(self, db: sqlite3.Connection) -> tuple[int, int]:
        """How many battles and rounds were read, and how many of them are rounds that were played here."""
        units, own = db.execute(_UNITS).fetchone()
        return units, own

    def forget(self, db: sqlite3.Connection) -> None:
        """Take the temporary tables away, where there are any."""
        for statement in _GONE:
            db.execute(statement)

    def _complain(self, line: int, what: str) -> None:
        self.bad_count += 1
        if len(self.bad) < BAD_ROWS_LISTED:
            self.bad.append(BadRow(line, what))

    def _flush(self, file: BattleFile, db: sqlite3.Connection) -> None:
        db.executemany(_ONE_BATTLE, self._battles)
        db.executemany(_ONE_ROUND, self._rounds)
        self._battles.clear()
        self._rounds.clear()
        self._progress(file.done_bytes, self.rows_read)

    def _keep(self, line: int, found: Battle | ForeignRound) -> None:
        if isinstance(found, Battle):
            self._keep_battle(found)
            return
        self._rounds.append((
            line,
            found.round_id,
            found.judge,
            rows.dumps([self._number(seat) for seat in found.seats]),
            rows.dumps([seat.chars for seat in found.seats]),
            str(found.verdict.kind),
            rows.dumps(found.verdict.ranking),
            found.blind,
            rows.dumps(found.flags),
            found.prompt,
            rows.dumps(found.tags),
            found.language,
            found.cast_at,
            found.decided_ms,
        ))  # fmt: skip

    def _keep_battle(self, battle: Battle) -> None:
        a, b, winner, blind, tags, language, cast_at, identity = battle
        told = "\0".join((self.voter, a, b, winner, "-+"[blind], language, *tags, "", *identity))
        key = hashlib.blake2b(told.encode("utf-8", "replace"), digest_size=16).digest()
        only_one = bool(identity)
        self._battles.append((
            key, only_one, self._called(a), self._called(b), winner, blind, self._text(tags), language, cast_at
        ))  # fmt: skip

    def _called(self, name: str) -> int:
        """The number of a contestant that is known by its name alone."""
        number = self._named.get(name)
        if number is None:
            number = self._named[name] = self._number(ForeignSeat(name_fingerprint(name), name))
        return number

    def _number(self, seat: ForeignSeat) -> int:
        known = self._seats.get(seat.fingerprint)
        if known is None:
            if len(self._seats) == MOST_CONTESTANTS:
                raise ArenaError(
                    f"The file names more than {counted(MOST_CONTESTANTS, 'model')}.",
                    "Is model_a the right column? Nothing was imported.",
                )
            known = self._seats[seat.fingerprint] = (len(self._seats), seat)
        return known[0]

    def _text(self, tags: tuple[str, ...]) -> str:
        text = self._texts.get(tags)
        if text is None:
            if len(self._texts) > _BATCH:
                self._texts.clear()
            text = self._texts[tags] = rows.dumps(tags)
        return text


def name_fingerprint(name: str) -> str:
    """The key of a contestant of which nothing but a name is known: 16 hex digits, as a fingerprint has."""
    return hashlib.sha256(f"name\0{name}".encode("utf-8", "replace")).hexdigest()[:16]
