"""Every frame of the real screens: what arena sends shows the same as what Textual would have sent."""

from __future__ import annotations

import inspect
from itertools import product
from pathlib import Path

import pyte
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.strip import Strip

from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.help import HelpScreen
from arena.tui.wire import check
from arena.tui.wire.grid import Grid
from arena.tui.wire.updates import paint
from arena.wiring import Arena
from pty_stage import Screen, looks_alike
from stage import NAMES, arena_on, until


class TwoTerminals:
    """One gets Textual's output, the other arena's."""

    def __init__(self, width: int, height: int) -> None:
        self.grid = Grid(width, height, ColorSystem.TRUECOLOR, erases=True)
        self.screens = Screen(width, height), Screen(width, height)
        self.streams = [pyte.Stream(screen) for screen in self.screens]
        self.bytes = [0, 0]

    def show(self, *texts: str) -> None:
        for index, text in enumerate(texts):
            self.streams[index].feed(text)
            self.bytes[index] += len(text.encode())


class Compared(ArenaApp):
    """Draws every update both ways."""

    CSS_PATH = Path(inspect.getfile(ArenaApp)).with_name("arena.tcss")

    def __init__(self, arena: Arena) -> None:
        super().__init__(arena, NAMES)
        self.console._color_system = ColorSystem.TRUECOLOR
        self.terminals: list[TwoTerminals] = []
        self.frames = 0
        self.differing: list[int] = []

    def _display(self, screen, renderable):
        if isinstance(renderable, LayoutUpdate | ChopsUpdate) and not self._batch_count:
            width, height = self.size
            if not self.terminals or (self.terminals[-1].grid.width, self.terminals[-1].grid.height) != self.size:
                self.terminals.append(TwoTerminals(width, height))
            now = self.terminals[-1]
            paint(now.grid, renderable)
            now.show(renderable.render_segments(self.console), now.grid.frame())
            if not looks_alike(*now.screens):
                self.differing.append(self.frames)
            self.frames += 1
        super()._display(screen, renderable)


async def test_no_frame_of_a_whole_evening_looks_different(tmp_path):
    with arena_on(tmp_path) as arena:
        app = Compared(arena)
        async with app.run_test(size=(130, 34)) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"왜 41?", "enter")
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)
            await pilot.press("b")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            rounds = app.screen
            for key in ("question_mark", "l", "h", "m", "ctrl+o"):
                await pilot.press(key)
                await until(pilot, lambda: app.screen is not rounds)
                await pilot.pause()
                await pilot.press("escape")
                await until(pilot, lambda: app.screen is rounds)
            await pilot.resize_terminal(80, 24)
            await until(pilot, lambda: len(app.terminals) == 2)
            await pilot.press("l")
            await until(pilot, lambda: app.screen is not rounds)
            await pilot.pause()
    assert app.frames > 20
    assert app.differing == []
    stock, ours = (sum(terminal.bytes[index] for terminal in app.terminals) for index in (0, 1))
    assert ours * 4 < stock


async def test_low_bandwidth_mode_is_a_setting_and_a_command(tmp_path, monkeypatch):
    monkeypatch.setenv("ARENA_SLOW_LINK", "1")
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test() as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            assert (app.slow_link, app.frame_s, app.animation_level, app._frames.slow) == (True, 0.2, "none", True)
            await app.run_action("help")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen))
            assert app.screen.styles.background.a == 0, "a dimmed screen is a screen sent twice"
            await app.run_action("slow_link")
            await until(pilot, lambda: app.screen.styles.background.a > 0)
            assert (app.slow_link, app.frame_s, app._frames.slow) == (False, 0.1, False)
            assert app.animation_level != "none"


def test_an_update_of_part_of_a_line_is_drawn_as_textual_draws_it():
    console = Console(color_system="truecolor", force_terminal=True)
    for left, right in product(range(20), range(1, 21)):
        chops = [{0: Strip([Segment("가나다라마")]), 10: Strip([Segment("0123456789", Style(bold=True))])}]
        update = ChopsUpdate(chops, [(0, left, right)], [[10, 20]])
        both = TwoTerminals(20, 1)
        paint(both.grid, update)
        both.show(update.render_segments(console), both.grid.frame())
        assert looks_alike(*both.screens), (left, right)


def test_textual_is_known():
    assert check.why_stock() == ""


def test_a_textual_that_has_changed_is_drawn_with_its_own_output(monkeypatch):
    def takes_more(self, screen, renderable, more):
        """As another version might."""

    monkeypatch.setattr("textual.app.App._display", takes_more)
    assert "_display" in check.why_stock()
    monkeypatch.undo()

    def other(self, spans):
        self.runs = spans

    monkeypatch.setattr(ChopsUpdate, "__init__", other)
    assert "updates" in check.why_stock()
