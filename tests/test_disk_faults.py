"""The disk is full, read-only, or shared: one clear sentence, nothing acknowledged is lost, and the screen goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from arena.core.errors import ArenaError
from arena.core.rounds import RoundState
from arena.core.votes import Verdict
from arena.store.backup import back_up_database
from arena.store.ledger import SqliteLedger
from arena.store.repair import repair
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from stage import NAMES, arena_on, screen_text, until
from test_store import ready, vote
from test_store_migration import an_old_file, dump
from test_store_repair import fill, pages_of, spoil


def voted_in(ledger: SqliteLedger) -> set[str]:
    """The rounds that have a vote."""
    return {line.id for line in ledger.history(limit=10**6) if line.verdict is not None}


MOUNT, UMOUNT = (shutil.which(name) or name for name in ("mount", "umount"))
CHILD = """
import resource, sys
from itertools import count
from pathlib import Path
from arena.core.errors import ArenaError
from arena.store.backup import back_up_database
from arena.store.ledger import SqliteLedger
from test_store import ready, vote
path, limit = Path(sys.argv[1]), int(sys.argv[2])
with SqliteLedger(path) as ledger:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for number in count():
        try:
            key = ready(ledger, text=f"Question {number}")
            vote(ledger, key, "a", note="x" * 500)
        except ArenaError as fault:
            print("fault", fault, flush=True)
            break
        print("voted", key, flush=True)
    print("still", len(ledger.history(10**6)), flush=True)  # reading goes on
"""


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of that size; where none can be mounted the test is skipped."""
    folder.mkdir()
    done = subprocess.run(
        [MOUNT, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run([UMOUNT, "-l", folder], check=True)


def until_full(ledger: SqliteLedger) -> tuple[list[str], ArenaError]:
    """Vote until the disk is full. Returns what was acknowledged, and what was said then."""
    voted: list[str] = []
    for number in count():
        try:
            key = ready(ledger, text=f"Question {number}")
            vote(ledger, key, "a", note="x" * 500)
        except ArenaError as fault:
            return voted, fault
        voted.append(key)
    raise AssertionError("it never ends")


needs_mount = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a disk, and on Linux"
)


@needs_mount
def test_a_full_disk_is_said_and_takes_nothing_that_was_acknowledged(tmp_path: Path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        path = disk / "arena.db"
        with SqliteLedger(path) as ledger:
            voted, fault = until_full(ledger)
            assert str(fault) == (
                f"The database {path} can't grow: the disk is full. Make room, or name another file with --db."
            )
            assert voted
            assert {line.id for line in ledger.history(10**6)} >= set(voted), "reading goes on"
        with SqliteLedger(path) as ledger:
            assert ledger.damage() == ""
            assert voted_in(ledger) == set(voted)


@needs_mount
def test_on_a_full_disk_nothing_is_migrated_copied_or_repaired(tmp_path: Path):
    with small_disk(tmp_path / "disk", "4m") as disk:
        old, damaged, filler = disk / "old.db", disk / "damaged.db", disk / "filler"
        an_old_file(old, 3)
        fill(damaged, 10)
        spoil(damaged, pages_of(damaged, "answers")[0], b"\0")
        whole, before = dump(old), damaged.read_bytes()
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        there = {each.name for each in disk.iterdir()}
        with pytest.raises(ArenaError, match=r"before-m004 can't be written: .*full|can't grow: the disk is full"):
            SqliteLedger(old)
        with pytest.raises(ArenaError, match=r"can't be written: .*(full|No space)"):
            back_up_database(old, disk / "copy.db")
        with pytest.raises(ArenaError, match=r"can't be repaired: No space|the disk is full"):
            repair(damaged)
        assert {each.name for each in disk.iterdir()} <= there | {"old.db-wal", "old.db-shm"}
        filler.unlink()
        assert dump(old) == whole
        assert damaged.read_bytes() == before
        SqliteLedger(old).close()
        assert dump(disk / "old.db.before-m004") == whole
        assert repair(damaged) is not None


@needs_mount
def test_a_disk_that_becomes_read_only_is_said_and_can_still_be_read(tmp_path: Path):
    with small_disk(tmp_path / "disk", "4m") as disk:
        path = disk / "arena.db"
        with SqliteLedger(path) as ledger:
            key = ready(ledger)
            vote(ledger, key, "a")
        subprocess.run([MOUNT, "-o", "remount,ro", disk], check=True)
        try:
            with pytest.raises(ArenaError, match="can't be opened: Read-only file system"):
                SqliteLedger(path)
            with pytest.raises(ArenaError, match="can't be repaired: Read-only"):
                repair(path)
            copy = back_up_database(path, tmp_path / "rescued.db")
        finally:
            subprocess.run([MOUNT, "-o", "remount,rw", disk], check=True)
        with SqliteLedger(copy) as ledger:
            assert voted_in(ledger) == {key}


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("limit", [8_192, 100_000, 300_000])
def test_where_files_may_not_grow_nothing_acknowledged_is_lost(tmp_path: Path, limit: int):
    path = tmp_path / "arena.db"
    SqliteLedger(path).close()
    command = [sys.executable, "-c", CHILD, str(path), str(limit)]
    end = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    assert end.returncode == 0, end.stderr
    *voted, fault, still = end.stdout.splitlines()
    assert "can't be read or written: the disk reports an error" in fault or "the disk is full" in fault
    assert int(still.split()[1]) >= len(voted)
    with SqliteLedger(path) as ledger:
        assert ledger.damage() == ""
        assert voted_in(ledger) >= {line.split()[1] for line in voted}


def no_more_pages(ledger: SqliteLedger) -> None:
    """From now on no vote finds room, as on a full disk."""
    conn = ledger._connection._conn
    conn.execute(f"PRAGMA max_page_count = {conn.execute('PRAGMA page_count').fetchone()[0]}")
    (key,) = [view.id for view in ledger.waiting()]
    filler = (
        "INSERT INTO votes (round, verdict, kind, ranking, blind, note, voter, cast_at, retracted_at)"
        " VALUES (?, '', '', '', 1, ?, '', '', '')"
    )
    for length in (3000, 1000, 300, 100, 30, 10, 0):
        with suppress(sqlite3.OperationalError):
            while True:
                conn.execute(filler, [key, "x" * length])


def room_again(ledger: SqliteLedger) -> None:
    ledger._connection._conn.execute("PRAGMA max_page_count = 4294967294")


def read_only(ledger: SqliteLedger) -> None:
    ledger._connection._conn.execute("PRAGMA query_only = ON")


def writable(ledger: SqliteLedger) -> None:
    ledger._connection._conn.execute("PRAGMA query_only = OFF")


@pytest.mark.parametrize(
    ("fault", "word", "mend"),
    [(no_more_pages, "the disk is full", room_again), (read_only, "can't be written", writable)],
    ids=["full", "read-only"],
)
async def test_a_vote_that_could_not_be_stored_is_not_shown_as_stored(tmp_path, fault, word, mend):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
            arena._desk.do(fault).result()
            await pilot.press("a")
            await until(pilot, lambda: any(word in str(note.message) for note in pilot.app._notifications))
            await until(pilot, lambda: not pilot.app.screen.busy)
            assert pilot.app.screen.phase is Phase.VOTING, "it still waits for a vote"
            assert "You said" not in screen_text(pilot)
            assert all(name.partition("/")[2] not in screen_text(pilot) for name in NAMES)
            assert arena.board().result().votes == 0
            arena._desk.do(mend).result()
            await pilot.press("b")  # as soon as there is room it goes on
            await until(pilot, lambda: pilot.app.screen.phase is Phase.REVEALED)
            assert arena.board().result().votes == 1


async def test_a_round_on_a_disk_that_is_full_is_said_and_the_next_one_plays(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.app.screen.ready.wait()
            arena._desk.do(read_only).result()
            await pilot.press(*"why?", "enter")
            await until(
                pilot, lambda: any("can't be written" in str(note.message) for note in pilot.app._notifications)
            )
            await until(pilot, lambda: not pilot.app.screen.busy)
            assert pilot.app.screen.phase is Phase.ASKING
            arena._desk.do(writable).result()
            await pilot.press("enter")  # what was typed is still there
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
            assert [line.state for line in arena.history().result()] == [RoundState.READY]


async def test_a_damaged_database_is_said_on_the_screen_with_what_to_do(tmp_path):
    path = tmp_path / "arena.db"
    fill(path, 10)
    spoil(path, 0, b"\0")
    damaged = path.read_bytes()
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda: "arena doctor --repair" in " ".join(screen_text(pilot).split()))
            await pilot.press("q")
    assert path.read_bytes() == damaged, "nothing is done to it unasked"


def test_two_arenas_vote_on_the_same_rounds_and_each_vote_counts_once(tmp_path):
    with arena_on(tmp_path) as one, arena_on(tmp_path) as two:
        with SqliteLedger(tmp_path / "arena.db") as ledger:
            keys = [ready(ledger, text=f"Question {number}") for number in range(20)]

        promises = [(each, key, each.cast(key, Verdict.parse("a", 2))) for key in keys for each in (one, two)]
        stored: dict[str, int] = dict.fromkeys(keys, 0)
        for _, key, promise in promises:
            fault = promise.exception()
            assert fault is None or "is locked" in str(fault), "a sentence, and nothing else"
            stored[key] += fault is None
        assert set(stored.values()) == {1}
        assert one.board().result().votes == two.board().result().votes == len(keys)
