"""Backups: one before each migration, and one whenever asked for; whole, private, and never in place of another."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from arena.cli.keeping import backup, doctor
from arena.core.errors import ArenaError
from arena.store import schema
from arena.store.backup import back_up, back_up_database
from arena.store.ledger import SqliteLedger
from test_store import ready, vote
from test_store_migration import an_old_file, dump
from test_store_repair import fill, pages_of, spoil

OLD = range(2, schema.STEPS.index("m004_contestants") + 1)


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_file())


@pytest.mark.parametrize("steps", OLD)
def test_before_a_migration_the_file_is_copied(tmp_path: Path, steps: int):
    path = tmp_path / "arena.db"
    an_old_file(path, steps)
    before = dump(path)
    SqliteLedger(path).close()
    copy = tmp_path / f"arena.db.before-{schema.STEPS[steps].partition('_')[0]}"
    assert files(tmp_path) == ["arena.db", copy.name]
    assert dump(copy) == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    SqliteLedger(path).close()
    assert files(tmp_path) == ["arena.db", copy.name], "one is enough"
    SqliteLedger(copy).close()  # the way back: it is an ordinary database


def test_an_earlier_copy_is_never_written_over(tmp_path: Path):
    path = tmp_path / "arena.db"
    an_old_file(path, 3)
    (tmp_path / "arena.db.before-m004").write_text("an earlier one")
    before = dump(path)
    SqliteLedger(path).close()
    assert (tmp_path / "arena.db.before-m004").read_text() == "an earlier one"
    assert dump(tmp_path / "arena.db.before-m004-2") == before


def test_what_holds_no_data_is_not_copied(tmp_path: Path):
    an_old_file(tmp_path / "arena.db", 3, empty=True)
    SqliteLedger(tmp_path / "arena.db").close()
    SqliteLedger(tmp_path / "new.db").close()
    assert files(tmp_path) == ["arena.db", "new.db"]


def test_a_migration_that_fails_leaves_no_copy_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "arena.db"
    an_old_file(path, 3)
    before = dump(path)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "CONTESTANTS", schema.CONTESTANTS + "SELEKT;")
        with pytest.raises(sqlite3.OperationalError, match="syntax"):
            SqliteLedger(path)
    assert files(tmp_path) == ["arena.db"]
    assert dump(path) == before


def test_without_its_copy_nothing_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "arena.db"
    an_old_file(path, 3)
    before = dump(path)

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("tempfile.mkstemp", no_room)
        with pytest.raises(ArenaError, match="before-m004 can't be written: No space left"):
            SqliteLedger(path)
    assert files(tmp_path) == ["arena.db"]
    assert dump(path) == before


def test_a_backup_is_what_the_database_is(tmp_path: Path):
    path = tmp_path / "arena.db"
    fill(path, 30)
    copy = back_up_database(path)
    assert re.fullmatch(r"arena\.db\.\d{4}-\d\d-\d\d", copy.name)
    assert sorted(dump(copy)) == sorted(dump(path))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert back_up_database(path).name == f"{copy.name}-2"
    folder = tmp_path / "stick"
    folder.mkdir()
    assert back_up_database(path, folder) == folder / copy.name
    assert back_up_database(path, tmp_path / "named.db") == tmp_path / "named.db"
    with pytest.raises(ArenaError, match=r"There is a file .*named\.db already"):
        back_up_database(path, tmp_path / "named.db")
    assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(ArenaError, match="can't be written: No such file"):
        back_up_database(path, tmp_path / "nowhere" / "copy.db")


def test_a_backup_of_nothing_or_of_others_is_refused(tmp_path: Path):
    with pytest.raises(ArenaError, match="There is no database"):
        back_up_database(tmp_path / "arena.db")
    with closing(sqlite3.connect(tmp_path / "photos.db")) as conn:
        conn.execute("CREATE TABLE photos (id)")
    with pytest.raises(ArenaError, match="another program"):
        back_up_database(tmp_path / "photos.db")
    assert files(tmp_path) == ["photos.db"]


def test_a_damaged_database_gives_no_backup(tmp_path: Path):
    path = tmp_path / "arena.db"
    fill(path, 30)
    spoil(path, pages_of(path, "answers")[1], b"\0")
    with pytest.raises(ArenaError, match=r"is damaged.*doctor --repair"):
        back_up_database(path)
    assert files(tmp_path) == ["arena.db"]


def test_a_backup_is_of_one_moment_while_another_arena_writes(tmp_path: Path):
    path, stop = tmp_path / "arena.db", threading.Event()
    fill(path, 40)
    faults: list[BaseException] = []

    def write() -> None:
        try:
            with SqliteLedger(path) as ledger:
                while not stop.is_set():
                    key = ready(ledger)
                    vote(ledger, key, "a", note=key)
        except BaseException as fault:  # noqa: BLE001 - told by the test
            faults.append(fault)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        copies = [back_up_database(path, tmp_path / f"copy{n}.db") for n in range(6)]
    finally:
        stop.set()
        writer.join()
    assert not faults
    sizes = []
    for copy in copies:
        with SqliteLedger(copy) as ledger:
            assert ledger.damage() == ""
            ask = ledger._connection.rows
            assert ask("PRAGMA foreign_key_check") == []
            # A round is ready once all its answers are: no copy stands between two transactions.
            assert not ask("SELECT * FROM rounds WHERE state = 'ready' AND id NOT IN (SELECT round FROM answers)")
            sizes.append(ask("SELECT count(*) AS n FROM votes")[0]["n"])
    assert sizes == sorted(sizes)
    with SqliteLedger(path) as ledger:
        assert ledger._connection.rows("SELECT count(*) AS n FROM votes")[0]["n"] >= sizes[-1]


def arena(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "arena", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_the_commands_say_where_the_files_are(tmp_path: Path):
    assert {backup.name, doctor.name} == {"backup", "doctor"}
    path = tmp_path / "arena.db"
    notes = fill(path, 60)
    done = arena("backup", "--db", str(path))
    assert done.returncode == 0, done.stderr
    copy = Path(done.stdout.rstrip("\n"))
    assert sorted(dump(copy)) == sorted(dump(path))
    again = arena("backup", str(copy), "--db", str(path))
    assert (again.returncode, again.stdout) == (1, "")
    assert "There is a file" in again.stderr

    whole = arena("doctor", "--repair", "--db", str(path))
    assert (whole.returncode, whole.stdout) == (0, f"The database {path} is whole.\n")
    spoil(path, pages_of(path, "answers")[2], b"\0")
    told = arena("doctor", "--db", str(path))
    assert told.returncode == 1
    assert re.search(r"^!!  The database .*is damaged.*`arena doctor --repair`", told.stdout, re.MULTILINE)
    damaged = path.read_bytes()
    saved = arena("doctor", "--repair", "--db", str(path))
    assert saved.returncode == 0, saved.stderr
    first, second, *_, last = saved.stdout.splitlines()
    assert first == f"Saved in {path}: 60 rounds and {len(notes)} votes."
    assert re.fullmatch(r"Lost: \d+ of answers\.", second)
    assert Path(last.removeprefix("The damaged file was kept: ")).read_bytes() == damaged
    assert f"{len(notes)} votes" in arena("doctor", "--db", str(path)).stdout


def test_everything_is_private_also_where_the_umask_is_not(tmp_path: Path, own_home: Path):
    path = tmp_path / "some" / "where" / "arena.db"
    (tmp_path / "some").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        fill(path, 30)
        with SqliteLedger(path):
            back_up_database(path)
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        spoil(path, pages_of(path, "answers")[0], b"\0")
        assert arena("doctor", "--repair", "--db", str(path)).returncode == 0
        an_old_file(path.with_name("old.db"), 3)
        path.with_name("old.db").chmod(0o600)
        SqliteLedger(path.with_name("old.db")).close()
        modes |= {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        assert arena("fit").returncode == 0  # its headers are kept in the cache, its database in the folder for data
        deep = tmp_path / "a" / "b" / "c"
        SqliteLedger(deep / "arena.db").close()
    finally:
        os.umask(before)
    assert {"arena.db", "arena.db-wal", "arena.db-shm", "old.db.before-m004"} < modes.keys()
    assert any(".damaged-" in name for name in modes)
    assert set(modes.values()) == {0o600}, modes
    made = (path.parent, deep, deep.parent, deep.parent.parent)
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in made} == {0o700}
    for each in own_home.rglob("*"):
        assert stat.S_IMODE(each.stat().st_mode) == (0o700 if each.is_dir() else 0o600), each
    assert not (own_home / "xdg_config_home").exists(), "the config folder is the user's to make"
    assert stat.S_IMODE((tmp_path / "some").stat().st_mode) == 0o755, "what is there keeps its permissions"


def test_how_far_a_copy_is_gets_told_meanwhile(tmp_path: Path):
    path = tmp_path / "large.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE filled (data)")
        conn.executemany("INSERT INTO filled VALUES (?)", ((os.urandom(900),) for _ in range(12_000)))
    heard: list[tuple[int, int]] = []
    back_up(path, tmp_path / "copy.db", lambda done, whole: heard.append((done, whole)))
    assert heard == sorted(heard)
    assert {whole for _, whole in heard} == {path.stat().st_size}
    assert 0 < heard[-1][0] <= heard[-1][1]
