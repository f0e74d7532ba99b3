"""Fingerprints anew, for files from when a contestant was known by its address: the data part of m004.

In those files a fingerprint is the hash of everything in the row, endpoint and name included. Now the digest says what
a model is, and rows that differ in their address alone are one contestant. What a fingerprint is made of is core's to
say: when that changes again, a further step has to follow it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from arena.store import rows

_BESIDE = ("family", "parameters", "size_bytes")
"""What is no part of the identity; it may be known at one address only."""
_INSERT = """
INSERT INTO contestants (fingerprint, endpoint, name, digest, quantization, context, kv_type, template_hash, sampler,
    system, thinking, family, parameters, size_bytes, first_seen)
VALUES (:fingerprint, :endpoint, :name, :digest, :quantization, :context, :kv_type, :template_hash, :sampler,
    :system, :thinking, :family, :parameters, :size_bytes, :first_seen)
ON CONFLICT (fingerprint) DO UPDATE SET endpoint = excluded.endpoint, name = excluded.name, family = excluded.family,
    parameters = excluded.parameters, size_bytes = excluded.size_bytes, first_seen = excluded.first_seen
"""
_SEATED_AT = """
UPDATE seats SET (endpoint, name) = (
    SELECT contestants.endpoint, contestants.name FROM contestants WHERE contestants.fingerprint = seats.contestant)
"""

_Facts = dict[str, Any]


def renew_fingerprints(conn: sqlite3.Connection) -> None:
    """Give every contestant today's fingerprint, and join those that are one and the same by it.

    Seats get the address they were played at, and follow, as `answers.ran_alongside` does. Every row that goes is kept
    in `former_contestants`, as it was. Runs in the open transaction; foreign keys hold after each statement.
    """
    conn.execute(_SEATED_AT)
    same: dict[str, list[_Facts]] = {}
    # The first sight first: a joined contestant goes on under the address at which it was known first.
    for old in _select(conn, "SELECT * FROM contestants ORDER BY first_seen, fingerprint"):
        same.setdefault(_fingerprint(old), []).append(old)
    renewed: dict[str, str] = {}
    for fingerprint, members in same.items():
        conn.execute(_INSERT, {**_joined(members), "fingerprint": fingerprint})
        for old in members:
            if old["fingerprint"] != fingerprint:
                _follow(conn, old, fingerprint)
                renewed[old["fingerprint"]] = fingerprint
    _rename_company(conn, renewed)


def _fingerprint(row: _Facts) -> str:
    """Today's fingerprint of a row. Sampler values are floats in it, however JSON wrote them."""
    return replace(rows.contestant_of(row), fingerprint="").fingerprint


def _joined(members: Sequence[_Facts]) -> dict[str, Any]:
    """The row of a contestant out of its old ones, of which the first stands, but for the fingerprint."""
    known = {key: next((old[key] for old in members if old[key]), members[0][key]) for key in _BESIDE}
    return {**members[0], **known}


def _follow(conn: sqlite3.Connection, old: _Facts, fingerprint: str) -> None:
    """Lead the seats of an old row to the new one, and put the old row away."""
    key = old["fingerprint"]
    conn.execute("UPDATE seats SET contestant = ? WHERE contestant = ?", [fingerprint, key])
    conn.execute("DELETE FROM contestants WHERE fingerprint = ?", [key])
    conn.execute(
        "INSERT INTO former_contestants (fingerprint, contestant, record) VALUES (?, ?, ?)",
        [key, fingerprint, rows.dumps(old)],
    )


def _rename_company(conn: sqlite3.Connection, renewed: Mapping[str, str]) -> None:
    """Follow in the lists of those that answered meanwhile; one that stands twice in a list is named once."""
    for answer in _select(conn, "SELECT id, ran_alongside FROM answers WHERE ran_alongside <> '[]'"):
        old = rows.names(answer["ran_alongside"])
        new = list(dict.fromkeys(renewed.get(key, key) for key in old))
        if new != list(old):
            conn.execute("UPDATE answers SET ran_alongside = ? WHERE id = ?", [rows.dumps(new), answer["id"]])


def _select(conn: sqlite3.Connection, sql: str) -> list[dict[str, Any]]:
    """All rows by their columns, read before anything is changed."""
    cursor = conn.execute(sql)
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
