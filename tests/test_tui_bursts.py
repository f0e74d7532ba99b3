"""Keys that arrive in one piece, as over a line that stalls: the second finds the screen as the first has left it."""

from __future__ import annotations

import pytest
from textual.events import Key

from arena.core.prompts import Prompt
from arena.core.votes import Verdict
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.again import AgainScreen
from arena.tui.screens.confirm import ConfirmScreen
from arena.tui.screens.copy import CopyScreen
from arena.tui.screens.history import HistoryScreen
from arena.tui.screens.picker import PickerScreen
from arena.tui.screens.settings import SettingsScreen
from arena.tui.widgets.vote_bar import VoteBar
from stage import NAMES, arena_on, until

_CHARACTERS = {"enter": "\r", "escape": "\x1b"}


def burst(pilot, *keys: str) -> None:
    """Send keys without waiting for what the first one does."""
    for key in keys:
        pilot.app.post_message(Key(key, _CHARACTERS.get(key, key)))


def on_top(pilot, kind: type) -> bool:
    return isinstance(pilot.app.screen, kind)


def play(arena, says: str = "a", seats: int = 2) -> str:
    """A round that is judged, or that waits."""
    view = arena.table.deal(Prompt("What is 67 - 26?"), [arena.lineup.find(name).result() for name in NAMES[:seats]])
    key = view.result().id
    arena.table.play(key, lambda _: None).result()
    if says:
        arena.cast(key, Verdict.parse(says, seats)).result()
    return key


async def begun(pilot):
    """The first screen, with its contestants."""
    await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
    await pilot.app.screen.ready.wait()
    await pilot.press("escape")
    return pilot.app.screen


async def voting(pilot):
    screen = await begun(pilot)
    await pilot.press("w")
    await until(pilot, lambda: screen.phase is Phase.VOTING)
    return screen


async def looking_back(pilot, *keys: str) -> None:
    """The history with its newest round, and these keys."""
    await begun(pilot)
    await pilot.press("h")
    await until(pilot, lambda: on_top(pilot, HistoryScreen) and pilot.app.screen.round_id)
    await pilot.press(*keys)


@pytest.mark.parametrize(("opens", "kind", "key"), [("S", SettingsScreen, "enter"), ("y", CopyScreen, "a")])
async def test_a_dialog_closes_once(tmp_path, opens, kind, key):
    with arena_on(tmp_path) as arena:
        play(arena, "")
        async with ArenaApp(arena, NAMES).run_test() as pilot:
            screen = await (begun(pilot) if opens == "S" else voting(pilot))
            await pilot.press(opens)
            await until(pilot, lambda: on_top(pilot, kind))
            burst(pilot, key, key)
            await until(pilot, lambda: pilot.app.screen is screen)
            await pilot.pause()
            assert screen.phase is not Phase.REVEALED
            assert pilot.app._exception is None


async def test_who_leaves_has_not_judged_again(tmp_path):
    with arena_on(tmp_path) as arena:
        key = play(arena)
        async with ArenaApp(arena, NAMES).run_test() as pilot:
            await looking_back(pilot, "V")
            await until(pilot, lambda: on_top(pilot, AgainScreen))
            burst(pilot, "b", "escape")
            await until(pilot, lambda: not on_top(pilot, AgainScreen))
            assert on_top(pilot, HistoryScreen)
            await until(pilot, lambda: pilot.app.screen.round_id == key and not pilot.app.screen._shows)
            left = arena.look(key).result().again
            assert (left == ()) is not any("Now:" in note.message for note in pilot.app._notifications)


@pytest.mark.parametrize(("opens", "kind"), [("X", ConfirmScreen), ("V", AgainScreen)])
async def test_what_was_closed_opens_nothing_any_more(tmp_path, opens, kind):
    with arena_on(tmp_path) as arena:
        play(arena)
        async with ArenaApp(arena, NAMES).run_test() as pilot:
            await looking_back(pilot)
            past = pilot.app.screen
            burst(pilot, opens, "escape")
            await until(pilot, lambda: not past.busy and not on_top(pilot, HistoryScreen))
            await pilot.pause()
            assert not on_top(pilot, kind)


@pytest.mark.parametrize("keys", [("m", "w"), ("M", "r")], ids="".join)
async def test_no_round_begins_below_the_picker(tmp_path, keys):
    with arena_on(tmp_path) as arena:
        play(arena, "")
        async with ArenaApp(arena, NAMES).run_test() as pilot:
            screen = await voting(pilot)
            await pilot.press("a")
            await until(pilot, lambda: screen.phase is Phase.REVEALED)
            play(arena, "")
            burst(pilot, *keys)
            await until(pilot, lambda: on_top(pilot, PickerScreen))
            await until(pilot, lambda: not screen.busy)
            assert screen.phase is Phase.REVEALED


async def test_no_round_comes_up_below_a_dialog(tmp_path):
    with arena_on(tmp_path) as arena:
        play(arena, "")
        async with ArenaApp(arena, NAMES).run_test() as pilot:
            screen = await begun(pilot)
            await pilot.press("S")
            await until(pilot, lambda: on_top(pilot, SettingsScreen))
            screen.judges = screen._judging.fresh = True  # as a queue does that plays a round meanwhile
            screen._frame()
            await until(pilot, lambda: not screen.busy)
            assert screen.phase is Phase.ASKING
            await pilot.press("escape")
            await until(pilot, lambda: screen.phase is Phase.VOTING)


@pytest.mark.parametrize(("seats", "words"), [(2, "tie"), (3, "=: as good")])
async def test_judging_again_works_with_the_mouse(tmp_path, seats, words):
    with arena_on(tmp_path, seats=seats) as arena:
        key = play(arena, seats=seats)
        async with ArenaApp(arena, NAMES).run_test(size=(120, 30)) as pilot:
            await looking_back(pilot, "V")
            await until(pilot, lambda: on_top(pilot, AgainScreen) and pilot.app.screen._shown_ns)
            bar = pilot.app.screen.query_one(VoteBar)
            if seats == 3:
                await pilot.press("a")
            await until(pilot, lambda: words in bar.render_line(0).text)
            await pilot.click(VoteBar, offset=(bar.render_line(0).text.index(words) + 1, 0))
            if seats == 3:
                await until(pilot, lambda: "A =" in bar.render_line(0).text)
                await pilot.press("b")
            await until(pilot, lambda: on_top(pilot, HistoryScreen))
            await until(pilot, lambda: not pilot.app.screen._shows)
            (again,) = arena.look(key).result().again
            assert len(again.verdict.winners) == 2
