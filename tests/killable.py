"""Children of tests/test_crash.py: they work for ever, say what is done once it is, and wait to be killed.

Nothing but the store is imported: they shall die at work, not while they start.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import Answer, Round, RoundState, Seat, new_round_id
from arena.core.votes import Kind, Verdict, Vote
from arena.store.ledger import SqliteLedger

# sqlite-utils brings them along where they are installed: two seconds in which there is nothing to kill.
sys.modules["pandas"] = sys.modules["numpy"] = None  # type: ignore[assignment]
PLAYERS = [Contestant(ModelRef("demo", name)) for name in ("small", "medium", "large")]


def say(*words: str) -> None:
    """One write of one line: a reader gets all of it or nothing."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def deal(rng: random.Random) -> Round:
    chosen = rng.sample(PLAYERS, rng.choice((2, 3)))
    seats = tuple(Seat(i, player, i) for i, player in enumerate(chosen))
    return Round(new_round_id(), Prompt(f"Question {rng.random()}"), seats, Sampling())


def answer(ledger: SqliteLedger, round_: Round, rng: random.Random) -> None:
    for seat in round_.seats:
        ledger.save_answer(round_.id, Answer(seat.index, "가나다 " * rng.choice((1, 100, 2000))))
        time.sleep(rng.random() * 0.004)
    ledger.close_round(round_.id, RoundState.READY)
    say("ready", round_.id)


def judge(ledger: SqliteLedger, round_: Round, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2))):  # now and then the mind is changed
        token = f"{rng.random()}"
        ledger.cast(Vote(round_.id, Verdict(Kind.RANKING, ((rng.randrange(len(round_.seats)),),)), note=token))
        say("voted", round_.id, token)


def play(path: Path, rng: random.Random) -> None:
    """Play, ask further, and vote, for ever; and say what is done once it is."""
    ledger = SqliteLedger(path)
    say("open")
    while True:
        round_ = deal(rng)
        ledger.open_round(round_)
        say("dealt", round_.id)
        answer(ledger, round_, rng)
        while rng.random() < 0.4:
            before, round_ = round_, replace(round_, id=new_round_id(), prompt=deal(rng).prompt, continues=round_.id)
            ledger.open_round(round_)
            say("dealt", round_.id)
            if rng.random() < 0.2:
                ledger.void(round_.id, "cancelled")
                round_ = before
                break
            answer(ledger, round_, rng)
        judge(ledger, round_, rng)


def play_queues(path: Path, rng: random.Random) -> None:
    """Plan queues and play them, those of others that were killed as well."""
    ledger = SqliteLedger(path)
    say("open")
    while True:
        rounds = [deal(rng) for _ in range(4)]
        ledger.plan_queue("", rounds)
        say("planned", *(round_.id for round_ in rounds))
        for queue in [queue.id for queue in ledger.queues() if queue.left]:
            while (taken := ledger.take_planned(queue)) is not None:
                if rng.random() < 0.2:
                    ledger.put_back(taken.id)
                    break
                answer(ledger, taken, rng)


def work_on_copies(template: Path, rng: random.Random, work: Callable[[Path], None]) -> None:
    """Do something to one copy of a file after the other."""
    say("open")
    for number in count():
        folder = template.parent / f"{rng.getrandbits(60)}-{number}"
        folder.mkdir()
        shutil.copyfile(template, folder / "arena.db")
        say("begun", str(folder))
        work(folder / "arena.db")
        say("done", str(folder))


def migrate(template: Path, rng: random.Random) -> None:
    import arena.store.migrations  # noqa: F401 - heavy

    work_on_copies(template, rng, lambda path: SqliteLedger(path).close())


def mend(template: Path, rng: random.Random) -> None:
    from arena.store.repair import repair

    work_on_copies(template, rng, lambda path: print(end="" if repair(path) else "whole\n"))  # noqa: T201


CHILDREN: dict[str, Callable[[Path, random.Random], None]] = {
    each.__name__: each for each in (play, play_queues, migrate, mend)
}


if __name__ == "__main__":
    CHILDREN[sys.argv[1]](Path(sys.argv[2]), random.Random(int(sys.argv[3])))
