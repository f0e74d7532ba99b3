"""A damaged database is kept as it is, and what can be read of it goes on: really damaged files, of every kind."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from arena.core.errors import ArenaError
from arena.core.rounds import Round, RoundState
from arena.store import schema
from arena.store.ledger import SqliteLedger
from arena.store.repair import DAMAGED, Repaired, _alone, _steps, repair
from arena.store.salvage import Haul, Source
from battle_files import battle, jsonl, take, tally
from test_store import ALPHA, BETA, GAMMA, a_round, an_answer, vote
from test_store_migration import PLAYERS, an_old_file, today

PAGE = 4096
ROUNDS = 150


def fill(path: Path, rounds: int = ROUNDS) -> dict[str, str]:
    """Rounds with long answers, most of them voted on. Returns the note on each vote by its round."""
    notes: dict[str, str] = {}
    with SqliteLedger(path) as ledger:
        rng = random.Random(7)
        for number in range(rounds):
            players = rng.sample((ALPHA, BETA, GAMMA), rng.choice((2, 3)))
            round_: Round = a_round(*players, text=f"Question {number}? {'why ' * rng.randrange(40)}")
            ledger.open_round(round_)
            for seat in round_.seats:
                ledger.save_answer(
                    round_.id, an_answer(seat.index, f"Answer {number}. " + "가나다 " * rng.randrange(900))
                )
            ledger.close_round(round_.id, RoundState.READY)
            if number % 5:
                notes[round_.id] = f"note {number}"
                vote(ledger, round_.id, "a", note=notes[round_.id])
                ledger.mark_revealed(round_.id)
    return notes


def pages_of(path: Path, table: str) -> list[int]:
    """The leaf pages of a table, in the order in which they stand in the file, counted from 0."""
    with closing(sqlite3.connect(path)) as conn:
        root = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()[0]
    whole, found, todo = path.read_bytes(), [], [root]
    while todo:
        number = todo.pop()
        page = whole[(number - 1) * PAGE : number * PAGE]
        if page[0] == 0x0D:
            found.append(number - 1)
            continue
        cells = int.from_bytes(page[3:5], "big")
        pointers = [int.from_bytes(page[12 + 2 * i : 14 + 2 * i], "big") for i in range(cells)]
        todo += [int.from_bytes(page[at : at + 4], "big") for at in pointers]
        todo.append(int.from_bytes(page[8:12], "big"))
    return sorted(found)


def spoil(path: Path, page: int, what: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write((what * PAGE)[:PAGE])


def repaired(path: Path) -> Repaired:
    """Repair, and see that what is there now is whole and usable, and that the damaged file is what it was."""
    before = path.read_bytes()
    done = repair(path)
    assert done is not None
    assert done.kept.read_bytes() == before
    assert done.kept.parent == path.parent
    assert not [each.name for each in path.parent.iterdir() if "-repair-" in each.name or each.suffix == ".part"]
    assert path.stat().st_mode & 0o777 == 0o600
    with SqliteLedger(path) as ledger:
        assert ledger.damage() == ""
        ask = ledger._connection.rows
        assert ask("PRAGMA foreign_key_check") == []
        with ledger._connection.writing() as db:
            db.execute("INSERT INTO answers_fts (answers_fts, rank) VALUES ('integrity-check', 1)")
            db.execute("INSERT INTO prompts_fts (prompts_fts, rank) VALUES ('integrity-check', 1)")
        lines = ledger.history(limit=10**6)
        assert len(lines) + len(ask("SELECT id FROM rounds WHERE state = 'continued'")) == done.rounds
        for line in lines:
            ledger.round(line.id)
        ledger.stages()
        ledger.tallies()
        vote(ledger, ready_in(ledger), "a")
    assert repair(path) is None, "and now it is whole"
    return done


def ready_in(ledger: SqliteLedger) -> str:
    round_ = a_round()
    ledger.open_round(round_)
    for seat in round_.seats:
        ledger.save_answer(round_.id, an_answer(seat.index))
    ledger.close_round(round_.id, RoundState.READY)
    return round_.id


def notes_in(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as conn:
        return dict(conn.execute("SELECT round, note FROM votes WHERE note <> ''"))


def void_in(path: Path) -> set[str]:
    with SqliteLedger(path) as ledger:
        return {line.id for line in ledger.history(limit=10**6) if line.state is RoundState.VOID}


def test_a_whole_database_is_left_alone(tmp_path: Path):
    path = tmp_path / "arena.db"
    fill(path, 3)
    before = path.read_bytes()
    assert repair(path) is None
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["arena.db"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", [b"\0", b"\xff", b"\x0d\x00garbage"], ids=["zeros", "ones", "garbage"])
def test_a_page_of_answers_takes_its_answers_and_no_vote(tmp_path: Path, what: bytes):
    path = tmp_path / "arena.db"
    notes = fill(path)
    pages = pages_of(path, "answers")
    spoil(path, pages[len(pages) // 2], what)
    done = repaired(path)
    assert done.hauls["answers"].gaps
    assert 0 < done.hauls["answers"].lost < ROUNDS // 4
    assert {table for table, haul in done.hauls.items() if haul.lost} == {"answers"}
    assert notes_in(path) == notes, "the votes are all there"
    assert done.rounds == ROUNDS
    # Only rounds that wait for a vote need all their answers.
    assert void_in(path).isdisjoint(notes)


def test_pages_of_votes_take_their_votes_and_the_others_stay(tmp_path: Path):
    path = tmp_path / "arena.db"
    notes = fill(path, 400)
    pages = pages_of(path, "votes")
    assert len(pages) > 4
    spoil(path, pages[0], b"\0")
    spoil(path, pages[len(pages) // 2], b"\0")
    spoil(path, pages[-1], b"\0")
    done = repaired(path)
    left = notes_in(path)
    assert left.items() <= notes.items()
    assert len(left) > len(notes) // 3
    assert done.votes == len(left)
    assert done.hauls["votes"].lost == len(notes) - len(left), "an index still knows how many there were"
    # A vote that is gone is not made up, nor can it be cast again: the names are out.
    assert notes.keys() - left.keys() == void_in(path)
    with SqliteLedger(path) as ledger:
        assert DAMAGED in ledger.round(next(iter(notes.keys() - left.keys()))).flags


def test_votes_count_on_when_their_prompts_and_contestants_are_gone(tmp_path: Path):
    path = tmp_path / "arena.db"
    notes = fill(path)
    with SqliteLedger(path) as ledger:
        judged = {each.round_id: each.keys for each in ledger.verdicts()}
    assert judged.keys() == notes.keys()
    for table in ("prompts", "contestants"):
        for page in pages_of(path, table):
            spoil(path, page, b"\0")
    done = repaired(path)
    assert done.stand_ins == {"prompts": ROUNDS, "contestants": 3}
    assert notes_in(path) == notes
    with SqliteLedger(path) as ledger:
        found = {each.round_id: each.keys for each in ledger.verdicts()}
        assert {key: found[key] for key in judged} == judged
        assert "was lost" in ledger.round(next(iter(notes))).round.prompt.text


def test_rounds_without_seats_are_void(tmp_path: Path):
    path = tmp_path / "arena.db"
    fill(path)
    pages = pages_of(path, "seats")
    spoil(path, pages[len(pages) // 2], b"\0")
    done = repaired(path)
    assert done.rounds == ROUNDS
    assert done.void == len(void_in(path)) > 0


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
def test_a_truncated_file(tmp_path: Path, share: float):
    path = tmp_path / "arena.db"
    notes = fill(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArenaError, match=r"is damaged.*doctor --repair"):
        SqliteLedger(path)
    done = repaired(path)
    assert notes_in(path).items() <= notes.items()
    assert done.rounds or share < 0.5


def test_a_torn_log_gives_what_was_committed_before_the_tear(tmp_path: Path):
    live, path = tmp_path / "live" / "arena.db", tmp_path / "arena.db"
    with SqliteLedger(live) as ledger:
        ledger._connection._conn.execute("PRAGMA wal_autocheckpoint = 0")
        keys = [ready_in(ledger) for _ in range(30)]
        for key in keys:
            vote(ledger, key, "a", note=f"on {key}")
        log = Path(f"{live}-wal").read_bytes()
        path.write_bytes(live.read_bytes())
    middle = len(log) // 2
    Path(f"{path}-wal").write_bytes(log[:middle] + b"\x5a" * 900 + log[middle + 900 :])
    with SqliteLedger(path) as ledger:  # no damage: a log ends where it is torn
        assert ledger.damage() == ""
        there = [line.id for line in ledger.history(limit=10**6)]
    assert 0 < len(there) <= len(keys)
    assert set(there) == set(keys[: len(there)])


def test_a_damaged_file_is_kept_with_its_log(tmp_path: Path):
    live, path = tmp_path / "live" / "arena.db", tmp_path / "arena.db"
    notes = fill(live, 60)
    page = pages_of(live, "answers")[3]
    with SqliteLedger(live) as ledger:
        ledger._connection._conn.execute("PRAGMA wal_autocheckpoint = 0")
        key = ready_in(ledger)
        vote(ledger, key, "a", note="in the log alone")
        log = Path(f"{live}-wal").read_bytes()
        path.write_bytes(live.read_bytes())
    Path(f"{path}-wal").write_bytes(log)
    spoil(path, page, b"\0")
    done = repaired(path)
    assert Path(f"{done.kept}-wal").read_bytes() == log
    assert notes_in(path) == {**notes, key: "in the log alone"}


def test_a_link_to_the_database_stays_one(tmp_path: Path):
    path, link = tmp_path / "data" / "arena.db", tmp_path / "arena.db"
    notes = fill(path, 30)
    spoil(path, pages_of(path, "answers")[0], b"\0")
    link.symlink_to(path)
    done = repair(link)
    assert done is not None
    assert done.kept.parent == path.parent
    assert link.readlink() == path
    assert notes_in(path) == notes


def test_a_file_without_its_beginning_is_kept_and_a_new_one_made(tmp_path: Path):
    path = tmp_path / "arena.db"
    fill(path, 20)
    spoil(path, 0, b"\0")
    with pytest.raises(ArenaError, match=r"is damaged.*doctor --repair"):
        SqliteLedger(path)
    done = repaired(path)
    assert (done.rounds, done.votes) == (0, 0)


def test_a_damaged_file_of_an_old_shape_goes_on_in_todays(tmp_path: Path):
    path = tmp_path / "arena.db"
    steps = schema.STEPS.index("m004_contestants")
    an_old_file(path, steps)
    spoil(path, pages_of(path, "prompts")[0], b"\0")
    done = repaired(path)
    assert (done.rounds, done.votes) == (4, 4)
    assert done.stand_ins == {"prompts": 4}
    with SqliteLedger(path) as ledger:  # the migration has run over what was saved
        assert ledger.contestants().keys() >= {today(player).fingerprint for player in PLAYERS}


@pytest.mark.parametrize("seed", range(6))
def test_garbage_anywhere_never_stops_a_repair(tmp_path: Path, seed: int):
    path = tmp_path / "arena.db"
    notes = fill(path, 60)
    rng = random.Random(seed)
    whole = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 5, 30))):
        at, length = rng.randrange(PAGE, len(whole)), rng.choice((1, 40, PAGE, 3 * PAGE))
        whole[at : at + length] = rng.randbytes(min(length, len(whole) - at))
    path.write_bytes(bytes(whole))
    before = path.read_bytes()
    done = repair(path)
    if done is None:
        assert path.read_bytes() == before
        return
    assert done.kept.read_bytes() == before
    with SqliteLedger(path) as ledger:
        assert ledger.damage() == ""
        for line in ledger.history(limit=10**6):
            ledger.round(line.id)
        ledger.stages()
    assert notes_in(path).keys() <= notes.keys()


def test_a_table_without_row_ids_is_read_from_both_ends(tmp_path: Path):
    path = tmp_path / "any.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE pairs (a TEXT, b INTEGER, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID")
        conn.executemany("INSERT INTO pairs VALUES (?, ?)", [(f"{n:04}" * 9, n) for n in range(2000)])
        root = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'pairs'").fetchone()[0]
    whole = path.read_bytes()
    leaf = next(
        n for n in range(len(whole) // PAGE // 2, len(whole) // PAGE) if n != root - 1 and whole[n * PAGE] == 0x0A
    )
    spoil(path, leaf, b"\0")
    with closing(sqlite3.connect(path)) as conn:
        haul = Haul()
        found = [row["b"] for row in Source(conn).rows("pairs", ["a", "b"], haul)]
    assert haul.gaps
    assert len(set(found)) > 1900
    assert {0, 1999} < set(found)


def root_of(path: Path, table: str) -> int:
    """The page, counted from 0, on which a small table has all of its rows."""
    with closing(sqlite3.connect(path)) as conn:
        return int(conn.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()[0]) - 1


def an_import(path: Path) -> None:
    with SqliteLedger(path) as ledger:
        take(ledger, jsonl(battle(), battle(), battle("bee", "cat", "tie")))


def test_what_the_board_reads_of_battles_is_counted_anew(tmp_path: Path):
    path = tmp_path / "arena.db"
    an_import(path)
    with SqliteLedger(path) as ledger:
        before = tally(ledger.stages(voter="anna"))
    spoil(path, root_of(path, "import_tallies"), b"\0")
    repaired(path)
    with SqliteLedger(path) as ledger:
        assert tally(ledger.stages(voter="anna")) == before
        assert before.total() == 3


def test_battles_of_contestants_that_are_gone_go_too(tmp_path: Path):
    path = tmp_path / "arena.db"
    an_import(path)
    spoil(path, root_of(path, "import_contestants"), b"\0")
    done = repaired(path)
    assert (done.hauls["import_battles"].kept, done.hauls["import_battles"].lost) == (0, 2)
    with SqliteLedger(path) as ledger:
        assert ledger.stages(voter="anna") == []


def refused(path: Path, word: str, because: Callable[[], object] = lambda: None) -> None:
    before = path.read_bytes()
    because()
    with pytest.raises(ArenaError, match=word):
        repair(path)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*damaged*"))


def test_files_of_others_and_newer_ones_are_not_repaired(tmp_path: Path):
    letter, newer = tmp_path / "letter.txt", tmp_path / "newer.db"
    letter.write_text("Dear reader, " * 999)
    refused(letter, "no database of arena")
    fill(newer, 30)
    with closing(sqlite3.connect(newer)) as conn:
        conn.execute("PRAGMA user_version = 999")
    spoil(newer, pages_of(newer, "answers")[0], b"\0")
    refused(newer, "newer arena")
    with pytest.raises(ArenaError, match="no database"):
        repair(tmp_path / "missing.db")
    assert not (tmp_path / "missing.db").exists()


HOLD = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1])
conn.execute("SELECT * FROM rounds").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be replaced there anyway")
def test_a_database_that_another_arena_has_open_is_not_repaired(tmp_path: Path):
    path = tmp_path / "arena.db"
    fill(path, 30)
    spoil(path, pages_of(path, "answers")[0], b"\0")
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        refused(path, "in use by another arena")
        other.communicate()
    assert repair(path) is not None


LOCK = """
import fcntl, sys
fcntl.lockf(open(sys.argv[1], "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be replaced there anyway")
def test_looking_whose_a_file_was_gives_its_lock_away_to_nobody(tmp_path: Path):
    path = tmp_path / "arena.db"
    fill(path, 5)
    spoil(path, 0, b"\0")

    def is_taken() -> bool:
        command = [sys.executable, "-c", LOCK, str(path)]
        return bool(subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode)

    with _alone(path) as file, closing(sqlite3.connect(":memory:")) as no_header:
        assert is_taken()
        assert _steps(no_header, path, file) == len(schema.STEPS)
        assert is_taken()
    assert not is_taken()
