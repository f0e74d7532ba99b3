"""A thousand rounds unattended, and a day's worth of hardware readings: what is held at the end, against the beginning.

    python benchmarks/endurance.py [--rounds 1000] [--readings 43200] [--check]

The rounds are a queue as `arena run --pack demo --rounds N` plays it, on the embedded models in their worker processes,
with short answers; a voter judges each as it comes, and the leaderboard is computed now and then. The readings are what
the hardware panel asks for every two seconds, made one after another without a pause. The first tenth of either is the
beginning: until then modules are imported and caches fill. `--check`: exit code 1 when a figure is past its bound.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from arena.config import load  # noqa: E402
from arena.core.ports import RoundRecord  # noqa: E402
from arena.core.rounds import SealedRound  # noqa: E402
from arena.core.votes import Verdict  # noqa: E402
from arena.series import Order, Step  # noqa: E402
from arena.wiring import Arena  # noqa: E402
from footprint import Footprint  # noqa: E402 - it lives with the tests

MODELS = ("demo/small", "demo/medium", "demo/large")
TOKENS, CONTEXT = 24, 512
SAYS = ("a", "b", "tie", "bad", "skip")
BOARD_EVERY = 50
MOST_MEMORY, MOST_MORE_FILES, MOST_LOG_MIB = 1.25, 3, 16
"""`--check`: memory at the end against the beginning, open files that came on top, the database's log."""
MOST_GROWTH, MOST_OF_VALUES = 1.5, 4
"""What the second half of the rounds adds to the database, in what the first half does; all of it, in bytes stored."""
_TELLING_ROUNDS = 200
"""With fewer, the database is mostly its empty tables and its packs."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One moment."""

    done: int
    """Of what is counted."""
    held: Footprint
    pages: int
    """Bytes of the database that are in use, what its log adds included."""
    log: int
    """Bytes of the log."""


class Diary:
    """What is held at eleven moments, of which the second one is the beginning of the comparison."""

    def __init__(self, total: int, unit: str, db: Path) -> None:
        """`total` of what is counted in `unit`."""
        self._every = max(1, total // 10)
        self._db = db
        self._began = time.monotonic()
        self.entries: list[Entry] = []
        heads = ("min", "RSS MiB", "workers MiB", "files", "threads", "children", "zombies", "database MiB", "log MiB")
        print(f"\n| {' | '.join((unit, *heads))} |\n" + "|---:" * (len(heads) + 1) + "|")

    def note(self, done: int) -> None:
        """Look, if it is time."""
        if done % self._every:
            return
        log = self._db.with_name(f"{self._db.name}-wal")
        entry = Entry(done, Footprint.now(), pages_in_use(self._db), log.stat().st_size if log.exists() else 0)
        self.entries.append(entry)
        held, minutes = entry.held, (time.monotonic() - self._began) / 60
        print(
            f"| {done:,} | {minutes:.1f} | {held.rss_mib:.1f} | {held.workers_mib:.1f} | {held.files} | {held.threads}"
            f" | {held.children} | {held.zombies} | {entry.pages / 2**20:.2f} | {entry.log / 2**20:.2f} |",
            flush=True,
        )

    def faults(self) -> list[str]:
        """Which bounds are not kept, each as a line."""
        first, last = self.entries[1].held, self.entries[-1].held
        grown = last.rss_mib / first.rss_mib
        told = [f"memory is {grown:.2f} times that of the beginning"] * (grown > MOST_MEMORY)
        if first.workers_mib:
            workers = last.workers_mib / first.workers_mib
            told += [f"the workers' memory is {workers:.2f} times that of the beginning"] * (workers > MOST_MEMORY)
        told += [f"{last.files - first.files} more files are open"] * (last.files > first.files + MOST_MORE_FILES)
        told += [f"{last.zombies} zombies"] * bool(last.zombies)
        log = max(entry.log for entry in self.entries) / 2**20
        return told + [f"the log of the database has {log:.0f} MiB"] * (log > MOST_LOG_MIB)


def pages_in_use(db: Path) -> int:
    """Bytes of the pages that hold something."""
    with closing(sqlite3.connect(db)) as conn:
        count, free, size = (
            conn.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "freelist_count", "page_size")
        )
    return int((count - free) * size)


def bytes_of_values(db: Path) -> int:
    """Bytes of everything that is stored: text as UTF-8, numbers as they are written."""
    with closing(sqlite3.connect(db)) as conn:
        found = 0
        for (table,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            if "_fts" in table or table.startswith("sqlite_"):
                continue  # made of the others
            columns = [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]
            lengths = " + ".join(f"coalesce(length(cast({column} AS BLOB)), 0)" for column in columns)
            found += conn.execute(f"SELECT coalesce(sum({lengths}), 0) FROM {table}").fetchone()[0]  # noqa: S608
    return found


def play(arena: Arena, rounds: int) -> list[str]:
    """Play and judge a queue. Returns what is past its bound."""
    db = arena.settings.db
    infos = tuple(arena.lineup.find(name).result() for name in MODELS)
    queue = arena.series.plan(Order(tuple(arena.examples(infos)), infos, rounds, again=True)).result()
    diary, rng = Diary(rounds, "rounds", db), random.Random(1)
    diary.note(0)
    judged: Counter[str] = Counter()

    def count(vote: Future[RoundRecord]) -> None:
        judged[type(vote.exception()).__name__] += 1

    def judge(step: Step) -> None:
        if isinstance(step.found, SealedRound):
            view = step.found.view
            arena.cast(view.id, Verdict.parse(rng.choice(SAYS), len(view.labels))).add_done_callback(count)
        if step.done % BOARD_EVERY == 0:
            arena.board()
        diary.note(step.done)

    void = arena.series.play(queue.id, judge).result()
    board = arena.board().result()
    print(f"\n{judged['NoneType']} rounds judged, {void} void, {board.votes} votes on the board (repeats count once).")
    missed = [f"{rounds - judged['NoneType']} rounds were not judged"] * (judged["NoneType"] < rounds)
    return missed + diary.faults() + size_off(diary, db, rounds)


def size_off(diary: Diary, db: Path, rounds: int) -> list[str]:
    """Print what a round takes of the database. Returns what is past its bound."""
    sizes = {entry.done: entry.pages for entry in diary.entries}
    first, half, last = sizes[0], sizes[max(done for done in sizes if done <= rounds / 2)], max(sizes.values())
    growth, share = (last - half) / max(1, half - first), last / bytes_of_values(db)
    print(
        f"Database: {first:,} bytes with all rounds planned, {last:,} with all of them judged, "
        f"{last / rounds:,.0f} a round. The second half of the rounds added {growth:.2f} times what the first half "
        f"did; the whole is {share:.2f} times the bytes of its values."
    )
    if rounds < _TELLING_ROUNDS:
        return []
    told = [f"the second half of the rounds took {growth:.2f} times the room of the first"] * (growth > MOST_GROWTH)
    return told + [f"the database is {share:.2f} times its values"] * (share > MOST_OF_VALUES)


def read_hardware(arena: Arena, readings: int) -> list[str]:
    """Ask for what the panel shows, again and again. Returns what is past its bound."""
    infos = [arena.lineup.find(name).result() for name in MODELS]
    diary = Diary(readings, "readings", arena.settings.db)
    diary.note(0)
    for done in range(1, readings + 1):
        arena.watch.overview(infos).result()
        diary.note(done)
    return diary.faults()


def main() -> int:
    """Run what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--readings", type=int, default=43_200)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = load(db=folder / "arena.db")
        sampling = replace(settings.sampling, max_tokens=TOKENS, context=CONTEXT)
        arena = Arena(replace(settings, sampling=sampling, discover=False, cache_folder=folder))
        try:
            missed += play(arena, asked.rounds) if asked.rounds else []
            missed += read_hardware(arena, asked.readings) if asked.readings else []
        finally:
            arena.close()
    held = Footprint.now()
    print(f"\nWhen arena is closed: {held.children} children, {held.files} files, {held.threads} threads.")
    missed += [f"{held.children} children are left"] * bool(held.children)
    if missed:
        print("\n".join(missed), file=sys.stderr)
    return int(asked.check and bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
