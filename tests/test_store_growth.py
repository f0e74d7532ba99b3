"""What a round costs does not grow with the rounds that are in the file already."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from arena.core.rounds import RoundState
from arena.core.votes import Verdict
from arena.store.ledger import SqliteLedger
from test_store import a_round, an_answer, vote

FEW, MANY = 20, 250
WRITES = ("deal", "begin", "answer", "close", "vote", "take back", "vote again", "open", "choose")
MOST = 1.5
"""Trees of an index get deeper, slowly."""


def steps_of(ledger: SqliteLedger, deed: Callable[[], object]) -> int:
    """What SQLite computes for it, in instructions of its virtual machine."""
    ticks = count()
    conn = ledger._connection._conn
    conn.set_progress_handler(lambda: next(ticks) < 0, 1)
    deed()
    conn.set_progress_handler(None, 1)
    return next(ticks)


def life(ledger: SqliteLedger, number: int) -> dict[str, Callable[[], object]]:
    """All that is done to one round, and what a screen asks for meanwhile."""
    round_ = a_round(text=f"Question {number}", created_at=f"2026-01-02T03:04:{number / 10:06.3f}+00:00")
    return {
        "deal": lambda: ledger.open_round(round_),
        "begin": lambda: ledger.begin_round(round_.id),
        "answer": lambda: [ledger.save_answer(round_.id, an_answer(seat.index, "four")) for seat in round_.seats],
        "close": lambda: ledger.close_round(round_.id, RoundState.READY),
        "read": lambda: ledger.sealed(round_.id),
        "vote": lambda: vote(ledger, round_.id, "a"),
        "take back": lambda: ledger.retract(round_.id),
        "wait": ledger.waiting,
        "vote again": lambda: vote(ledger, round_.id, "b"),
        "open": lambda: ledger.mark_revealed(round_.id),
        "tell": lambda: ledger.round(round_.id),
        "choose": lambda: ledger.choose(round_.id, Verdict.parse("a", 2)),
        "list": lambda: ledger.history(10),
    }


def test_the_life_of_a_round_costs_as_much_in_a_full_file_as_in_an_empty_one(tmp_path):
    with SqliteLedger(tmp_path / "arena.db") as ledger:
        ledger._connection._conn.execute("PRAGMA synchronous = OFF")
        steps = {}
        for number in range(MANY + 1):
            deeds = life(ledger, number)
            if number in (FEW, MANY):
                steps[number] = {name: steps_of(ledger, deed) for name, deed in deeds.items()}
            else:
                for name in WRITES:
                    deeds[name]()
    grown = {name: steps[MANY][name] / steps[FEW][name] for name in steps[FEW]}
    assert {name: times for name, times in grown.items() if times > MOST} == {}


def test_a_step_of_a_queue_costs_as_much_beside_many_queues_as_beside_few(tmp_path):
    with SqliteLedger(tmp_path / "arena.db") as ledger:
        ledger._connection._conn.execute("PRAGMA synchronous = OFF")
        steps = []
        for number in range(MANY // 10):
            queue = ledger.plan_queue("", [a_round(text=f"{number} {at}") for at in range(10)])
            deeds = (lambda queue=queue: ledger.take_planned(queue), lambda queue=queue: ledger.queue(queue))
            steps.append([steps_of(ledger, deed) for deed in deeds])
    assert all(last <= MOST * first for first, last in zip(steps[FEW // 10], steps[-1], strict=True))
