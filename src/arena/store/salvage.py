"""What can still be read of a damaged database, row by row, and how it comes into a whole one.

A damaged page takes the rows that stand on it and nothing else: reading goes on behind it. SQLite notices such a page
by itself; what it hands out nevertheless has to pass the rules of the new file's tables.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from arena.store.inspection import DATA_TABLES

_FIRST, _LAST = -(2**63), 2**63 - 1
_REACH = 1000
"""So many row ids more than there should be rows others are looked for, where the end can't be read."""
_TRIES = 20_000
"""In so many pieces a damaged place is taken apart: a few seconds, and one in five rows of a very large one."""
_JSON = {"flags", "sampling", "ranking", "tags", "sampler", "ran_alongside", "record", "dealt", "seats", "chars"}
_STAND_INS: dict[str, dict[str, Any]] = {
    "prompts": {"title": "lost", "text": "(This prompt was lost when the database was damaged.)", "tags": "[]"},
    "contestants": {"endpoint": "lost", "sampler": "[]"},
}
"""What stands for a row that others need, so that their votes count on: its key is known, its contents are not."""

Row = dict[str, Any]


@dataclass(slots=True)
class Haul:
    """What became of one table."""

    kept: int = 0
    lost: int = 0
    """Rows that are known to have been there, by themselves or by an index."""
    gaps: bool = False
    """Whether there are places that can't be read: what stood there may be more than what is known to be lost."""


class Source:
    """Reads a damaged file; a copy of it, since reading may change it."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        """Take over a connection."""
        self._conn = conn
        conn.row_factory = sqlite3.Row
        conn.text_factory = lambda raw: raw.decode("utf-8", "replace")
        # With it SQLite opens a file that is shorter than it says, or that has a broken line in its schema.
        conn.execute("PRAGMA writable_schema = ON")

    def columns(self, table: str) -> list[str]:
        """The columns of a table; none where that can't be read."""
        with suppress(sqlite3.DatabaseError):
            return [row["name"] for row in self._conn.execute(f'PRAGMA table_info("{table}")')]
        return []

    def count(self, table: str) -> int:
        """How many rows it should have, as far as its smallest index can tell; else 0."""
        with suppress(sqlite3.DatabaseError):
            return int(self._conn.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # noqa: S608
        return 0

    def rows(self, table: str, columns: list[str], haul: Haul) -> Iterator[Row]:
        """The rows that can be read, in their order; those behind a damaged place come last, in theirs."""
        chosen = ", ".join(f'"{column}"' for column in columns)
        try:
            self._conn.execute(f'SELECT rowid FROM "{table}" LIMIT 0')  # noqa: S608
        except sqlite3.DatabaseError:
            yield from self._by_key(f'SELECT {chosen} FROM "{table}"', table, haul)  # noqa: S608
        else:
            sql = f'SELECT rowid AS "rowid", {chosen} FROM "{table}" WHERE rowid BETWEEN ? AND ? ORDER BY rowid'  # noqa: S608
            yield from self._by_rowid(sql, haul, self.count(table))

    def _by_key(self, sql: str, table: str, haul: Haul) -> Iterator[Row]:
        """A table without row ids, from both ends. What is met twice is refused by its key."""
        with suppress(sqlite3.DatabaseError):
            found = [row for row in self._conn.execute(f'PRAGMA table_info("{table}")') if row["pk"]]
            key = [row["name"] for row in sorted(found, key=lambda row: int(row["pk"]))]
            for way in ("", " DESC"):
                order = ", ".join(f'"{column}"{way}' for column in key)
                reading = _Reading(self._conn, f"{sql} ORDER BY {order}", key=key)
                yield from reading
                if reading.whole:
                    return
        haul.gaps = True

    def _by_rowid(self, sql: str, haul: Haul, count: int) -> Iterator[Row]:
        last = 0
        reading = _Reading(self._conn, sql, _FIRST, _LAST)
        for row in reading:
            last = row["rowid"]
            yield row
        if reading.whole:
            return
        haul.gaps = True
        behind = list(_Reading(self._conn, f"{sql} DESC", last + 1, _LAST))
        end = behind[-1]["rowid"] - 1 if behind else last + count + _REACH
        behind += self._between(sql, last + 1, end)
        yield from sorted(behind, key=lambda row: int(row["rowid"]))

    def _between(self, sql: str, low: int, high: int) -> Iterator[Row]:
        """Rows of a range of which neither end can be read: both halves, again and again, the large ones first."""
        todo = deque([(low, high)])
        for _ in range(_TRIES):
            if not todo:
                return
            low, high = todo.popleft()
            for each, order in (("low", ""), ("high", " DESC")):
                reading = _Reading(self._conn, sql + order, low, high)
                for row in reading:
                    low, high = (row["rowid"] + 1, high) if each == "low" else (low, row["rowid"] - 1)
                    yield row
                if reading.whole:
                    break
            else:
                if low < high:
                    middle = (low + high) // 2
                    todo += [(low, middle), (middle + 1, high)]


class _Reading:
    """The rows of a query, in the order of their key, up to the first that can't be read or is out of that order.

    Pages of a damaged file may name each other in a circle, on which SQLite walks for ever.
    """

    def __init__(self, conn: sqlite3.Connection, sql: str, *values: int, key: Sequence[str] = ("rowid",)) -> None:
        self._conn, self._sql, self._values, self._key = conn, sql, values, key
        self.whole = False
        """Whether there was no such row."""

    def __iter__(self) -> Iterator[Row]:
        last, down = None, self._sql.endswith(" DESC")
        with suppress(sqlite3.DatabaseError, TypeError):  # a number where there was text has no place in the order
            for row in self._conn.execute(self._sql, self._values):
                here = tuple(row[name] for name in self._key)
                if last is not None and (here >= last if down else here <= last):
                    return
                last = here
                yield dict(row)
            self.whole = True


class Sink:
    """Takes rows into a whole database, of which every rule holds after each of them."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        """Take over a connection that keeps foreign keys, inside a transaction."""
        self._conn = conn
        self.stand_ins: dict[str, int] = {}
        """How many rows of a table are known by their key alone."""
        self._parents: dict[str, list[tuple[str, list[tuple[str, str]]]]] = {}
        self._columns: dict[str, list[sqlite3.Row]] = {}
        for (table,) in conn.execute(DATA_TABLES).fetchall():
            self._columns[table] = conn.execute(f'PRAGMA table_info("{table}")').fetchall()
            self._parents[table] = self._keys_of(table)

    def tables(self) -> list[str]:
        """All tables, each behind those that it points to."""
        ordered: list[str] = []
        while len(ordered) < len(self._parents):
            ordered += [
                table
                for table, keys in self._parents.items()
                if table not in ordered and all(parent in (table, *ordered) for parent, _ in keys)
            ]
        return ordered

    def columns(self, table: str) -> list[str]:
        """The columns of a table."""
        return [row["name"] for row in self._columns[table]]

    def take(self, table: str, row: Row) -> bool:
        """Add a row. False: it breaks a rule, or what it belongs to is gone."""
        try:
            for name in _JSON & row.keys():
                json.loads(row[name])
            if all(self._leads_somewhere(table, row, *key) for key in self._parents[table]):
                self._insert(table, row)
                return True
        except (sqlite3.IntegrityError, sqlite3.DataError, ValueError, TypeError, OverflowError):
            pass
        return False

    def _leads_somewhere(self, table: str, row: Row, parent: str, pairs: list[tuple[str, str]]) -> bool:
        """Whether the row that a foreign key names is there, or can be done without, or with a stand-in."""
        if any(row.get(own) is None for own, _ in pairs):
            return True
        known = {theirs: row[own] for own, theirs in pairs}
        where = " AND ".join(f'"{theirs}" = :{theirs}' for theirs in known)
        if self._conn.execute(f'SELECT 1 FROM "{parent}" WHERE {where}', known).fetchone():  # noqa: S608
            return True
        bound = {column["name"] for column in self._columns[table] if column["notnull"] or column["pk"]}
        free = [own for own, _ in pairs if own not in bound]
        if free:
            row[free[0]] = None
            return True
        if parent not in _STAND_INS:
            return False
        seat = {name: row[name] for name in ("endpoint", "name") if row.get(name)}
        self._insert(parent, self._stand_in(parent, seat | known))
        self.stand_ins[parent] = self.stand_ins.get(parent, 0) + 1
        return True

    def _stand_in(self, table: str, known: Mapping[str, Any]) -> Row:
        needed = [row for row in self._columns[table] if row["notnull"] and row["dflt_value"] is None]
        blank = {row["name"]: "" if row["type"] == "TEXT" else 0 for row in needed}
        return blank | _STAND_INS[table] | dict(known)

    def _insert(self, table: str, row: Row) -> None:
        columns, values = ", ".join(f'"{column}"' for column in row), ", ".join(f":{column}" for column in row)
        self._conn.execute(f'INSERT INTO "{table}" ({columns}) VALUES ({values})', row)  # noqa: S608

    def _keys_of(self, table: str) -> list[tuple[str, list[tuple[str, str]]]]:
        """The foreign keys of a table: (table that is named, [(column here, column there), ...])."""
        keys: dict[int, tuple[str, list[tuple[str, str]]]] = {}
        for row in self._conn.execute(f'PRAGMA foreign_key_list("{table}")').fetchall():
            keys.setdefault(row["id"], (row["table"], []))[1].append((row["from"], row["to"]))
        return list(keys.values())


def carry(source: Source, sink: Sink) -> dict[str, Haul]:
    """Bring every row that can be read and kept from one to the other. Returns what became of each table."""
    hauls: dict[str, Haul] = {}
    for table in sink.tables():
        haul = hauls[table] = Haul()
        there = source.columns(table)
        shared = [column for column in sink.columns(table) if column in there]
        if not shared:
            haul.gaps = True
            continue
        met = 0
        for row in source.rows(table, shared, haul):
            row.pop("rowid", None)
            met += 1
            haul.kept += sink.take(table, row)
        haul.lost = max(met, source.count(table)) - haul.kept
    return hauls
