"""The leaderboard and the hardware, side by side, on the whole screen."""

from __future__ import annotations

from asyncio import wrap_future
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer

from arena.core.models import ModelInfo
from arena.tui.screens.base import ArenaScreen
from arena.tui.widgets.board_panel import BoardPanel
from arena.tui.widgets.hardware_panel import HardwarePanel
from arena.wiring import Arena

READ_S = 2.0


class BoardScreen(ArenaScreen):
    """Standings from raw votes, and what fits now."""

    AUTO_FOCUS = "#board-scroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,l", "app.pop_screen", "Back", id="board.back"),
        Binding("question_mark", "app.help", "Help"),
        Binding("q", "app.leave", "Quit"),
    ]

    def __init__(self, arena: Arena) -> None:
        """A screen on this arena."""
        super().__init__(arena)
        self._infos: list[ModelInfo] = []

    def compose(self) -> ComposeResult:
        """Board on the left, hardware on the right."""
        with Horizontal(id="board-body"):
            with VerticalScroll(id="board-scroll"):
                yield BoardPanel(id="full-board")
            with VerticalScroll(id="hardware-scroll"):
                yield HardwarePanel(id="full-hardware")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Keep the hardware live."""
        self.set_interval(READ_S, self._read)

    def on_screen_resume(self) -> None:
        """Votes may have been cast meanwhile, and models have come or gone."""
        self.background(self._load(), "load")

    async def _load(self) -> None:
        self.query_one(BoardPanel).show(await wrap_future(self.arena.board()))
        self._infos = await wrap_future(self.arena.lineup.models())
        self._read()

    def _read(self) -> None:
        if self.is_current:
            self.background(self._load_hardware(), "hardware")

    async def _load_hardware(self) -> None:
        self.query_one(HardwarePanel).show(*await wrap_future(self.arena.watch.overview(self._infos)))
