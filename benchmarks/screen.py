"""What the screen holds after a hundred and after a thousand rounds.

    python benchmarks/screen.py [--rounds 1000] [--check]

The app of `arena`, 160 x 45, without a terminal, on scripted models: it is asked, votes, sees the names and goes on, by
the keys that a person presses; now and then it looks at the leaderboard and the history. Memory at the end is told as a
ratio to that after the first tenth, when everything has been on the screen once. `--check`: exit code 1 when it is past
its bound.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from arena.core.rounds import Pace  # noqa: E402
from arena.tui.app import ArenaApp  # noqa: E402
from arena.tui.phases import Phase  # noqa: E402
from footprint import Footprint  # noqa: E402 - it lives with the tests
from stage import NAMES, arena_on, until  # noqa: E402

LOOK_EVERY = 25
VOTES = ("a", "b", "t", "x", "s")
MOST_MEMORY, MOST_MORE_FILES = 1.4, 3
"""`--check`: memory at the end against that after a tenth, and files that came on top."""


async def play(rounds: int) -> list[tuple[int, Footprint]]:
    """Play, and look ten times at what is held. Returns (rounds played, what was held)."""
    rng, noted, began = random.Random(1), list[tuple[int, Footprint]](), time.monotonic()
    print("| rounds | min | RSS MiB | files | threads | widgets |\n|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder, arena_on(Path(folder)) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(160, 45)) as pilot:
            screen = app.screen

            async def phase(wanted: Phase) -> None:
                await until(pilot, lambda: getattr(app.screen, "phase", None) is wanted)

            await phase(Phase.ASKING)
            while getattr(app.screen, "_pace", Pace.WHOLE) is not Pace.WHOLE:
                app.screen.action_pace()  # nobody reads along
            for done in range(1, rounds + 1):
                await phase(Phase.ASKING)
                await pilot.press(*f"q{done}", "enter")
                await phase(Phase.VOTING)
                await pilot.press(rng.choice(VOTES))
                await phase(Phase.REVEALED)
                if done % LOOK_EVERY == 0:
                    screen = app.screen
                    for key in ("l", "h"):
                        await pilot.press(key)
                        await until(pilot, lambda screen=screen: app.screen is not screen)
                        await pilot.press("escape")
                        await until(pilot, lambda screen=screen: app.screen is screen)
                await pilot.press("enter")
                if done % max(1, rounds // 10) == 0:
                    held = Footprint.now()
                    noted.append((done, held))
                    print(
                        f"| {done:,} | {(time.monotonic() - began) / 60:.1f} | {held.rss_mib:.1f} | {held.files} |"
                        f" {held.threads} | {len(app.screen.query('*'))} |",
                        flush=True,
                    )
    return noted


def main() -> int:
    """Play, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    (early, first), *_, (_, last) = asyncio.run(play(asked.rounds))
    grown, files = last.rss_mib / first.rss_mib, last.files - first.files
    each = (last.rss_mib - first.rss_mib) * 1024 / (asked.rounds - early)
    print(f"\nMemory after {asked.rounds:,} rounds, times that after {early:,}: {grown:.2f} ({each:.1f} KiB a round)")
    print(f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    missed = [f"memory is {grown:.2f} times that after {early} rounds"] * (grown > MOST_MEMORY)
    missed += [f"{files} more files are open"] * (files > MOST_MORE_FILES)
    if missed:
        print("\n".join(missed), file=sys.stderr)
    return int(asked.check and bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
