"""A vote that was acknowledged survives whatever happens to its process; what was in work can be found again.

Children play rounds and cast votes on one database, two at a time, and are killed without warning at random moments:
now and then while they start, else while they write. Run as a program, this file is such a child.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import Answer, Round, RoundState, Seat, new_round_id
from arena.core.votes import Kind, Verdict, Vote
from arena.store.ledger import SqliteLedger

PAIRS_OF_CHILDREN = 14


def say(*words: str) -> None:
    """One write of one line: a reader gets all of it or nothing."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def child(path: Path, seed: int) -> None:
    """Play and vote for ever, and say what is done once it is."""
    rng = random.Random(seed)
    ledger = SqliteLedger(path)
    say("open")
    players = [Contestant(ModelRef("demo", name)) for name in ("small", "medium", "large")]
    while True:
        chosen = rng.sample(players, rng.choice((2, 3)))
        seats = tuple(Seat(i, player, i) for i, player in enumerate(chosen))
        round_ = Round(new_round_id(), Prompt(f"Question {rng.random()}"), seats, Sampling())
        ledger.open_round(round_)
        say("dealt", round_.id)
        for seat in seats:
            ledger.save_answer(round_.id, Answer(seat.index, "가나다 " * rng.choice((1, 100, 2000))))
            time.sleep(rng.random() * 0.004)
        ledger.close_round(round_.id, RoundState.READY)
        for _ in range(rng.choice((1, 2))):  # now and then the mind is changed
            token = f"{rng.random()}"
            ledger.cast(Vote(round_.id, Verdict(Kind.RANKING, ((rng.randrange(len(seats)),),)), note=token))
            say("voted", round_.id, token)


def start(path: Path, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, str(path), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_file(ledger: SqliteLedger) -> None:
    ask = ledger._connection.rows
    assert [row[0] for row in ask("PRAGMA integrity_check")] == ["ok"]
    assert ask("PRAGMA foreign_key_check") == []
    ask("INSERT INTO answers_fts (answers_fts, rank) VALUES ('integrity-check', 1)")
    ask("INSERT INTO prompts_fts (prompts_fts, rank) VALUES ('integrity-check', 1)")


def test_no_acknowledged_vote_is_lost(tmp_path: Path):
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)
    path = tmp_path / "arena.db"
    dealt: set[str] = set()
    voted: list[tuple[str, str]] = []
    kills, began = 0, time.monotonic()
    for _ in range(PAIRS_OF_CHILDREN):
        children = [start(path, rng.getrandbits(32)) for _ in range(2)]
        if rng.random() < 0.8:
            for each in children:
                assert each.stdout is not None
                assert each.stdout.readline() == "open\n", each.communicate()[1]
        for each in children:
            time.sleep(rng.random() * 0.3)
            assert each.poll() is None, each.communicate()[1]
            each.kill()
            kills += 1
            for line in each.communicate()[0].splitlines():
                word, *rest = line.split()
                if word == "dealt":
                    dealt.add(rest[0])
                elif word == "voted":
                    voted.append((rest[0], rest[1]))
        with SqliteLedger(path) as ledger:
            check_file(ledger)
    took = time.monotonic() - began

    with SqliteLedger(path) as ledger:
        cast = {(row["round"], row["note"]) for row in ledger._connection.rows("SELECT round, note FROM votes")}
        assert set(voted) <= cast, "an acknowledged vote is gone"
        newest = dict(voted)
        for key, token in newest.items():
            record = ledger.round(key)
            assert record.state is RoundState.VOTED
            assert record.vote is not None
            # One more vote may have reached the disk before its acknowledgement was said.
            assert record.vote.note == token or (key, record.vote.note) not in voted

        everything = {line.id: line for line in ledger.history(limit=10**6)}
        assert dealt <= everything.keys()
        left = set(ledger.interrupted())
        in_work = {RoundState.PLANNED, RoundState.GENERATING}
        assert left == {key for key, line in everything.items() if line.state in in_work}
        waiting = {view.id for view in ledger.waiting(10**6)}
        assert everything.keys() == left | waiting | {
            key for key, line in everything.items() if line.state is RoundState.VOTED
        }
        assert left, "28 kills and none of them met a round in work"
        for key in left:
            ledger.void(key, "interrupted")
        assert ledger.interrupted() == []
        check_file(ledger)
    print(f"{kills} kills, {len(dealt)} rounds, {len(voted)} votes, {len(left)} interrupted, {took:.1f} s")  # noqa: T201
    assert kills >= 25
    assert voted


if __name__ == "__main__":
    child(Path(sys.argv[1]), int(sys.argv[2]))
