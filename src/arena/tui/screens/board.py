"""The leaderboard and the hardware, side by side, on the whole screen."""

from __future__ import annotations

from asyncio import wrap_future
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer

from arena.core.errors import ArenaError
from arena.core.text import clean_line
from arena.tui.widgets.board_panel import BoardPanel
from arena.tui.widgets.hardware_panel import HardwarePanel
from arena.wiring import Arena

READ_S = 2.0


class BoardScreen(Screen[None]):
    """Standings from raw votes, and what fits now."""

    AUTO_FOCUS = "#board-scroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,l", "app.pop_screen", "Back", id="board.back"),
        Binding("question_mark", "app.help", "Help"),
        Binding("q", "app.leave", "Quit"),
    ]

    def __init__(self, arena: Arena) -> None:
        """A screen on this arena."""
        super().__init__()
        self._arena = arena

    def compose(self) -> ComposeResult:
        """Board on the left, hardware on the right."""
        with Horizontal(id="board-body"):
            with VerticalScroll(id="board-scroll"):
                yield BoardPanel(id="full-board")
            with VerticalScroll(id="hardware-scroll"):
                yield HardwarePanel(id="full-hardware")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Fill both, and keep the hardware live."""
        self.set_interval(READ_S, self._read)
        self._read()

    def on_screen_resume(self) -> None:
        """Votes may have been cast meanwhile."""
        self.run_worker(self._load_board(), group="board", exclusive=True)

    async def _load_board(self) -> None:
        try:
            self.query_one(BoardPanel).show(await wrap_future(self._arena.board()))
        except ArenaError as fault:
            self.app.notify(clean_line(str(fault), 300), severity="error", markup=False)

    def _read(self) -> None:
        if self.is_current:
            self.run_worker(self._load_hardware(), group="hardware", exclusive=True)

    async def _load_hardware(self) -> None:
        machine = await wrap_future(self._arena.watch.machine())
        infos = await wrap_future(self._arena.lineup.models())
        fits = await wrap_future(self._arena.watch.fits(infos, machine))
        self.query_one(HardwarePanel).show(machine, fits)
