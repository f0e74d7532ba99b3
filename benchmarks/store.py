"""Rounds and votes to the disk: the ledger beside bare inserts of the same bytes, in the same run.

    python benchmarks/store.py [--rounds 500] [--full 10000] [--check]

A round of two is five commits (dealt, begun, two answers, closed), a vote is one; each is on the disk when it returns.
Beside it as many commits are made that write the same texts into one bare table, in a file with the same settings. The
turns alternate, and the medians of their times make the ratios. A commit waits for the disk, which may be busy with
others, so only CPU time is held to a bound: it says what the ledger itself costs. `--full`: so many rounds are in the
file before it is measured once more; what a round costs must not grow with the file. `--check`: exit code 1 when a
ratio is past its bound.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import Answer, Round, RoundState, Seat, new_round_id
from arena.core.votes import Verdict, Vote
from arena.store.ledger import SqliteLedger

PLAYERS = [Contestant(ModelRef("demo", name)) for name in ("small", "medium", "large")]
WORDS = (
    "the",
    "queue",
    "keeps",
    "pending",
    "requests",
    "and",
    "batches",
    "them",
    "when",
    "memory",
    "is",
    "free",
    "모델",
)
TURN = 25
MOST_CPU, MOST_FULL = 30.0, 2.5
"""`--check`: a round in the ledger against the bare one, and one in a full file against one in an empty file."""
WRITE = "INSERT INTO bare (round, seat, text) VALUES (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Text:
    """What is stored of a round."""

    prompt: str
    answers: tuple[str, str]

    @classmethod
    def random(cls, rng: random.Random) -> Text:
        """A question of 20 words, and two answers of 100 to 400."""
        lengths = (20, rng.randrange(100, 400), rng.randrange(100, 400))
        prompt, first, second = (" ".join(rng.choices(WORDS, k=length)) for length in lengths)
        return cls(f"{rng.getrandbits(64)} {prompt}", (first, second))


class Ours:
    """The ledger."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        """A new file."""
        self._ledger, self._rng = SqliteLedger(path), rng

    def rounds(self, texts: list[Text]) -> list[str]:
        """Deal, begin, answer and close. Returns the ids."""
        ids = []
        for text in texts:
            seats = tuple(Seat(i, player, i) for i, player in enumerate(self._rng.sample(PLAYERS, 2)))
            dealt = Round(new_round_id(), Prompt(text.prompt), seats, Sampling())
            self._ledger.open_round(dealt)
            self._ledger.begin_round(dealt.id)
            for seat, answer in enumerate(text.answers):
                self._ledger.save_answer(dealt.id, Answer(seat, answer))
            self._ledger.close_round(dealt.id, RoundState.READY)
            ids.append(dealt.id)
        return ids

    def votes(self, ids: list[str]) -> None:
        """Vote and open the envelope."""
        for key in ids:
            self._ledger.cast(Vote(key, Verdict.parse(self._rng.choice("ab"), 2)), reveal=True)

    def fill(self, texts: list[Text]) -> None:
        """The same, without waiting for the disk."""
        conn = self._ledger._connection._conn  # noqa: SLF001 - only a benchmark may do without the disk
        conn.execute("PRAGMA synchronous = OFF")
        self.votes(self.rounds(texts))
        conn.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        """Give the file back."""
        self._ledger.close()


class Bare:
    """One table, no keys, as many commits."""

    def __init__(self, path: Path) -> None:
        """A new file with the ledger's settings."""
        self._conn = sqlite3.connect(path, isolation_level=None)
        self._conn.execute("PRAGMA journal_mode = WAL")
        self._conn.execute("PRAGMA synchronous = FULL")
        self._conn.execute("CREATE TABLE bare (round, seat, text)")

    def rounds(self, texts: list[Text]) -> list[str]:
        """Five commits each. Returns the ids."""
        ids = []
        for text in texts:
            key = new_round_id()
            for seat, said in ((None, text.prompt), (None, "begun"), *enumerate(text.answers), (None, "ready")):
                self._conn.execute(WRITE, (key, seat, said))
            ids.append(key)
        return ids

    def votes(self, ids: list[str]) -> None:
        """A commit each."""
        for key in ids:
            self._conn.execute(WRITE, (key, 0, "a"))

    def close(self) -> None:
        """Give the file back."""
        self._conn.close()


@dataclass(slots=True)
class Times:
    """Seconds of turns, on the wall and of the processor."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def of(self, work: Callable[[list], object], what: list) -> object:
        """Time one turn."""
        wall, cpu = time.perf_counter(), time.process_time()
        found = work(what)
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        return found

    @property
    def middle(self) -> tuple[float, float]:
        """Medians."""
        return statistics.median(self.wall), statistics.median(self.cpu)


def measure(arms: dict[str, Ours | Bare], turns: int, rng: random.Random) -> dict[tuple[str, str], Times]:
    """Turns of rounds and of votes on them, by arm and by what it was."""
    found = {(name, what): Times() for name in arms for what in ("round", "vote")}
    for _ in range(turns):
        texts = [Text.random(rng) for _ in range(TURN)]
        for name, arm in arms.items():
            ids = found[name, "round"].of(arm.rounds, texts)
            found[name, "vote"].of(arm.votes, ids)
    return found


def main() -> int:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--full", type=int, default=10_000)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    rng, turns = random.Random(1), max(3, asked.rounds // TURN)
    missed: list[str] = []
    print(f"| {'what':<28} | a second | wall, ms | CPU, ms | times bare: wall | CPU |\n|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        arms = {"arena": Ours(Path(folder, "arena.db"), rng), "bare": Bare(Path(folder, "bare.db"))}
        times = measure(arms, turns, rng)
        for at in range(0, asked.full, 1000):
            arms["arena"].fill([Text.random(rng) for _ in range(min(1000, asked.full - at))])
        full = f"arena, {turns * TURN + asked.full:,} in the file"
        times |= {(full, what): each for (_, what), each in measure({full: arms["arena"]}, turns, rng).items()}
        for arm in arms.values():
            arm.close()
    for (name, what), each in times.items():
        (wall, cpu), (bare_wall, bare_cpu) = each.middle, times["bare", what].middle
        ratios = wall / bare_wall, cpu / bare_cpu
        print(
            f"| {f'{what}, {name}':<28} | {TURN / wall:,.0f} | {wall / TURN * 1000:.2f} | {cpu / TURN * 1000:.2f} |"
            f" {ratios[0]:.2f} | {ratios[1]:.1f} |"
        )
        missed += [f"{what}, {name}: {ratios[1]:.1f} times the bare one's CPU"] * (ratios[1] > MOST_CPU)
    for what in ("round", "vote"):
        grown = times[full, what].middle[1] / times["arena", what].middle[1]
        print(f"\nCPU of a {what} in the full file, times that in the empty one: {grown:.2f}")
        missed += [f"a {what} costs {grown:.1f} times as much in a full file"] * (grown > MOST_FULL)
    print(f"\nLoad average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if missed:
        print("\n".join(missed), file=sys.stderr)
    return int(asked.check and bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
