"""How a database is opened, refused and shared."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlite_utils import Database

from arena.core.errors import ArenaError
from arena.core.rounds import Answer, RoundState
from arena.store import connection, migrations, schema
from arena.store.ledger import SqliteLedger
from test_store import a_round, an_answer, ready, vote


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refused(path: Path, word: str) -> None:
    """Opening it raises one ArenaError with a hint, and leaves every byte beside it as it was."""
    before = everything_in(path.parent)
    with pytest.raises(ArenaError, match=word) as caught:
        SqliteLedger(path)
    assert str(path) in caught.value.sentence
    assert caught.value.hint
    assert everything_in(path.parent) == before


def test_a_new_database_is_for_its_owner_alone(tmp_path: Path):
    path = tmp_path / "data" / "arena" / "arena.db"
    old = os.umask(0)
    try:
        with SqliteLedger(path) as ledger:
            ready(ledger)
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_how_it_is_set_up(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as ledger:
        settings = {
            name: ledger._connection.rows(f"PRAGMA {name}")[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "user_version")
        }
        assert settings == {
            "journal_mode": "wal",
            "synchronous": 2,  # FULL
            "foreign_keys": 1,
            "busy_timeout": 10_000,
            "user_version": len(schema.STEPS),
        }
        applied = migrations.ARENA.applied(Database(ledger._connection._conn))
        assert tuple(step.name for step in applied) == schema.STEPS
    assert [each.name for each in tmp_path.glob("arena.db*")] == ["arena.db"]


def test_opening_again_changes_nothing(tmp_path: Path):
    path = tmp_path / "arena.db"
    with SqliteLedger(path) as ledger:
        key = ready(ledger)
    before = everything_in(tmp_path)
    with SqliteLedger(path) as ledger:
        assert ledger.round(key).state is RoundState.READY
    assert everything_in(tmp_path) == before
    ledger.close()


@pytest.mark.parametrize("newer", ["step", "version"])
@pytest.mark.parametrize("in_log", [False, True])
def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path, newer: str, in_log: bool):  # noqa: FBT001
    path = tmp_path / "arena.db"
    SqliteLedger(path).close()
    conn = sqlite3.connect(path, isolation_level=None)
    if newer == "step":
        conn.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('arena', 'm999', '')")
    else:
        conn.execute("PRAGMA user_version = 999")
    if not in_log:
        conn.close()
        refused(path, "newer arena")
        return
    # What makes it newer is in the log alone, and its writer died.
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("arena.db", "arena.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    conn.close()
    before = everything_in(copy)
    with pytest.raises(ArenaError, match="newer arena"):
        SqliteLedger(copy / "arena.db")
    after = everything_in(copy)
    assert {name: after[name] for name in before} == before


def test_files_of_others_are_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "letter.txt").write_text("Dear reader, " * 999)
    refused(tmp_path / "letter.txt", "no database")
    (tmp_path / "short").write_bytes(b"x")
    refused(tmp_path / "short", "no database")
    conn = sqlite3.connect(tmp_path / "photos.db")
    conn.execute("CREATE TABLE photos (id)")
    conn.close()
    refused(tmp_path / "photos.db", "another program")


def test_what_is_no_file_is_refused(tmp_path: Path):
    refused(tmp_path, "can't be opened: Is a directory")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArenaError, match="can't be opened: "):
        SqliteLedger(tmp_path / "file" / "arena.db")
    with pytest.raises(ArenaError, match="is no file"):
        SqliteLedger(Path(os.devnull))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
@pytest.mark.parametrize("locked", ["folder", "file"])
def test_what_can_not_be_written_is_refused(tmp_path: Path, locked: str):
    path = tmp_path / "arena.db"
    if locked == "file":
        SqliteLedger(path).close()
        path.chmod(0o400)
    tmp_path.chmod(0o500)
    code = (
        "import os, sys; from pathlib import Path; from arena.store.ledger import SqliteLedger\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"  # permissions don't hold root back
        "SqliteLedger(Path(sys.argv[1]))"
    )
    try:
        end = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    finally:
        tmp_path.chmod(0o700)
    assert "ArenaError" in end.stderr.splitlines()[-1]
    assert "can't be opened" in end.stderr


def test_a_damaged_database_is_told(tmp_path: Path):
    path = tmp_path / "arena.db"
    with SqliteLedger(path) as ledger:
        ready(ledger)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(ArenaError, match="damaged"):
        SqliteLedger(path)


def test_a_cut_short_beginning_is_finished(tmp_path: Path):
    path = tmp_path / "arena.db"
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA journal_mode = WAL")  # what a process killed before its first transaction leaves
    conn.close()
    with SqliteLedger(path) as ledger:
        ready(ledger)


def test_a_failed_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "arena.db"
    with monkeypatch.context() as patched:
        patched.setattr(schema, "VIEWS", schema.VIEWS + "CREATE VIEW broken AS SELEKT;")
        with pytest.raises(sqlite3.OperationalError, match="syntax"):
            SqliteLedger(path)
    conn = sqlite3.connect(path)
    assert conn.execute("SELECT * FROM sqlite_master").fetchall() == []
    conn.close()
    with SqliteLedger(path) as ledger:
        ready(ledger)


def test_an_ordinary_start_is_light(tmp_path: Path):
    path = tmp_path / "arena.db"
    SqliteLedger(path).close()
    code = (
        "import sys; from pathlib import Path; from arena.store.ledger import SqliteLedger\n"
        "SqliteLedger(Path(sys.argv[1])).close(); print({'sqlite_utils', 'numpy', 'click'} & sys.modules.keys())"
    )
    end = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert end.stdout == "set()\n"


def test_a_failed_transaction_leaves_nothing(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as ledger:
        unknown = Answer(7, "there is no such seat")
        ledger.open_round(a_round(round_id="r"))
        with pytest.raises(ArenaError):
            ledger.save_answer("r", unknown)
        assert ledger.round("r").state is RoundState.PLANNED
        with pytest.raises(sqlite3.OperationalError, match="syntax"):  # a fault of this program, no sentence for it
            ledger._connection.rows("SELEKT")
        ready(ledger)


def test_two_connections_see_each_other_and_take_turns(tmp_path: Path):
    path = tmp_path / "arena.db"
    with SqliteLedger(path) as one, SqliteLedger(path) as two:
        key = ready(one)
        vote(two, key, "a")
        assert str(one.round(key).vote.verdict) == "a"
        two.mark_revealed(key)
        assert str(one.verdicts()[0].verdict) == "a"
        with pytest.raises(ArenaError, match="locked"):
            vote(one, key, "b")

        other = ready(one)
        inside, done = threading.Event(), threading.Event()

        def late_vote() -> None:
            with SqliteLedger(path) as third:
                inside.set()
                vote(third, other, "b")
                done.set()

        with one._connection.writing():
            voter = threading.Thread(target=late_vote)
            voter.start()
            assert not inside.wait(0.2)  # opening waits for its turn as well
            assert two.round(other).vote is None  # a reader never waits
        voter.join(20)
        assert done.is_set()
        assert one.round(other).vote is not None


def test_a_writer_that_never_ends_becomes_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "BUSY_S", 0.1)
    path = tmp_path / "arena.db"
    with SqliteLedger(path) as one, SqliteLedger(path) as two, one._connection.writing():
        with pytest.raises(ArenaError, match="in use by another program"):
            two.open_round(a_round())
        with pytest.raises(ArenaError, match="in use by another program"):
            SqliteLedger(path)


def test_many_open_a_new_database_at_once(tmp_path: Path):
    path, start = tmp_path / "arena.db", threading.Barrier(6)

    def one_of_many(_: int) -> str:
        start.wait()
        with SqliteLedger(path) as ledger:
            return ready(ledger)

    with ThreadPoolExecutor(6) as pool:
        keys = list(pool.map(one_of_many, range(6)))
    with SqliteLedger(path) as ledger:
        assert {view.id for view in ledger.waiting()} == set(keys)


def test_a_ledger_belongs_to_its_thread(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as ledger, ThreadPoolExecutor(1) as pool:
        with pytest.raises(sqlite3.ProgrammingError, match="thread"):
            pool.submit(ledger.waiting).result()
        round_ = a_round()
        ledger.open_round(round_)
        ledger.save_answer(round_.id, an_answer(0))
