"""The Textual app: holds the screens, the themes and the last-mile filter. No logic lives here."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segments
from textual.binding import Binding, BindingType

from arena.tui.commands import ArenaCommands, open_palette
from arena.tui.last_mile import LastMile
from arena.tui.no_color import NoColor
from arena.tui.screens.board import BoardScreen
from arena.tui.screens.help import HelpScreen
from arena.tui.screens.history import HistoryScreen
from arena.tui.screens.round import RoundScreen
from arena.tui.theme import THEMES
from arena.tui.wire.wired_app import WiredApp
from arena.wiring import Arena


class ArenaApp(WiredApp):
    """arena in the terminal."""

    TITLE = "arena"
    CSS_PATH = "arena.tcss"
    COMMANDS: ClassVar = {ArenaCommands}
    COMMAND_PALETTE_BINDING = "ctrl+o"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", "Quit", show=False, priority=True),
        Binding("f1", "help", "Help", show=False),
        Binding("ctrl+l", "repaint", "Repaint", show=False),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False),
    ]

    def __init__(self, arena: Arena, models: Sequence[str] = (), *, judge: bool = False) -> None:
        """`models`: contestants by name, else the demo ones; `judge`: begin with the rounds that wait for a vote."""
        super().__init__(slow_link=arena.settings.slow_link)
        self._arena = arena
        self._names = tuple(models)
        self._judge = judge
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = arena.settings.theme if arena.settings.theme in self.available_themes else THEMES[0].name
        if self.no_color:
            self._filters.append(NoColor())
        self._filters.append(LastMile())

    async def on_mount(self) -> None:
        """Show the round screen; it looks for the contestants itself."""
        self.install_screen(BoardScreen(self._arena), "board")
        self.install_screen(HistoryScreen(self._arena), "history")
        screen = RoundScreen(self._arena)
        await self.push_screen(screen)
        self.run_worker(screen.begin(self._names, judge=self._judge))
        gc.freeze()

    def _fatal_error(self) -> None:
        """Say what went wrong without Textual's table of local variables: it would open the envelope."""
        from rich.traceback import Traceback  # noqa: PLC0415 - 30 ms of the start

        report = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(report, self.console.options)))
        self._close_messages_no_wait()

    def action_help(self) -> None:
        """Show the help page."""
        self.push_screen(HelpScreen())

    def action_command_palette(self) -> None:
        """Search every action by name."""
        open_palette(self)

    def action_leave(self) -> None:
        """Leave; rounds and votes are on the disk already."""
        self.exit()
