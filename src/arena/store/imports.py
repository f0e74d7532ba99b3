"""Votes from files: how they come in, what counts of them, and how they are left out again.

A file is first read and counted in temporary tables, which keeps nobody waiting, and then taken over in one
transaction: all of it is here or nothing. Every file counts as one voter.

A battle is known by all that its row says of it. Rows that name an id or a time are that very battle, however often
they come; of rows that can't be told apart there are as many as the file that has the most of them. So a file that is
imported again adds nothing, and one that goes on where another ended adds what is new. Rounds of arena's own have ids
that no two databases share: they are known under every voter, and those that were played here are left alone.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable

from arena.core.battles import Imported, PastImport
from arena.core.errors import ArenaError
from arena.core.models import distinct_names
from arena.core.text import clean_line, storable
from arena.core.votes import Stage
from arena.store import rows
from arena.store.battle_files import BattleFile
from arena.store.contestants import LedgerContestants
from arena.store.incoming import COUNTED, Incoming

_TAKE_BATTLES = """
INSERT INTO import_battles (import, key, a, b, winner, blind, tags, language, cast_at, n)
SELECT :import, * FROM temp.fresh_battles
"""
_TAKE_TALLIES = """
INSERT INTO import_tallies (import, a, b, tags, language, a_won, b_won, ties, both_bad)
SELECT :import, * FROM temp.fresh_tallies
"""
_TAKE_ROUNDS = """
INSERT INTO import_rounds (import, round, judge, seats, chars, kind, ranking, blind, flags, prompt, tags, language,
    cast_at, decided_ms)
SELECT :import, round, judge, seats, chars, kind, ranking, blind, flags, prompt, tags, language, cast_at, decided_ms
FROM temp.incoming_rounds WHERE round NOT IN (SELECT id FROM rounds) ORDER BY line
ON CONFLICT DO NOTHING
"""
_TALLY = f"""
INSERT INTO import_tallies (import, a, b, tags, language, a_won, b_won, ties, both_bad)
SELECT import, a, b, tags, language, {COUNTED} FROM import_battles WHERE blind = 1
GROUP BY import, a, b, tags, language
"""  # noqa: S608 - all of it is written here
_NARROWED = """
WHERE import IN (SELECT id FROM imports WHERE :voter = '' OR voter = :voter)
    AND (:language = '' OR language = :language)
    AND (:tag = '' OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
"""
_TALLIED = f"""
SELECT import, a, b, sum(a_won), sum(b_won), sum(ties), sum(both_bad) FROM import_tallies {_NARROWED}
GROUP BY import, a, b
"""  # noqa: S608 - all of it is written here
_TALLIED_SINCE = f"""
SELECT import, a, b, {COUNTED} FROM import_battles {_NARROWED} AND blind = 1 AND cast_at >= :since
GROUP BY import, a, b
"""  # noqa: S608
# The columns of the rounds that were played here, a row for each seat. A round that names no prompt is like no other.
_SEATS = f"""
SELECT -played.id AS id, played.round, played.kind, played.ranking, played.cast_at, played.decided_ms, imports.voter,
    CASE WHEN played.prompt = '' THEN played.round ELSE played.prompt END AS prompt, played.flags, played.tags,
    place.key AS seat, import_contestants.fingerprint AS contestant,
    json_extract(played.chars, '$[' || place.key || ']') AS out_chars, played.language AS language_of_prompt
FROM (SELECT * FROM import_rounds {_NARROWED} AND blind = 1 AND kind <> 'skip' AND cast_at >= :since) AS played
JOIN imports ON imports.id = played.import
JOIN json_each(played.seats) AS place
JOIN import_contestants ON import_contestants.import = played.import AND import_contestants.id = place.value
ORDER BY played.cast_at, played.id, place.key
"""  # noqa: S608
_LISTED = """
SELECT imports.*, coalesce(battles.n, 0) AS battles, coalesce(rounds.n, 0) AS rounds FROM imports
LEFT JOIN (SELECT import, sum(n) AS n FROM import_battles GROUP BY import) AS battles ON battles.import = imports.id
LEFT JOIN (SELECT import, count(*) AS n FROM import_rounds GROUP BY import) AS rounds ON rounds.import = imports.id
ORDER BY imports.id
"""


class LedgerImports(LedgerContestants):
    """The part of the ledger that takes in the votes of others."""

    def import_battles(
        self,
        file: BattleFile,
        voter: str,
        *,
        skip_bad: bool = False,
        progress: Callable[[int, int], None] = lambda _bytes, _rows: None,
    ) -> Imported:
        """Take a file in as the votes of `voter`: all of it, or nothing when it has bad rows and `skip_bad` is not set.

        `progress` is told now and then how many bytes and rows were read; what it raises ends the import without a
        trace. Raises ArenaError for a file that holds no battles.
        """
        reading = Incoming(voter, progress)
        try:
            with self._connection.scratch() as db:
                reading.read(file, db)
                if not reading.rows_read:
                    raise ArenaError(f"{file.name} holds no battles.", "Nothing was imported.")
                if reading.bad_count and not skip_bad:
                    return Imported(None, voter, bad_count=reading.bad_count, bad=tuple(reading.bad))
                seen = self._import_ids()
                reading.settle(db)
            with self._connection.writing() as db:
                if self._import_ids() != seen:  # somebody else took or left out a file meanwhile
                    reading.settle(db)
                return self._take(db, file.name, reading)
        finally:
            with self._connection.scratch() as db:
                reading.forget(db)

    def _take(self, db: sqlite3.Connection, source: str, reading: Incoming) -> Imported:
        """Make what was read a part of the database."""
        row = {"voter": storable(reading.voter), "source": storable(source), "imported_at": rows.now()}
        self._connection.insert("imports", row)
        new = {"import": db.execute("SELECT last_insert_rowid()").fetchone()[0]}
        db.executemany(
            "INSERT INTO import_contestants (import, id, fingerprint, name, quantization) VALUES (?, ?, ?, ?, ?)",
            [(new["import"], *seat) for seat in reading.seated()],
        )
        db.execute(_TAKE_BATTLES, new)
        db.execute(_TAKE_TALLIES, new)
        db.execute(_TAKE_ROUNDS, new)
        (added,) = (one for one in self.imports() if one.id == new["import"])
        units, own = reading.units(db)
        if not added.battles + added.rounds:
            _leave_out(db, added.id)
        return Imported(
            id=added.id if added.battles + added.rounds else None,
            voter=reading.voter,
            battles=added.battles,
            rounds=added.rounds,
            known=units - own - added.battles - added.rounds,
            own=own,
            bad_count=reading.bad_count,
            bad=tuple(reading.bad),
        )

    def _import_ids(self) -> list[int]:
        """What is imported; no number is given out twice."""
        return [row["id"] for row in self._connection.rows("SELECT id FROM imports ORDER BY id")]

    def imports(self) -> list[PastImport]:
        """The files that were imported and not left out, oldest first."""
        return [PastImport(**dict(row)) for row in self._connection.rows(_LISTED)]

    def remove_import(self, import_id: int) -> PastImport:
        """Leave an imported file out again: nothing of it stays. Raises ArenaError when there is none of that number.

        A battle that several files held belongs to the first of them.
        """
        with self._connection.writing() as db:
            found = [one for one in self.imports() if one.id == import_id]
            if not found:
                raise ArenaError(f"There is no import {import_id}.", "`arena import --list` lists them.")
            _leave_out(db, import_id)
        return found[0]

    def voters(self) -> list[str]:
        """Everybody whose votes are here, by name."""
        found = self._connection.rows(
            "SELECT voter FROM imports UNION SELECT voter FROM votes WHERE retracted_at IS NULL ORDER BY 1"
        )
        return [row["voter"] for row in found]

    def retally(self) -> None:
        """Make the tallies anew from the battles."""
        with self._connection.writing() as db:
            db.execute("DELETE FROM import_tallies")
            db.execute(_TALLY)

    def imported_stages(self, *, tag: str = "", voter: str = "me", language: str = "", since: str = "") -> list[Stage]:
        """The stages of imported battles, equal ones as one; what imported rounds say is among the verdicts.

        Narrowed as `stages` is. With `since` the tallies are made anew, which takes a second for a million battles.
        """
        narrowed = {"tag": tag, "voter": voter, "language": language, "since": since}
        with self._connection.reading():
            found, led = self._connection.rows(_TALLIED_SINCE if since else _TALLIED, **narrowed), self.merges()
            seats = self._connection.rows("SELECT import, id, fingerprint FROM import_contestants") if found else []
        seated = {(key, number): led.get(contestant, contestant) for key, number, contestant in seats}
        stages: list[Stage] = []
        for key, a, b, a_won, b_won, ties, both_bad in found:
            shown = first, second = seated[key, a], seated[key, b]
            if first == second:
                continue
            for chosen, times in (((first,), a_won), ((second,), b_won), (shown, ties)):
                if times:
                    stages.append(Stage(shown, chosen, times=times))
            if both_bad:
                stages.append(Stage(shown, shown, both_bad=True, times=both_bad))
        return stages

    def shown_names(self, stages: Iterable[Stage]) -> dict[str, str]:
        """A name for every contestant that was played here, and for those imported that are in the stages."""
        names = distinct_names(self.contestants().values())
        wanted = {key for stage in stages for key in stage.shown} - names.keys()
        if not wanted:
            return names
        found = self._connection.rows("SELECT fingerprint, name, quantization FROM import_contestants ORDER BY import")
        newest = {row["fingerprint"]: row for row in found if row["fingerprint"] in wanted}
        shown = Counter(map(clean_line, names.values())) + Counter(clean_line(row["name"]) for row in newest.values())
        for key, row in newest.items():
            alone = shown[clean_line(row["name"])] == 1
            names[key] = row["name"] if alone else f"{row['name']} {row['quantization']}".strip() + f" #{key[:6]}"
        return names

    def imported_seats(
        self, *, tag: str = "", voter: str = "me", language: str = "", since: str = ""
    ) -> list[sqlite3.Row]:
        """A row for each seat of the imported rounds that may count, by the time of the vote, narrowed as `verdicts`.

        The columns are those that the judged rounds of this database are counted from; `id` is unlike any id of theirs.
        """
        return self._connection.rows(_SEATS, tag=tag, voter=voter, language=language, since=since)


def _leave_out(db: sqlite3.Connection, import_id: int) -> None:
    for statement in (
        "DELETE FROM import_tallies WHERE import = ?",
        "DELETE FROM import_battles WHERE import = ?",
        "DELETE FROM import_rounds WHERE import = ?",
        "DELETE FROM import_contestants WHERE import = ?",
        "DELETE FROM imports WHERE id = ?",
    ):
        db.execute(statement, [import_id])
