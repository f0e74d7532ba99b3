"""What goes on for long holds no more in the end than in the beginning. benchmarks/endurance.py is the long version."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from textual.widget import Widget

from arena.config import load
from arena.core.prompts import Prompt
from arena.core.rounds import RoundState
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.wiring import Arena
from footprint import Footprint
from stage import NAMES, arena_on, until

ENDURANCE = Path(__file__).parent.parent / "benchmarks" / "endurance.py"


@pytest.mark.engine
def test_thirty_rounds_and_some_readings_hold_no_more_than_three():
    pytest.importorskip("llama_cpp")
    command = [sys.executable, str(ENDURANCE), "--rounds", "30", "--readings", "600", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "30 rounds judged, 0 void" in done.stdout
    assert len(re.findall(r"^\| (?:30|600) \|", done.stdout, re.MULTILINE)) == 2, "it looked at the end"
    assert "When arena is closed: 0 children" in done.stdout


@pytest.mark.engine
def test_a_worker_that_was_killed_is_no_zombie(tmp_path):
    pytest.importorskip("llama_cpp")
    arena = Arena(load(db=tmp_path / "arena.db"))
    try:
        infos = [arena.lineup.find(name).result() for name in ("demo/small", "demo/medium")]

        def play() -> RoundState:
            view = arena.table.deal(Prompt("What is 2 + 2?"), infos).result()
            return arena.table.play(view.id, lambda _: None).result().state

        assert play() is RoundState.READY
        before = Footprint.now()
        for child in psutil.Process().children():
            os.kill(child.pid, signal.SIGKILL)
        while play() is not RoundState.READY:  # the first one may hear of it in the middle
            pass
        after = Footprint.now()
        assert after.zombies == 0
        assert (after.children, after.files) == (before.children, before.files)
    finally:
        arena.close()
    assert Footprint.now().children == 0


def widgets_left_behind() -> int:
    """Widgets that are on no screen any more, and still in memory."""
    gc.collect()
    return sum(isinstance(each, Widget) and not each.is_attached for each in gc.get_objects())


async def test_what_was_on_the_screen_is_let_go(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            left = []
            for _ in range(6):
                await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
                await pilot.press(*"why?", "enter")
                await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
                await pilot.press("a")
                await until(pilot, lambda: pilot.app.screen.phase is Phase.REVEALED)
                for key in "?lh":
                    await pilot.press(key)
                    await until(pilot, lambda: not hasattr(pilot.app.screen, "phase"))
                    await pilot.press("escape")
                    await until(pilot, lambda: hasattr(pilot.app.screen, "phase"))
                await pilot.press("enter")
                left.append(widgets_left_behind())
    print(left)  # noqa: T201 - shown when the test fails
    assert left[-1] - left[1] < 20, "a footer of eleven keys is made anew many times a round"
