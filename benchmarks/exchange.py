"""A million battles: in from a file, and cold to the stages that a rating is fitted from.

    python benchmarks/exchange.py [--battles N] [--models M] [--check]

Both are measured beside what SQLite itself needs, in the same run: the import beside `executemany` of the same values
into one table, the stages beside `GROUP BY a, b, winner` over that table. A ratio of two times of one run says more
than either time. Every figure is of a process of its own; before each reading the file is put out of the page cache,
where the system can do that. `--check`: exit code 1 when a ratio is past its bound.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

WINNERS = ("model_a",) * 4 + ("model_b",) * 4 + ("tie", "tie (bothbad)")
LANGUAGES = ("English",) * 6 + ("Russian", "Chinese", "Korean", "German")
READINGS = 5
MOST_IMPORT, MOST_STAGES, MOST_MEMORY = 30.0, 3.0, 1.5
"""`--check`: the import against `executemany`, the stages against `GROUP BY`, and the memory of an import against that
of one of a hundredth, all in CPU time and generous."""
Times = tuple[float, float]
"""Seconds on the wall and of the processor: of a busy machine the second says more."""


def now() -> Times:
    """Both clocks."""
    return time.perf_counter(), time.process_time()


def since(begin: Times) -> Times:
    """What both clocks have gone on."""
    wall, cpu = now()
    return wall - begin[0], cpu - begin[1]


def write_battles(path: Path, battles: int, models: int) -> None:
    """A file as the public arenas publish them."""
    rng = random.Random(0)
    names = [f"model-{number}" for number in range(models)]
    with path.open("w", encoding="utf-8") as out:
        for number in range(battles):
            a, b = rng.sample(names, 2)
            row = {
                "question_id": f"{rng.getrandbits(128):032x}",
                "model_a": a,
                "model_b": b,
                "winner": rng.choice(WINNERS),
                "judge": f"arena_user_{rng.randrange(10_000)}",
                "turn": 1,
                "anony": True,
                "language": rng.choice(LANGUAGES),
                "tstamp": 1_682_351_591.5 + number,
            }
            out.write(json.dumps(row) + "\n")


def bare_import(source: Path, target: Path) -> Times:
    """The same values into one table, and nothing else: no checks, no keys. Reading the JSON is not counted."""
    with source.open(encoding="utf-8") as lines:
        rows = [tuple(json.loads(line).values()) for line in lines]
    conn = sqlite3.connect(target)
    conn.execute("CREATE TABLE battles (id, a, b, winner, judge, turn, anony, language, tstamp)")
    begin = now()
    with conn:
        conn.executemany("INSERT INTO battles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return since(begin)


def bare_json(source: Path, _target: Path) -> Times:
    """The same lines through `json.loads`, and nothing else."""
    begin = now()
    with source.open("rb") as lines:
        for line in lines:
            json.loads(line)
    return since(begin)


def our_import(source: Path, target: Path) -> Times:
    """`arena import`, without the start of the program."""
    from arena.store.battle_files import BattleFile
    from arena.store.ledger import SqliteLedger

    with SqliteLedger(target) as ledger, source.open("rb") as stream:
        begin = now()
        ledger.import_battles(BattleFile(stream, source.name), "everybody")
        return since(begin)


def bare_count(_source: Path, target: Path) -> Times:
    """`GROUP BY` over the bare table, opening it included."""
    begin = now()
    conn = sqlite3.connect(target)
    conn.execute("SELECT a, b, winner, count(*) FROM battles GROUP BY a, b, winner").fetchall()
    return since(begin)


def our_stages(_source: Path, target: Path) -> Times:
    """The stages of all battles, opening the database included, imports of Python left out."""
    from arena.store.ledger import SqliteLedger

    begin = now()
    with SqliteLedger(target) as ledger:
        found = ledger.stages(voter="everybody")
        took = since(begin)
    if not found:
        raise SystemExit("no stages")
    return took


def our_retally(_source: Path, target: Path) -> Times:
    """The tallies made anew from the battles."""
    from arena.store.ledger import SqliteLedger

    with SqliteLedger(target) as ledger:
        begin = now()
        ledger.retally()
        return since(begin)


STEPS: dict[str, Callable[[Path, Path], Times]] = {
    step.__name__: step for step in (bare_import, bare_json, our_import, bare_count, our_stages, our_retally)
}


def measured(step: Callable[[Path, Path], Times], source: Path, target: Path) -> tuple[Times, float]:
    """Times and peak memory in MiB of a step in a process of its own."""
    if hasattr(os, "posix_fadvise") and target.exists():
        with target.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    command = [sys.executable, __file__, "--step", step.__name__, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, cpu, peak = map(float, done.stdout.split())
    return (wall, cpu), peak


def compare(battles: int, models: int) -> list[str]:
    """Run everything and print a table. Returns what is past its bound."""
    with tempfile.TemporaryDirectory() as folder:
        source, ours, bare = (Path(folder) / name for name in ("battles.jsonl", "arena.db", "bare.db"))
        few = Path(folder) / "few.jsonl"
        write_battles(source, battles, models)
        write_battles(few, battles // 100, models)
        print(f"{battles:,} battles of {models} models, {source.stat().st_size >> 20} MiB of JSON lines\n")
        plain, _ = measured(bare_import, source, bare)
        parsed, _ = measured(bare_json, source, bare)
        taken, peak = measured(our_import, source, ours)
        _, base = measured(our_import, few, Path(folder) / "few.db")
        line("import: executemany alone, rows ready", plain, plain)
        line("import: json.loads alone", parsed, plain)
        line("import: arena", taken, plain)
        again, _ = measured(our_import, source, ours)
        line("the same file again (nothing new)", again, plain)
        print(f"\nPeak memory of the import: {peak:.0f} MiB, of a file of a hundredth {base:.0f} MiB")
        print(f"Database: {ours.stat().st_size >> 20} MiB, the bare table {bare.stat().st_size >> 20} MiB\n")
        counted: dict[str, list[Times]] = {step.__name__: [] for step in (bare_count, our_stages)}
        for _ in range(READINGS):
            for step, target in ((bare_count, bare), (our_stages, ours)):
                counted[step.__name__].append(measured(step, source, target)[0])
        middle = {name: statistics.median_low(times) for name, times in counted.items()}
        retold, _ = measured(our_retally, source, ours)
        line("stages: GROUP BY alone", middle["bare_count"], middle["bare_count"])
        line("stages: arena, from the tallies, cold", middle["our_stages"], middle["bare_count"])
        line("the tallies made anew", retold, middle["bare_count"])
    ratios = (
        ("the import, times executemany", taken[1] / plain[1], MOST_IMPORT),
        ("the stages, times GROUP BY", middle["our_stages"][1] / middle["bare_count"][1], MOST_STAGES),
        ("memory, times that of a hundredth", peak / base, MOST_MEMORY),
    )
    return [f"{what}: {ratio:.1f}, at most {most}" for what, ratio, most in ratios if ratio > most]


def line(what: str, times: Times, beside: Times) -> None:
    """One line of the table: times, and how often the ones beside it go into them."""
    print(f"{what:<40} {times[0]:8.2f} s  {times[1]:8.2f} s CPU  {times[1] / beside[1]:6.2f}")


def main() -> int:
    """Measure one step, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--battles", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--step", nargs=3, metavar=("STEP", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step is None:
        missed = compare(asked.battles, asked.models)
        if missed:
            print("\n".join(missed), file=sys.stderr)
        return int(asked.check and bool(missed))
    wall, cpu = STEPS[asked.step[0]](Path(asked.step[1]), Path(asked.step[2]))
    print(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
