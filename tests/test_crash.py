"""What was acknowledged survives whatever happens to its process; what was in work goes on, or says that it broke off.

Children (tests/killable.py) play rounds and queues, ask further, vote, bring old files up to date and repair damaged
ones. They are killed without warning at random moments: now and then while they start, else while they write.
`--kills 1000` is the long version.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from arena.core.rounds import Answer, RoundState
from arena.store import schema
from arena.store.ledger import SqliteLedger
from arena.store.repair import repair
from test_store_migration import HERE, NAMELESS, an_old_file, dump, keep_round
from test_store_repair import fill, pages_of, spoil

IN_WORK = {RoundState.PLANNED, RoundState.GENERATING}
CHILD = Path(__file__).with_name("killable.py")


def start(kind: str, path: Path, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), kind, str(path), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed(children: list[subprocess.Popen[str]], rng: random.Random) -> list[list[str]]:
    """What they said until they were killed, each in its own random moment."""
    said = []
    if rng.random() < 0.85:
        for each in children:
            assert each.stdout is not None
            assert each.stdout.readline() == "open\n", each.communicate()[1]
    for each in children:
        time.sleep(rng.random() * 0.25)
        assert each.poll() is None, each.communicate()[1]
        each.kill()
        said += [line.split() for line in each.communicate()[0].splitlines()]
    return said


@pytest.fixture
def rng() -> random.Random:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    return random.Random(seed)


def check_file(ledger: SqliteLedger) -> None:
    ask = ledger._connection.rows
    assert [row[0] for row in ask("PRAGMA integrity_check")] == ["ok"]
    assert ask("PRAGMA foreign_key_check") == []
    ask("INSERT INTO answers_fts (answers_fts, rank) VALUES ('integrity-check', 1)")
    ask("INSERT INTO prompts_fts (prompts_fts, rank) VALUES ('integrity-check', 1)")


@dataclass(slots=True)
class Said:
    """What the children acknowledged."""

    dealt: set[str] = field(default_factory=set)
    planned: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)
    voted: list[tuple[str, str]] = field(default_factory=list)

    def hear(self, word: str, *rest: str) -> None:
        if word == "voted":
            self.voted.append((rest[0], rest[1]))
        elif word in ("dealt", "planned", "ready"):
            getattr(self, word).update(rest)


def check_votes(ledger: SqliteLedger, said: Said) -> None:
    cast = {(row["round"], row["note"]) for row in ledger._connection.rows("SELECT round, note FROM votes")}
    assert set(said.voted) <= cast, "an acknowledged vote is gone"
    for key, token in dict(said.voted).items():
        record = ledger.round(key)
        assert record.state is RoundState.VOTED
        assert record.vote is not None
        # One more vote may have reached the disk before its acknowledgement was said.
        assert record.vote.note == token or (key, record.vote.note) not in said.voted


def check_rounds(ledger: SqliteLedger, said: Said) -> Counter[str]:
    """Every round is in one state, and either over, or waits, or can be gone on with. Returns how many are where."""
    rows = {row["id"]: row for row in ledger._connection.rows("SELECT * FROM rounds")}
    assert said.dealt | said.planned | said.ready <= rows.keys()
    assert all(RoundState(rows[key]["state"]) not in IN_WORK for key in said.ready), "it was ready once"
    interrupted = set(ledger.interrupted())
    queued = {key for key, row in rows.items() if row["queue"] is not None}
    assert said.planned <= queued
    waiting = {view.id for view in ledger.waiting(10**6)}
    followed = {row["continues"] for row in rows.values() if row["continues"] and row["state"] != RoundState.VOID}
    where: Counter[str] = Counter()
    for key, row in rows.items():
        ways = {
            "interrupted": key in interrupted,
            "to be played": key in queued and row["state"] in IN_WORK,
            "waits": key in waiting,
            "goes on": key in followed,
            "voted": row["state"] == RoundState.VOTED and ledger.round(key).vote is not None,
            "void": row["state"] == RoundState.VOID,
        }
        (way,) = [name for name, so in ways.items() if so]
        where[way] += 1
        if way in ("waits", "voted", "goes on"):
            assert all(each.there for each in ledger.round(key).answers)
    return where


def go_on(ledger: SqliteLedger) -> None:
    """What was broken off is marked, what a queue has left is played."""
    for key in ledger.interrupted():
        ledger.void(key, "interrupted")
    rng = random.Random(1)
    for queue in ledger.queues():
        while (taken := ledger.take_planned(queue.id)) is not None:
            for seat in taken.seats:
                ledger.save_answer(taken.id, Answer(seat.index, f"{rng.random()}"))
            ledger.close_round(taken.id, RoundState.READY)
    assert ledger.interrupted() == []
    assert not any(queue.left for queue in ledger.queues())


def test_no_acknowledged_vote_is_lost_and_every_round_goes_on_or_is_marked(tmp_path, request, rng):
    kills = max(4, request.config.getoption("--kills") * 6 // 10)
    path, said = tmp_path / "arena.db", Said()
    for _ in range(kills // 2):
        kinds = [rng.choice(("play", "play", "play_queues")) for _ in range(2)]
        for line in killed([start(kind, path, rng.getrandbits(32)) for kind in kinds], rng):
            said.hear(*line)
        with SqliteLedger(path) as ledger:
            check_file(ledger)
    with SqliteLedger(path) as ledger:
        check_votes(ledger, said)
        where = check_rounds(ledger, said)
        assert where["interrupted"] + where["to be played"], f"{kills} kills and none of them met a round in work"
        go_on(ledger)
        check_file(ledger)
        after = check_rounds(ledger, said)
        assert after["interrupted"] == after["to be played"] == 0
    print(f"{kills} kills, {len(said.voted)} votes, {dict(where)}")  # noqa: T201
    assert said.voted


def old_file(path: Path) -> None:
    """A file of an old shape with forty voted rounds."""
    an_old_file(path, 3)
    with closing(sqlite3.connect(path)) as conn, conn:
        for number in range(10, 46):
            keep_round(conn, f"r{number}", [HERE, NAMELESS])


def test_a_migration_is_done_with_its_backup_or_not_begun(tmp_path, request, rng):
    kills = max(4, request.config.getoption("--kills") * 3 // 10)
    template = tmp_path / "template.db"
    old_file(template)
    before, met = dump(template), Counter()
    shutil.copyfile(template, tmp_path / "in-peace.db")
    with SqliteLedger(tmp_path / "in-peace.db") as ledger:
        verdicts = len(ledger.verdicts())
    for _ in range(kills):
        lines = killed([start("migrate", template, rng.getrandbits(32))], rng)
        done = {line[1] for line in lines if line[0] == "done"}
        begun = [Path(line[1]) for line in lines if line[0] == "begun"]
        for folder in begun[-2:]:  # the one that was met, and one that was done before it
            path = folder / "arena.db"
            copies = [each for each in folder.glob("arena.db.before-*") if ".part" not in each.name]
            assert all(dump(each) == before for each in copies), "a backup is whole once it has its name"
            with closing(sqlite3.connect(path)) as conn:
                version = conn.execute("PRAGMA user_version").fetchone()[0]
            if version == len(schema.STEPS):
                assert copies
            else:
                assert str(folder) not in done
                assert dump(path) == before
            if str(folder) not in done:
                met["new" if version == len(schema.STEPS) else "copied" if copies else "old"] += 1
            with SqliteLedger(path) as ledger:
                check_file(ledger)
                assert len(ledger.verdicts()) == verdicts
            assert not list(folder.glob("*.part*"))
            shutil.rmtree(folder)
    print(f"{kills} kills: {dict(met)}")  # noqa: T201
    assert met, f"{kills} kills and none of them met a migration"


def test_a_repair_is_done_and_the_damaged_file_kept_or_nothing_has_changed(tmp_path, request, rng):
    kills = max(4, request.config.getoption("--kills") // 10)
    template = tmp_path / "template.db"
    notes = fill(template, 30)
    spoil(template, pages_of(template, "answers")[1], b"\0")
    damaged, met = template.read_bytes(), Counter()
    for _ in range(kills):
        for line in killed([start("mend", template, rng.getrandbits(32))], rng):
            assert line != ["whole"]
            if line[0] != "begun":
                continue
            path = Path(line[1]) / "arena.db"
            if path.read_bytes() == damaged:
                met["not yet"] += 1
                assert repair(path) is not None
            else:
                met["done"] += 1
            kept = [each for each in path.parent.glob("arena.db.damaged-*") if ".part" not in each.name]
            assert kept
            assert all(each.read_bytes() == damaged for each in kept)
            with SqliteLedger(path) as ledger:
                check_file(ledger)
                assert {each.round_id for each in ledger.verdicts()} == notes.keys()
            shutil.rmtree(path.parent)
    print(f"{kills} kills: {dict(met)}")  # noqa: T201
    assert met
