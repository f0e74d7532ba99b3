"""The very first start: it says what is here, and Enter alone plays a round."""

from __future__ import annotations

from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from stage import NAMES, arena_on, screen_text, until

BEGIN = "Enter begins a sample round"


async def test_the_first_start_says_what_is_here_and_enter_plays_a_round(tmp_path):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "3 models were found (garage 3)" in screen_text(pilot))
            assert BEGIN in screen_text(pilot)
            await pilot.press("enter")
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)
            await pilot.press("a")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await pilot.press("n")
            await until(pilot, lambda: app.screen.phase is Phase.ASKING)
            await pilot.press("enter")
            await pilot.pause()
            assert app.screen.phase is Phase.ASKING, "an empty box asks nothing any more"
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "zephyr-9b" in screen_text(pilot))
            assert BEGIN not in screen_text(pilot)
