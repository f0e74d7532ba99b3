"""The steps that make and change the schema, through sqlite-utils' Migrations.

Its users find the table `_sqlite_migrations` that they know. A step is never edited once released; a change is a
further step, with its name in `schema.STEPS`. Imported only when steps are missing: sqlite-utils imports numpy and
pandas wherever they are installed, and no ordinary start needs it.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils.db import Database
from sqlite_utils.migrations import Migrations

from arena.store import schema
from arena.store.identity import renew_fingerprints

ARENA = Migrations(schema.SET)


@ARENA()
def m001_tables(db: Database) -> None:
    """Contestants, prompts, rounds, seats, answers, votes."""
    db.executescript(schema.TABLES)


@ARENA()
def m002_search(db: Database) -> None:
    """Full text search over prompts and answers, kept by triggers.

    Words are split by Unicode and stripped of accents; Korean particles hang on their word, so the search asks for
    beginnings of words.
    """
    words = "unicode61 remove_diacritics 2"
    db.table("prompts").enable_fts(["title", "text"], create_triggers=True, tokenize=words)
    db.table("answers").enable_fts(["text"], create_triggers=True, tokenize=words)


@ARENA()
def m003_views(db: Database) -> None:
    """The views of a viewer; see `schema` for what is sealed."""
    db.executescript(schema.VIEWS)


@ARENA()
def m004_contestants(db: Database) -> None:
    """Contestants by what their digest says: addresses at the seats, fingerprints anew, merges, the servers' times."""
    db.executescript(schema.CONTESTANTS)
    renew_fingerprints(db.conn)


@ARENA()
def m005_loads(db: Database) -> None:
    """What models took when they were loaded, beside what was predicted."""
    db.executescript(schema.LOADS)


@ARENA()
def m006_sessions(db: Database) -> None:
    """Queues of rounds, further turns of one round, the strength of a vote, and the second vote with names known."""
    db.executescript(schema.SESSIONS)


@ARENA()
def m007_exchange(db: Database) -> None:
    """Votes from files: battles of public arenas, and rounds of other databases of arena."""
    db.executescript(schema.EXCHANGE)


@ARENA()
def m008_revotes(db: Database) -> None:
    """Rounds judged again."""
    db.executescript(schema.REVOTES)


def apply(conn: sqlite3.Connection, steps: int = len(schema.STEPS)) -> None:
    """Run those of the first `steps` steps that are missing, in the open transaction, which must hold the write lock.

    Fewer than all make an old shape, for what was saved from an old file.
    """
    # Plugins of sqlite-utils may add functions to a connection; nothing of them belongs here.
    db = Database(conn, execute_plugins=False)
    ARENA.apply(db, stop_before=schema.STEPS[steps:])
    # PRAGMA takes no parameters; both are integers of this package.
    db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID:d}")
    db.execute(f"PRAGMA user_version = {steps:d}")
